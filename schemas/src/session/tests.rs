//! Properties of histories and lines, over sequences of changes.

use proptest::prelude::*;

use super::*;
use crate::chat::{Block, ChatRequest, Extra, Message, Role, ToolCall, ToolResult};
use crate::envelope;
use crate::id::JobId;
use crate::timestamp::Timestamp;

const BOUNDS: Bounds = Bounds { turns: 10, tokens: 100, bytes: 20_000 };

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn id(number: u64) -> JobId {
    JobId::new(at(1), number.into())
}

fn turn(number: u64, tokens: u64, text: &str) -> Turn {
    Turn { tokens, ..Turn::new(id(number), vec![Message::text(Role::User, text)], at(1)).unwrap() }
}

fn results(number: u64) -> Turn {
    let result = ToolResult { tool_call_id: "c".to_owned(), content: Vec::new(), is_error: false, extra: Extra::new() };
    let message = Message { content: vec![Block::ToolResult(result)], ..Message::text(Role::Tool, "") };
    Turn { tokens: 1, ..Turn::new(id(number), vec![message], at(1)).unwrap() }
}

/// What answers a call that only its dialect knows.
fn hosted(number: u64) -> Turn {
    let output = Block::Opaque { dialect: "openai_responses".to_owned(), value: "shell_call_output".into() };
    let message = Message { content: vec![output], ..Message::text(Role::Tool, "") };
    Turn { tokens: 1, ..Turn::new(id(number), vec![message], at(1)).unwrap() }
}

fn added(history: History, turn: Turn) -> (History, usize) {
    match history.appended("s", turn, &BOUNDS, at(2)) {
        Appended::Now(history, dropped) => (*history, dropped),
        Appended::Before => panic!("added before"),
    }
}

proptest! {
    #[test]
    fn a_history_is_the_newest_turns_within_its_bounds(
        turns in prop::collection::vec((0_u64..60, 0_usize..9000, any::<bool>()), 1..80)
    ) {
        let mut history = History::new("s", at(1));
        for (number, (tokens, length, goes_on)) in (1..).zip(turns) {
            let answers = if number % 2 == 0 { results } else { hosted };
            let next = if goes_on { answers(number) } else { turn(number, tokens, &"x".repeat(length)) };
            prop_assert_eq!(next.goes_on(), goes_on);
            let before = history.turns.len();
            let was = history.statistics();
            let (size, cost) = (next.bytes, next.tokens);
            let (after, dropped) = added(history, next);
            prop_assert_eq!(after.turns.len(), before + 1 - dropped);
            prop_assert_eq!((after.appended, after.next_number()), (number, number + 1));
            let statistics = after.statistics();
            prop_assert!(after.turns.len() as u64 <= BOUNDS.turns);
            prop_assert!(statistics.tokens <= BOUNDS.tokens && statistics.bytes <= BOUNDS.bytes);
            let full = before as u64 + 1 > BOUNDS.turns
                || was.tokens + cost > BOUNDS.tokens
                || was.bytes + size > BOUNDS.bytes;
            prop_assert_eq!(dropped > 0, full, "nothing goes before it must");
            let first = after.turns.first();
            prop_assert!(dropped == 0 || first.is_none_or(|turn| !turn.goes_on()));
            let numbers: Vec<_> = after.turns.iter().map(|turn| turn.number.unwrap()).collect();
            let expected: Vec<_> = (1..=number).rev().take(numbers.len()).collect();
            prop_assert!(numbers.iter().rev().eq(&expected), "{:?}", numbers);
            history = after;
        }
    }

    #[test]
    fn every_turn_is_added_once(order in prop::collection::vec(1_u64..20, 1..100)) {
        let mut history = History::new("s", at(1));
        let mut seen = Vec::new();
        for number in order {
            match history.clone().appended("s", turn(number, 1, "x"), &BOUNDS, at(2)) {
                Appended::Now(next, _) => {
                    prop_assert!(!seen.contains(&number));
                    seen.push(number);
                    history = *next;
                }
                Appended::Before => prop_assert!(seen.contains(&number)),
            }
        }
        prop_assert_eq!(history.appended, seen.len() as u64);
    }

    #[test]
    fn a_line_keeps_its_order(changes in prop::collection::vec((any::<bool>(), 0_u64..12), 0..100)) {
        let (mut queue, mut model) = (TurnQueue::default(), Vec::new());
        for (joins, number) in changes {
            let job = id(number);
            let there = model.contains(&job);
            let next = if joins { queue.joined(job) } else { queue.without(job) };
            prop_assert_eq!(next.is_some(), joins != there);
            match joins {
                true if !there => model.push(job),
                false => model.retain(|known| *known != job),
                true => {}
            }
            queue = next.unwrap_or(queue);
            prop_assert_eq!(&queue.waiting, &model);
            prop_assert_eq!(queue.head(), model.first().copied());
            let place = match model.iter().position(|known| *known == job) {
                Some(0) => Place::First,
                Some(ahead) => Place::Behind(ahead),
                None => Place::Absent,
            };
            prop_assert_eq!(queue.place(job), place);
        }
    }

    #[test]
    fn a_key_is_a_key_whatever_the_names(tenant: String, name: String, other: String) {
        let key = SessionKey::of(&tenant, &name);
        prop_assert!(key.to_string().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=.".contains(&byte)));
        prop_assert_eq!(key.to_string().matches('.').count(), 1);
        prop_assert_eq!(SessionKey::of_queue(&key.queue()), Some(key.clone()));
        prop_assert_eq!(SessionKey::of_queue(&key.history()), None);
        prop_assert_eq!(key == SessionKey::of(&tenant, &other), name == other);
    }
}

#[test]
fn a_turn_too_large_by_itself_is_counted_and_not_kept() {
    let (history, _) = added(History::new("s", at(1)), turn(1, 1, "x"));
    let (history, dropped) = added(history, turn(2, 101, "y"));
    assert_eq!((history.turns.len(), history.appended, dropped), (0, 2, 2));
    assert!(BOUNDS.hold(&turn(3, 100, "y")) && !BOUNDS.hold(&turn(3, 101, "y")));
    assert!(!BOUNDS.hold(&turn(3, 1, &"x".repeat(20_000))));
    let (history, _) = added(history, turn(3, 1, "z"));
    assert_eq!(history.turns[0].number, Some(3));
}

#[test]
fn what_is_forgotten_is_never_added_again() {
    let (history, _) = added(History::new("s", at(1)), turn(1, 1, "x"));
    let cleared = history.clone().cleared(at(3));
    assert_eq!((cleared.turns.len(), cleared.appended, cleared.next_number()), (0, 1, 2));
    assert_eq!(cleared.appended("s", turn(1, 1, "x"), &BOUNDS, at(4)), Appended::Before);
    let gone = history.tombstone(at(3));
    assert!(gone.deleted && gone.name.is_empty() && gone.turns.is_empty());
    assert_eq!(gone.clone().appended("s", turn(1, 1, "x"), &BOUNDS, at(4)), Appended::Before);
    let (anew, _) = added(gone, turn(2, 1, "y"));
    assert_eq!((anew.deleted, anew.name.as_str(), anew.appended, anew.created_at), (false, "s", 1, at(2)));
}

#[test]
fn messages_of_a_client_are_no_turns() {
    let (history, dropped) = History::new("s", at(1)).with(turn(1, 1, "x"), &BOUNDS, at(2));
    assert_eq!((dropped, history.appended, history.turns[0].number), (0, 0, None));
    assert_eq!(history.statistics().messages, RoleCounts { user: 1, ..RoleCounts::default() });
}

#[test]
fn a_prompt_is_instructions_then_history_then_what_is_new() {
    let text = |role, text: &str| Message::text(role, text);
    let asked = vec![text(Role::System, "be brief"), text(Role::User, "b"), text(Role::Developer, "be kind")];
    let old = [text(Role::User, "a"), text(Role::Assistant, "A")];
    let prompt: Vec<_> = prompt(old.iter(), asked.clone()).iter().map(Message::joined_text).collect();
    assert_eq!(prompt, ["be brief", "be kind", "a", "A", "b"]);
    let request = ChatRequest { messages: asked, ..ChatRequest::default() };
    let nothing = Message { content: Vec::new(), ..text(Role::Assistant, "") };
    assert_eq!(said(request.clone(), Some(nothing)), [text(Role::User, "b")]);
    assert_eq!(said(request, Some(text(Role::Assistant, "B"))).len(), 2);
}

#[test]
fn roles_are_checked() {
    let call = ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: String::new(), extra: Extra::new() };
    for role in [Role::User, Role::Assistant] {
        let message = Message { content: vec![Block::ToolCall(call.clone())], ..Message::text(role, "") };
        let turn = Turn::new(id(1), vec![Message::text(Role::User, "x"), message], at(1));
        assert_eq!(turn.is_ok(), role == Role::Assistant);
    }
}

#[test]
fn the_next_one_looks_often_and_those_behind_it_seldom() {
    let millis: Vec<_> = [0, 1, 2, 5, 30, 1000].map(|ahead| patience(ahead).as_millis()).to_vec();
    assert_eq!(millis, [250, 250, 500, 1250, 7500, 30_000]);
}

#[test]
fn a_value_of_today_decodes_without_what_comes_later() {
    #[derive(serde::Serialize)]
    struct Least {
        name: &'static str,
        created_at: Timestamp,
        updated_at: Timestamp,
    }
    let bytes = envelope::encode(&Least { name: "s", created_at: at(1), updated_at: at(1) }).unwrap();
    assert_eq!(envelope::decode::<History>(&bytes).unwrap(), History::new("s", at(1)));
}
