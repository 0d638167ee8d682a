//! When summaries are due, what is asked for them and when they are taken, over sequences of turns.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::chat::{Block, Extra, Message, Role, ToolCall, ToolResult};
use crate::id::JobId;
use crate::timestamp::Timestamp;

const BOUNDS: Bounds = Bounds { turns: 10_000, tokens: 100_000, bytes: 10_000_000 };
const RULES: SummaryRules = SummaryRules { after: 4, keep: 2, ttl: Duration::from_secs(3600) };

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A turn of so many messages.
fn turn(number: u64, messages: usize) -> Turn {
    let said = |index: usize| Message::text(Role::User, format!("{number}.{index}"));
    Turn::new(JobId::new(at(1), number.into()), (0..messages).map(said).collect(), at(1)).unwrap()
}

fn added(history: History, messages: usize) -> History {
    let number = history.recent.len() as u64 + 1;
    match history.appended("s", turn(number, messages), &BOUNDS, at(2)) {
        Appended::Now(history, _) => *history,
        Appended::Before => panic!("added before"),
    }
}

/// A session of so many turns of two messages.
fn talk(turns: usize) -> History {
    (0..turns).fold(History::new("s", at(1)), |history, _| added(history, 2))
}

fn asked(history: History, now: i64) -> (History, Option<Due>) {
    let (history, due) = history.asking(&RULES, at(now));
    (history, due.map(|due| *due))
}

fn due(history: &History) -> Option<Due> {
    asked(history.clone(), 10).1
}

fn texts(due: &Due) -> Vec<String> {
    due.messages.iter().map(Message::joined_text).collect()
}

proptest! {
    /// However turns and summaries follow each other: each turn is covered once, in order, and no turn moves a range.
    #[test]
    fn ranges_follow_each_other_without_gap_or_overlap(
        steps in prop::collection::vec((0_usize..5, any::<bool>()), 1..80)
    ) {
        let (mut history, mut covered, mut heard) = (History::new("s", at(1)), 0, Vec::new());
        let mut wanted: Option<SummaryRange> = None;
        for (messages, folds) in steps {
            history = added(history, messages);
            let (next, due) = asked(history, 10);
            history = next;
            let Some(due) = due else {
                let open: usize = history.turns.iter().filter(|turn| turn.number > Some(covered)).map(|turn| turn.messages.len()).sum();
                prop_assert!(wanted.is_none() && open < RULES.after + RULES.keep + 8);
                continue;
            };
            let range = due.range.clone();
            prop_assert_eq!((range.after, due.before), (covered, 0));
            prop_assert!(wanted.is_none_or(|wanted| wanted == range), "it moved");
            prop_assert!(due.messages.len() >= RULES.after);
            let kept: usize = history.turns.iter().filter(|turn| turn.number > Some(range.up_to)).map(|turn| turn.messages.len()).sum();
            prop_assert!(kept >= RULES.keep);
            wanted = Some(range.clone());
            if folds {
                heard.extend(texts(&due));
                history = history.summarized(&range, "sum", at(11)).unwrap();
                prop_assert!(history.clone().summarized(&range, "again", at(12)).is_none());
                (covered, wanted) = (range.up_to, None);
            }
        }
        let told: Vec<_> = history.turns.iter().filter(|turn| turn.number <= Some(covered)).flat_map(|turn| &turn.messages).map(Message::joined_text).collect();
        prop_assert_eq!(heard, told);
    }
}

#[test]
fn a_summary_is_due_once_enough_stands_behind_it() {
    assert_eq!((due(&talk(2)), due(&talk(0))), (None, None));
    let history = talk(3);
    let first = due(&history).unwrap();
    assert_eq!((first.range.after, first.range.up_to, first.earlier.as_deref()), (0, 2, None));
    assert_eq!(texts(&first), ["1.0", "1.1", "2.0", "2.1"]);
    assert_eq!(due(&talk(9)).unwrap().range, first.range);
    let history = history.summarized(&first.range, "one and two", at(11)).unwrap();
    assert_eq!((due(&history), history.covered()), (None, 2));
    let second = due(&added(added(history, 2), 2)).unwrap();
    assert_eq!((second.range.after, second.range.up_to, second.earlier.as_deref()), (2, 4, Some("one and two")));
}

#[test]
fn one_that_failed_is_asked_for_again_after_a_while() {
    let (history, first) = asked(talk(3), 10);
    let (history, soon) = asked(added(history, 2), 10 + 3_599_999);
    assert_eq!((&first, soon.as_ref().map(|due| due.before)), (&soon, Some(0)));
    let (history, later) = asked(history, 10 + 3_600_000);
    assert_eq!(later.unwrap().before, 1);
    assert_eq!(asked(history, 10 + 3_600_001).1.unwrap().before, 1);
}

#[test]
fn what_was_forgotten_takes_no_summary() {
    let history = talk(3);
    let range = due(&history).unwrap().range;
    let taken = |history: History| history.summarized(&range, "sum", at(11)).is_some();
    assert!(taken(history.clone()) && taken(added(history.clone(), 2)));
    let cleared = history.clone().cleared(at(5));
    assert_eq!((cleared.covered(), due(&cleared)), (3, None));
    assert!(!taken(cleared.clone()));
    let again = (0..3).fold(cleared, |history, _| added(history, 2));
    assert!(!taken(again.clone()));
    assert_eq!(due(&again).map(|due| (due.range.after, due.range.up_to)), Some((3, 5)));
    let gone = history.tombstone(at(5));
    assert!(!taken(gone.clone()) && !taken((0..3).fold(gone, |history, _| added(history, 2))));
}

#[test]
fn a_session_is_summed_up_unless_its_client_says_no() {
    let no = TurnNote { summarize: Some(false), told: None };
    let history = talk(3).noted(no).noted(TurnNote::default());
    assert_eq!(due(&history), None, "until it says otherwise");
    assert!(due(&history.noted(TurnNote { summarize: Some(true), told: None })).is_some());
    assert_eq!(talk(3).asking(&SummaryRules { after: 0, ..RULES }, at(10)).1, None);
}

#[test]
fn the_summary_of_a_cut_is_kept_until_another_is_told() {
    let told = |number: u64| TurnNote { told: Some(number), summarize: None };
    let text = |history: &History| history.cut_summary.as_ref().map(|summary| summary.text.clone()).unwrap_or_default();
    let folded = |history: History, text: &str| {
        let range = due(&history).unwrap().range;
        history.summarized(&range, text, at(11)).unwrap()
    };
    let history = folded(talk(8), "a").noted(told(2));
    let history = folded(history, "b");
    assert_eq!((text(&history).as_str(), history.covered()), ("a", 4));
    let history = history.noted(TurnNote::default()).noted(told(2));
    assert_eq!(text(&history), "a");
    assert_eq!(text(&history.clone().noted(told(4))), "b");
    let overtaken = folded(history, "c");
    assert_eq!(text(&overtaken.noted(told(4))), "c", "what is not there any more gives way to the newest");
    assert!(talk(1).noted(told(2)).cut_summary.is_none());
}

#[test]
fn a_summary_speaks_of_what_is_kept_and_of_what_is_not() {
    let history = talk(4);
    assert_eq!((history.messages_up_to(0), history.messages_up_to(2), history.has_lost_turns()), (0, 4, false));
    let History { turns, .. } = history.clone();
    let full = History { turns: turns[2..].to_vec(), ..history.clone() };
    assert_eq!((full.messages_up_to(2), full.messages_up_to(3), full.has_lost_turns()), (0, 2, true));
    assert!(!added(history.cleared(at(3)), 2).has_lost_turns(), "what was cleared is not to be spoken of");
}

#[test]
fn a_model_is_asked_in_one_text() {
    let call =
        ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: "{\"a\":1}".to_owned(), extra: Extra::new() };
    let content = vec![Block::text("42")];
    let result = ToolResult { tool_call_id: "c".to_owned(), content, is_error: false, extra: Extra::new() };
    let of = |role, block| Message { content: vec![block], ..Message::text(role, "") };
    let range = SummaryRange { session: "s".to_owned(), began: at(1), after: 2, up_to: 3 };
    let messages = vec![
        Message::text(Role::User, "what is it"),
        of(Role::Assistant, Block::ToolCall(call)),
        of(Role::Tool, Block::ToolResult(result)),
        Message::text(Role::Assistant, "é".repeat(60_000)),
    ];
    let due = Due { range, before: 0, earlier: Some("they met".to_owned()), messages };
    let request = due.request("m", 300);
    assert_eq!((request.model.as_str(), request.sampling.max_tokens, request.messages.len()), ("m", Some(300), 2));
    let text = request.messages[1].joined_text();
    let begins = "<earlier_summary>\nthey met\n</earlier_summary>\n<conversation>\nuser: what is it\n\
                  assistant: [calls f with {\"a\":1}]\ntool: 42\nassistant: éé";
    assert!(text.starts_with(begins) && text.ends_with("é [...]\n</conversation>"), "{}", &text[..200]);
    assert!(text.len() < 13_000, "{}", text.len());
    let again = Due { before: 1, ..due.clone() };
    assert_eq!((due.job_id("t"), due.digest()), (due.clone().job_id("t"), again.digest()));
    assert!(again.job_id("t") != due.job_id("t") && due.job_id("u") != due.job_id("t"));
    assert!(Due { earlier: None, ..due.clone() }.digest() != due.digest());
}
