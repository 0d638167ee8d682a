//! What pruning promises, over generated conversations. The checks read messages and costs alone; they share no code
//! with the pruner.

mod conversation;
mod forbidden;
mod steady;

use proptest::prelude::*;
use schemas::chat::{Block, ChatRequest, Message, Role};
use schemas::context::ContextStrategy;

use self::conversation::{TOOLS, conversation, priced};
use self::forbidden::forbidden;
use super::layout::Layout;
use super::plan::{Costs, plan_costs};
use super::replay::{Aims, cut};
use super::*;
use crate::budget::{Clearing, Room};
use crate::tokens::{Counter, Tokenizer};

/// Tokens of the rest of a request.
const OVERHEAD: u64 = 7;

fn room(limit: u64) -> Room {
    let window = u32::try_from(limit).unwrap();
    Room { window, reserve_output: 0, cap: None, strategy: ContextStrategy::Auto }
}

/// Turns are dropped as late as can be, and nothing else is done.
fn late(limit: u64) -> Budget {
    Budget { low_water: 1.0, clear: None, ..Budget::of(room(limit)) }
}

/// A budget of a share of `total`, with every option.
fn any_budget() -> impl Strategy<Value = Budget> {
    let low_water = prop_oneof![Just(1.0), Just(0.6), 0.01_f64..=1.0];
    (low_water, prop_oneof![3 => Just(0), 1 => 0_usize..20], prop::option::of(clearing()))
        .prop_map(|(low_water, keep_recent, clear)| Budget { low_water, keep_recent, clear, ..late(0) })
}

fn clearing() -> impl Strategy<Value = Clearing> {
    let rare = |most: u64| prop::option::weighted(0.2, 0..most);
    (0_usize..6, any::<[bool; 2]>(), rare(2000), rare(8000)).prop_map(
        |(keep, [excludes, inputs], at_least, trigger)| Clearing {
            keep,
            exclude_tools: excludes.then(|| TOOLS[2].to_owned()).into_iter().collect(),
            inputs,
            at_least: at_least.unwrap_or(0),
            trigger,
        },
    )
}

/// What a message costs once cleared.
const CLEARED: u64 = 12;

fn plan_of(messages: &[Message], costs: &[u64], budget: &Budget) -> Result<Plan, Refusal> {
    let cleared = |_: usize, _: &Message| CLEARED;
    plan_costs(messages, &Costs { messages: costs, overhead: OVERHEAD, cleared: &cleared, summary: 0 }, budget, None)
}

fn kept_of(plan: &Plan, messages: usize) -> Vec<usize> {
    plan.kept.clone().unwrap_or_else(|| (0..messages).collect())
}

fn cleared_of(plan: &Plan) -> Vec<usize> {
    plan.cleared.iter().map(|(index, _)| *index).collect()
}

/// The plan, once its report is borne out.
fn sound(messages: &[Message], costs: &[u64], budget: &Budget) -> Result<Plan, Refusal> {
    let plan = plan_of(messages, costs, budget)?;
    let (kept, cleared) = (kept_of(&plan, messages.len()), cleared_of(&plan));
    let cost = |index: &usize| if cleared.contains(index) { CLEARED } else { costs[*index] };
    let tokens = OVERHEAD + kept.iter().map(cost).sum::<u64>();
    let report = plan.report;
    assert!(kept.is_sorted_by(|a, b| a < b) && cleared.iter().all(|index| kept.binary_search(index).is_ok()));
    assert_eq!(report.tokens_after, tokens);
    assert_eq!(report.tokens_before, OVERHEAD + costs.iter().sum::<u64>());
    assert_eq!(report.tokens_before - tokens, plan.saved.cleared + plan.saved.dropped);
    assert_eq!(report.messages_after as usize, kept.len());
    assert!(tokens <= budget.limit(), "{tokens} tokens are sent where {} are allowed", budget.limit());
    Ok(plan)
}

fn applied(plan: &Plan, messages: &[Message]) -> Vec<Message> {
    let request = ChatRequest { messages: messages.to_vec(), ..ChatRequest::default() };
    plan.apply(&request).into_owned().messages
}

fn newest_user(messages: &[Message]) -> Option<usize> {
    let carries = |message: &Message| message.content.iter().any(|block| matches!(block, Block::ToolResult(_)));
    messages.iter().rposition(|message| message.role == Role::User && !carries(message))
}

/// What stands before the first user's message is left out at once, whatever the budget.
fn from_first_user<'a>(messages: &'a [Message], costs: &'a [u64]) -> (&'a [Message], &'a [u64]) {
    let is_begin = |end: &usize| newest_user(&messages[..=*end]).is_some();
    let start = (0..messages.len()).find(is_begin).unwrap_or(messages.len());
    (&messages[start..], &costs[start..])
}

/// Tokens of what can never be left out: system messages and, from the newest user's on, everything.
fn required(messages: &[Message], costs: &[u64]) -> u64 {
    let newest = newest_user(messages);
    let needed = |index: usize| newest.is_some_and(|newest| index >= newest) || messages[index].role.is_system();
    OVERHEAD + (0..messages.len()).filter(|index| needed(*index)).map(|index| costs[index]).sum::<u64>()
}

fn check(messages: &[Message], costs: &[u64], budget: &Budget) -> Result<(), TestCaseError> {
    let newest = newest_user(messages);
    let plan = match sound(messages, costs, budget) {
        Ok(plan) => plan,
        Err(Refusal::TooLarge(refused)) => {
            prop_assert!(refused.needed > budget.limit() && refused.needed <= required(messages, costs));
            prop_assert!(budget.clear.is_some() || refused.needed == required(messages, costs));
            return Ok(());
        }
        Err(Refusal::NoUser) => {
            prop_assert_eq!(newest, None);
            return Ok(());
        }
        Err(Refusal::Unpaired(fault)) => {
            prop_assert!(newest.is_some_and(|newest| fault.message() > newest));
            prop_assert!(forbidden(&messages[newest.unwrap_or_default()..]).is_some());
            return Ok(());
        }
    };
    let sent = applied(&plan, messages);
    prop_assert_eq!(forbidden(&sent), None);
    let kept = kept_of(&plan, messages.len());
    for (index, message) in messages.iter().enumerate() {
        let needed = message.role.is_system() || newest.is_some_and(|newest| index >= newest);
        prop_assert!(!needed || kept.binary_search(&index).is_ok(), "message {} is lost", index);
    }
    // A turn that cannot be sent had tool uses too while nobody knew.
    let keep = if plan.warnings.is_empty() { budget.clear.as_ref().map_or(0, |clear| clear.keep) } else { 0 };
    forbidden::check_cleared(messages, &sent, &kept, budget, keep)?;
    // What was pruned once is left alone.
    let cost = |index: &usize| if cleared_of(&plan).contains(index) { CLEARED } else { costs[*index] };
    let again = plan_of(&sent, &kept.iter().map(cost).collect::<Vec<_>>(), budget).unwrap();
    prop_assert!(again.is_whole() && again.warnings.is_empty(), "{:?} of {:?}", again.report, plan.report);
    Ok(())
}

fn share_of(costs: &[u64], share: u64) -> Room {
    room((OVERHEAD + costs.iter().sum::<u64>()) * share / 100)
}

proptest! {
    #[test]
    fn nothing_forbidden_is_sent((messages, costs) in priced(40, 30), budget in any_budget(), share in 0_u64..=110) {
        check(&messages, &costs, &Budget { room: share_of(&costs, share), ..budget })?;
    }

    /// The limit right at what must be sent, and one below it.
    #[test]
    fn the_budget_is_held_to_the_token((messages, costs) in priced(20, 0)) {
        prop_assume!(newest_user(&messages).is_some());
        let needed = required(&messages, &costs);
        prop_assert!(sound(&messages, &costs, &late(needed)).is_ok());
        let refused = sound(&messages, &costs, &late(needed - 1));
        prop_assert!(matches!(refused, Err(Refusal::TooLarge(_))), "{:?}", refused);
    }

    /// With the low-water mark at 1: of a larger budget no message less is sent, and, when nothing is cleared, no more is
    /// left out than must be: the youngest turn that was left out would not have fitted.
    #[test]
    fn a_larger_budget_never_keeps_less(
        (messages, costs) in priced(40, 30), clear in prop::option::of(clearing()), share in 0_u64..110,) {
        let clear = clear.map(|clear| Clearing { at_least: 0, trigger: None, ..clear });
        let room = share_of(&costs, share);
        let budget = Budget { room, clear, ..late(0) };
        let Ok(plan) = sound(&messages, &costs, &budget) else { return Ok(()) };
        let kept = kept_of(&plan, messages.len());
        let limit = budget.limit();
        for larger in [limit + 1, limit + limit / 10 + 7, limit * 2, limit * 100] {
            let room = Room { window: u32::try_from(larger).unwrap(), ..room };
            let more = sound(&messages, &costs, &Budget { room, ..budget.clone() });
            let more = more.map_err(|refusal| TestCaseError::fail(format!("{larger} tokens: {refusal}")))?;
            let more_kept = kept_of(&more, messages.len());
            prop_assert!(kept.iter().all(|index| more_kept.binary_search(index).is_ok()));
            prop_assert!(budget.clear.is_some() || more.report.tokens_after >= plan.report.tokens_after);
        }
    }

    /// At least the low-water mark is kept, unless the youngest thing that was left out would not fit beside it.
    #[test]
    fn a_cut_leaves_the_low_mark((messages, costs) in priced(60, 0), budget in any_budget(), share in 0_u64..100) {
        let (messages, costs) = from_first_user(&messages, &costs);
        let clear = budget.clear.clone().map(|clear| Clearing { at_least: 0, trigger: None, ..clear });
        let budget = Budget { room: share_of(costs, share), clear, ..budget };
        let Ok(plan) = sound(messages, costs, &budget) else { return Ok(()) };
        let tokens = plan.report.tokens_after;
        let kept = kept_of(&plan, messages.len());
        if plan.is_whole() || tokens >= budget.low_mark() { return Ok(()) }
        let is_begin = |index: &usize| newest_user(&messages[..=*index]) == Some(*index);
        let dropped = (0..messages.len()).rev().find(|index| is_begin(index) && kept.binary_search(index).is_err());
        let turn = dropped.map(|start| {
            let end = (start + 1..messages.len()).find(is_begin).unwrap_or(messages.len());
            (start..end).filter(|index| !messages[*index].role.is_system()).map(|index| costs[index]).sum::<u64>()
        });
        let result = cleared_of(&plan).last().map(|index| costs[*index] - CLEARED);
        let bridges = |more: u64| tokens + more > budget.limit();
        prop_assert!(turn.is_some_and(bridges) || result.is_some_and(bridges), "{tokens} of {}", budget.limit());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn thousands_of_messages_are_no_different((messages, costs) in priced(2500, 5), budget in any_budget(), share in 0_u64..=100) {
        check(&messages, &costs, &Budget { room: share_of(&costs, share), ..budget })?;
    }

    /// No message is looked at more often because there are more of them.
    #[test]
    fn the_work_is_linear((messages, costs) in priced(2500, 30), budget in any_budget(), share in 0_u64..=100) {
        let budget = Budget { room: share_of(&costs, share), ..budget };
        let layout = Layout::of(&messages, &costs, budget.clear.as_ref(), |_, _| CLEARED);
        let work = cut(&layout, OVERHEAD, Aims::of(&budget, 0)).work;
        prop_assert!(work <= 4 * messages.len(), "{work} steps for {} messages", messages.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_recount_of_what_is_sent_fits(
        messages in conversation(25, 10), budget in any_budget(), limit in 0_u64..3000, name in 0_usize..3,
        told in 0_usize..40, covers_lost: bool,
    ) {
        let tokenizer = Tokenizer::of_name(["gpt-4o", "gpt-4", "claude-sonnet-4-5"][name]);
        let request = ChatRequest { messages, ..ChatRequest::default() };
        let counter = Counter::new(1024);
        let summary = Summary { text: "They spoke of the weather. ".repeat(told), covers: 4, covers_lost };
        let budget = Budget { room: room(limit), ..budget };
        if let Ok(pruned) = prune(&request, &budget, &counter.meter(tokenizer), Some(&summary)) {
            let afresh = Counter::new(0);
            let (report, sent) = (pruned.report, &pruned.request.messages);
            prop_assert_eq!(report.tokens_after, afresh.meter(tokenizer).request(&pruned.request));
            prop_assert_eq!(report.tokens_before, afresh.meter(tokenizer).request(&request));
            prop_assert!(report.tokens_after <= limit);
            prop_assert_eq!(report.messages_after as usize, sent.len());
            let told = sent.iter().filter(|message| message.joined_text().contains("They spoke")).count();
            prop_assert_eq!(told, usize::from(report.summary_used));
            prop_assert!(!report.summary_used || covers_lost || pruned.saved.dropped > 0);
            prop_assert_eq!(forbidden(sent), None);
        }
    }
}
