//! What makes room, in which order, and for how long.

use super::*;
use crate::budget::Clearing;
use crate::prune::summary::StandIn;

/// Every message costs ten tokens, and two once cleared.
fn plan_tens(messages: &[Message], budget: &Budget, summary: Option<StandIn>) -> Result<Plan, Refusal> {
    let costs = vec![10; messages.len()];
    plan_costs(messages, &Costs { messages: &costs, overhead: 0, cleared: &|_, _| 2, summary: 5 }, budget, summary)
}

fn clearing(limit: u32, clear: Clearing) -> Budget {
    Budget { clear: Some(clear), ..whole(limit) }
}

fn keep(uses: usize) -> Clearing {
    Clearing { keep: uses, ..Clearing::default() }
}

/// The indices that are dropped, and those that are cleared.
fn cut(messages: &[Message], budget: &Budget) -> (Vec<usize>, Vec<usize>) {
    let plan = plan_tens(messages, budget, None).unwrap();
    let kept = plan.kept.unwrap_or_else(|| (0..messages.len()).collect());
    let dropped = (0..messages.len()).filter(|index| !kept.contains(index)).collect();
    (dropped, plan.cleared.iter().map(|(index, _)| *index).collect())
}

/// Two turns with two tool uses each: results at 2, 4 and 8, 10.
fn talk() -> Vec<Message> {
    let turn = |a: &str, b: &str| vec![user("q"), call(&[a]), result(a), call(&[b]), result(b), assistant("a")];
    [turn("a", "b"), turn("c", "d")].concat()
}

#[test]
fn old_tool_results_make_room_before_turns_do() {
    assert_eq!(cut(&talk(), &clearing(112, keep(2))), (vec![], vec![2]));
    assert_eq!(cut(&talk(), &clearing(104, keep(2))), (vec![], vec![2, 4]));
    assert_eq!(cut(&talk(), &clearing(103, keep(2))), ((0..6).collect(), vec![]));
    assert_eq!(cut(&talk(), &clearing(103, keep(1))), (vec![], vec![2, 4, 8]));
    assert_eq!(cut(&talk(), &whole(112)), ((0..6).collect(), vec![]));
    // The newest turn gives up old results too, before the request is refused.
    assert_eq!(cut(&talk(), &clearing(52, keep(1))), ((0..6).collect(), vec![8]));
    assert!(plan_tens(&talk(), &clearing(51, keep(1)), None).is_err());
}

#[test]
fn a_cleared_result_still_answers_its_call() {
    let plan = plan_tens(&talk(), &clearing(112, keep(0)), None).unwrap();
    let Block::ToolResult(cleared) = &plan.cleared[0].1.content[0] else { panic!("not a result") };
    assert_eq!(
        (cleared.tool_call_id.as_str(), cleared.content.as_slice()),
        ("a", [Block::text(clear::PLACEHOLDER)].as_slice())
    );
    assert_eq!((plan.report.tool_results_cleared, plan.report.tokens_cleared), (1, 8));
    assert_eq!((plan.report.tokens_before, plan.report.tokens_after), (120, 112));
}

#[test]
fn an_excluded_tool_is_left_alone() {
    let clear = Clearing { exclude_tools: ["look_up".to_owned()].into(), ..keep(0) };
    assert_eq!(cut(&talk(), &clearing(112, clear)), ((0..6).collect(), vec![]));
}

#[test]
fn arguments_are_cleared_when_that_is_asked_for() {
    let clear = Clearing { inputs: true, ..keep(3) };
    assert_eq!(cut(&talk(), &clearing(112, clear.clone())), (vec![], vec![1]));
    assert_eq!(cut(&talk(), &clearing(104, clear)), (vec![], vec![1, 2]));
}

#[test]
fn little_is_not_worth_a_new_prefix() {
    let at_least = |tokens: u64| clearing(112, Clearing { at_least: tokens, ..keep(1) });
    assert_eq!(cut(&talk(), &at_least(24)), (vec![], vec![2, 4, 8]));
    assert_eq!(cut(&talk(), &at_least(25)), ((0..6).collect(), vec![]));
}

#[test]
fn a_trigger_clears_all_but_the_kept_though_there_is_room() {
    let trigger = |tokens: u64| clearing(1000, Clearing { trigger: Some(tokens), ..keep(1) });
    assert_eq!(cut(&talk(), &trigger(119)), (vec![], vec![2, 4, 8]));
    assert_eq!(cut(&talk(), &trigger(120)), (vec![], vec![]));
}

#[test]
fn a_cut_goes_down_to_the_low_mark_and_stays() {
    let turns: Vec<Message> = (0..20).flat_map(|_| [user("q"), assistant("a")]).collect();
    let budget = Budget { low_water: 0.5, ..whole(100) };
    let dropped = |messages: usize| cut(&turns[..messages], &budget).0.len();
    let cuts: Vec<_> = (1..=20).map(|turn| dropped(2 * turn - 1)).collect();
    assert_eq!(cuts, [0, 0, 0, 0, 0, 6, 6, 6, 12, 12, 12, 18, 18, 18, 24, 24, 24, 30, 30, 30]);
    let stable = |messages: usize| plan_tens(&turns[..messages], &budget, None).unwrap().report.prefix_stable;
    let stable: Vec<_> = (1..=20).map(|turn| stable(2 * turn - 1)).collect();
    let breaks: Vec<_> = (0..20).filter(|turn| !stable[*turn]).collect();
    assert_eq!(breaks, [5, 8, 11, 14, 17]);
}

#[test]
fn the_newest_messages_go_last() {
    let messages = talk();
    let budget = Budget { keep_recent: 7, low_water: 0.1, ..clearing(112, keep(0)) };
    // Without the wish, everything old would go: of the first turn one message is among the newest seven.
    assert_eq!(cut(&messages, &budget), (vec![], vec![2, 4]));
    assert_eq!(cut(&messages, &Budget { keep_recent: 0, ..budget.clone() }), ((0..6).collect(), vec![8, 10]));
    // A wish is not a need.
    assert_eq!(cut(&messages, &Budget { room: room(60), ..budget }), ((0..6).collect(), vec![]));
}

#[test]
fn a_summary_stands_in_for_what_was_dropped() {
    let summary = Summary { text: "They greeted.".to_owned(), covers: 2, covers_lost: false };
    let messages = [system("s"), user("1"), assistant("1"), system("t"), user("2")];
    let told = |limit: u32| plan_tens(&messages, &whole(limit), Some(summary.stand_in())).unwrap();
    assert_eq!(told(50).summary, None, "nothing is dropped");
    let plan = told(35);
    assert_eq!((plan.kept.as_deref(), plan.report.tokens_after), (Some([0, 3, 4].as_slice()), 35));
    assert!(plan.report.summary_used && plan.report.messages_after == 4 && plan.saved.summary == 5);
    let request = ChatRequest { messages: messages.to_vec(), ..ChatRequest::default() };
    let sent = plan.apply(&request).into_owned().messages;
    assert_eq!([&sent[0], &sent[2], &sent[3]], [&messages[0], &messages[3], &messages[4]]);
    assert_eq!(sent[1].joined_text(), "Summary of the conversation before what follows:\nThey greeted.");
    let plan = told(34);
    assert_eq!((plan.summary, plan.report.tokens_after), (None, 30), "no room for it");
}

#[test]
fn a_summary_is_left_out_when_it_says_nothing_or_is_not_wanted() {
    let messages = vec![user("one two three four"), assistant("1"), user("2")];
    let request = ChatRequest { messages, ..ChatRequest::default() };
    let counter = Counter::new(8);
    let meter = counter.meter(Tokenizer::of_name("gpt-4o"));
    let of = |text: &str, covers: usize, summarize: bool, limit: u32| {
        let summary = Summary { text: text.to_owned(), covers, covers_lost: false };
        let budget = Budget { summarize, low_water: 0.1, ..Budget::of(room(limit)) };
        prune(&request, &budget, &meter, Some(&summary)).unwrap().report.summary_used
    };
    let needed = u32::try_from(meter.request(&request)).unwrap();
    assert!(!of("x", 1, true, needed));
    let roomy = needed - 1;
    assert!(!of("", 1, true, roomy) && !of("x", 0, true, roomy) && !of("x", 1, false, roomy));
}

#[test]
fn a_summary_of_what_is_kept_nowhere_is_always_sent() {
    let messages = [system("s"), user("1"), assistant("1"), user("2")];
    let request = ChatRequest { messages: messages.to_vec(), ..ChatRequest::default() };
    let summary = Summary { text: "They greeted.".to_owned(), covers: 0, covers_lost: true };
    let told = |limit: u32| plan_tens(&messages, &whole(limit), Some(summary.stand_in())).unwrap();
    let plan = told(45);
    assert_eq!((plan.kept.as_deref(), plan.report.tokens_after, plan.report.messages_after), (None, 45, 5));
    assert!(plan.report.summary_used && !plan.is_whole());
    let sent = plan.apply(&request).into_owned().messages;
    assert_eq!((sent.len(), &sent[2..]), (5, &messages[1..]));
    let plan = told(44);
    assert_eq!((plan.kept.as_deref(), plan.report.tokens_after), (Some([0, 3].as_slice()), 25));
    let plan = told(20);
    assert_eq!((plan.summary, plan.report.tokens_after), (None, 20), "no room for it");
}
