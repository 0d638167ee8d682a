//! What pruning must never do, over generated conversations. The checks read messages and costs alone; they share no
//! code with the pruner.

use proptest::prelude::*;
use schemas::chat::{Block, ChatRequest, Extra, ImageSource, Message, Role, ToolCall, ToolResult};
use schemas::job::ContextStrategy;

use super::*;
use crate::tokens::{Counter, Tokenizer};

/// A piece of a conversation.
#[derive(Debug, Clone)]
enum Step {
    System(Role),
    User(Body),
    Assistant(Body),
    /// Calls made at once, the last of them in a message of their own when nested; results in one message or several.
    Exchange {
        calls: usize,
        nested: bool,
        together: bool,
        reversed: bool,
    },
    Orphan,
    Unanswered,
}

#[derive(Debug, Clone)]
enum Body {
    Empty,
    Short,
    Long(usize),
    Image,
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        1 => Just(Body::Empty),
        6 => Just(Body::Short),
        2 => (1_usize..400).prop_map(Body::Long),
        1 => Just(Body::Image),
    ]
}

fn exchange() -> impl Strategy<Value = Step> {
    (1_usize..5, any::<[bool; 3]>()).prop_map(|(calls, [nested, together, reversed])| Step::Exchange {
        calls,
        nested,
        together,
        reversed,
    })
}

/// `faults` in a thousand steps are broken.
fn step(faults: u32) -> impl Strategy<Value = Step> {
    prop_oneof![
        80 => prop_oneof![Just(Role::System), Just(Role::Developer)].prop_map(Step::System),
        350 => body().prop_map(Step::User),
        300 => body().prop_map(Step::Assistant),
        270 => exchange(),
        faults => prop_oneof![Just(Step::Orphan), Just(Step::Unanswered)],
    ]
}

fn conversation(steps: usize, faults: u32) -> impl Strategy<Value = Vec<Message>> {
    prop::collection::vec(step(faults), 0..steps).prop_map(|steps| steps.iter().flat_map(messages_of).collect())
}

fn messages_of(step: &Step) -> Vec<Message> {
    match step {
        Step::System(role) => vec![Message::text(*role, "Be brief.")],
        Step::User(body) => vec![message(Role::User, blocks(body))],
        Step::Assistant(body) => vec![message(Role::Assistant, blocks(body))],
        Step::Exchange { calls, nested, together, reversed } => exchanged(*calls, *nested, *together, *reversed),
        Step::Orphan => vec![message(Role::Tool, vec![result_of(77)])],
        Step::Unanswered => vec![message(Role::Assistant, vec![call_of(88)])],
    }
}

fn exchanged(calls: usize, nested: bool, together: bool, reversed: bool) -> Vec<Message> {
    let first = if nested { calls - 1 } else { calls };
    let mut messages = vec![message(Role::Assistant, (0..first).map(call_of).collect())];
    if nested {
        messages.push(message(Role::Assistant, vec![call_of(first)]));
    }
    let mut results: Vec<Block> = (0..calls).map(result_of).collect();
    if reversed {
        results.reverse();
    }
    if together {
        messages.push(message(Role::Tool, results));
    } else {
        messages.extend(results.into_iter().map(|result| message(Role::Tool, vec![result])));
    }
    messages
}

fn message(role: Role, content: Vec<Block>) -> Message {
    Message { content, ..Message::text(role, "") }
}

fn blocks(body: &Body) -> Vec<Block> {
    match body {
        Body::Empty => Vec::new(),
        Body::Short => vec![Block::text("What is the weather in Ulm?")],
        Body::Long(words) => vec![Block::text("words and more ".repeat(*words))],
        Body::Image => vec![Block::Image {
            source: ImageSource::Url { url: "https://example.org/x.png".to_owned() },
            detail: None,
            extra: Extra::new(),
        }],
    }
}

/// Ids come again in every exchange, as some providers make them.
fn call_of(number: usize) -> Block {
    let name = "weather".to_owned();
    Block::ToolCall(ToolCall {
        id: format!("call_{number}"),
        name,
        arguments: r#"{"city":"Ulm"}"#.to_owned(),
        extra: Extra::new(),
    })
}

fn result_of(number: usize) -> Block {
    let content = vec![Block::text("rain")];
    Block::ToolResult(ToolResult {
        tool_call_id: format!("call_{number}"),
        content,
        is_error: false,
        extra: Extra::new(),
    })
}

/// What must hold of what is sent, told as the first thing that does not.
fn forbidden(sent: &[&Message]) -> Option<String> {
    let mut spoken = sent.iter().filter(|message| !message.role.is_system());
    if spoken.next().is_some_and(|first| first.role != Role::User) {
        return Some("it does not begin with a user's message".to_owned());
    }
    let mut waiting: Vec<&str> = Vec::new();
    let mut called: Vec<&str> = Vec::new();
    for message in sent {
        if message.role == Role::User {
            if !waiting.is_empty() {
                return Some(format!("{waiting:?} are not answered"));
            }
            called.clear();
        }
        for block in &message.content {
            match block {
                Block::ToolCall(call) => {
                    waiting.push(&call.id);
                    called.push(&call.id);
                }
                Block::ToolResult(result) if !called.contains(&result.tool_call_id.as_str()) => {
                    return Some(format!("{} answers nothing", result.tool_call_id));
                }
                Block::ToolResult(result) => {
                    if let Some(at) = waiting.iter().rposition(|id| *id == result.tool_call_id) {
                        waiting.remove(at);
                    }
                }
                _ => {}
            }
        }
    }
    (!waiting.is_empty()).then(|| format!("{waiting:?} are not answered"))
}

fn budget(limit: u64) -> Budget {
    let window = u32::try_from(limit).unwrap();
    Budget { window, reserve_output: 0, cap: None, strategy: ContextStrategy::Auto }
}

/// The indices that are sent, or why none are.
fn sent(messages: &[Message], costs: &[u64], overhead: u64, limit: u64) -> Result<Vec<usize>, Refusal> {
    let plan = plan_costs(messages, costs, overhead, &budget(limit))?;
    let kept = plan.kept.unwrap_or_else(|| (0..messages.len()).collect());
    let tokens = overhead + kept.iter().map(|index| costs[*index]).sum::<u64>();
    assert_eq!(plan.report.tokens_after, tokens);
    assert_eq!(plan.report.messages_after as usize, kept.len());
    assert!(tokens <= limit, "{tokens} tokens are sent where {limit} are allowed");
    Ok(kept)
}

/// Tokens of what can never be left out: system messages and, from the newest user's on, everything.
fn required(messages: &[Message], costs: &[u64]) -> u64 {
    let newest = messages.iter().rposition(|message| message.role == Role::User);
    let needed = |index: usize| newest.is_some_and(|newest| index >= newest) || messages[index].role.is_system();
    (0..messages.len()).filter(|index| needed(*index)).map(|index| costs[index]).sum()
}

fn check(messages: &[Message], costs: &[u64], overhead: u64, limit: u64) -> Result<(), TestCaseError> {
    let newest = messages.iter().rposition(|message| message.role == Role::User);
    let kept = match sent(messages, costs, overhead, limit) {
        Ok(kept) => kept,
        Err(Refusal::TooLarge(refused)) => {
            prop_assert_eq!(refused.needed, overhead + required(messages, costs));
            prop_assert!(refused.needed > limit);
            return Ok(());
        }
        Err(Refusal::NoUser) => {
            prop_assert_eq!(newest, None);
            return Ok(());
        }
        Err(Refusal::Unpaired(fault)) => {
            prop_assert!(newest.is_some_and(|newest| fault.message() > newest));
            let tail: Vec<&Message> = messages[newest.unwrap_or_default()..].iter().collect();
            prop_assert!(forbidden(&tail).is_some());
            return Ok(());
        }
    };
    prop_assert!(kept.is_sorted_by(|a, b| a < b));
    let messages_sent: Vec<&Message> = kept.iter().map(|index| &messages[*index]).collect();
    prop_assert_eq!(forbidden(&messages_sent), None);
    for (index, message) in messages.iter().enumerate() {
        let needed = message.role.is_system() || newest.is_some_and(|newest| index >= newest);
        prop_assert!(!needed || kept.binary_search(&index).is_ok(), "message {} is lost", index);
    }
    check_again(messages, costs, overhead, limit, &kept)
}

/// What was pruned once is left alone, and a larger budget keeps no less.
fn check_again(
    messages: &[Message],
    costs: &[u64],
    overhead: u64,
    limit: u64,
    kept: &[usize],
) -> Result<(), TestCaseError> {
    let again: Vec<Message> = kept.iter().map(|index| messages[*index].clone()).collect();
    let again_costs: Vec<u64> = kept.iter().map(|index| costs[*index]).collect();
    let plan = plan_costs(&again, &again_costs, overhead, &budget(limit));
    prop_assert_eq!(plan.map(|plan| (plan.kept, plan.warnings)), Ok((None, Vec::new())));
    for larger in [limit + 1, limit + limit / 10 + 7, limit * 2, limit * 100] {
        let more = sent(messages, costs, overhead, larger);
        let more = more.map_err(|refusal| TestCaseError::fail(format!("{larger} tokens: {refusal}")))?;
        prop_assert!(kept.iter().all(|index| more.binary_search(index).is_ok()));
    }
    Ok(())
}

fn costs(messages: usize) -> impl Strategy<Value = Vec<u64>> {
    let cost = prop_oneof![1 => Just(0_u64), 8 => 1_u64..200, 1 => 200_u64..50_000];
    prop::collection::vec(cost, messages)
}

fn priced(steps: usize, faults: u32) -> impl Strategy<Value = (Vec<Message>, Vec<u64>)> {
    conversation(steps, faults).prop_flat_map(|messages| {
        let costs = costs(messages.len());
        (Just(messages), costs)
    })
}

proptest! {
    #[test]
    fn nothing_forbidden_is_sent((messages, costs) in priced(40, 30), overhead in 0_u64..50, share in 0_u64..=110) {
        let limit = (overhead + costs.iter().sum::<u64>()) * share / 100;
        check(&messages, &costs, overhead, limit)?;
    }

    /// The limit right at what must be sent, and one below it.
    #[test]
    fn the_budget_is_held_to_the_token((messages, costs) in priced(20, 0), overhead in 0_u64..50) {
        prop_assume!(messages.iter().any(|message| message.role == Role::User));
        let needed = overhead + required(&messages, &costs);
        check(&messages, &costs, overhead, needed)?;
        prop_assert!(sent(&messages, &costs, overhead, needed).is_ok());
        if needed > 0 {
            let refused = sent(&messages, &costs, overhead, needed - 1);
            prop_assert!(matches!(refused, Err(Refusal::TooLarge(_))), "{:?}", refused);
        }
    }

    /// No more is left out than must be: the youngest turn that was left out would not have fitted.
    #[test]
    fn nothing_is_left_out_needlessly((messages, costs) in priced(30, 0), share in 0_u64..100) {
        let limit = costs.iter().sum::<u64>() * share / 100;
        let Ok(kept) = sent(&messages, &costs, 0, limit) else { return Ok(()) };
        let begins = |index: &usize| messages[*index].role == Role::User;
        let dropped = (0..messages.len()).rev().find(|index| begins(index) && kept.binary_search(index).is_err());
        let Some(start) = dropped else { return Ok(()) };
        let end = (start + 1..messages.len()).find(begins).unwrap_or(messages.len());
        let turn: u64 = (start..end).filter(|index| !messages[*index].role.is_system()).map(|index| costs[index]).sum();
        let tokens: u64 = kept.iter().map(|index| costs[*index]).sum();
        prop_assert!(tokens + turn > limit, "{turn} more would have fitted beside {tokens} of {limit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn thousands_of_messages_are_no_different((messages, costs) in priced(2500, 5), share in 0_u64..=100) {
        check(&messages, &costs, 3, 3 + costs.iter().sum::<u64>() * share / 100)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_recount_of_what_is_sent_fits(messages in conversation(25, 10), limit in 0_u64..3000, name in 0_usize..3) {
        let tokenizer = Tokenizer::of_name(["gpt-4o", "gpt-4", "claude-sonnet-4-5"][name]);
        let request = ChatRequest { messages, ..ChatRequest::default() };
        let counter = Counter::new(1024);
        if let Ok(pruned) = prune(&request, &budget(limit), &counter.meter(tokenizer)) {
            let afresh = Counter::new(0);
            prop_assert_eq!(pruned.report.tokens_after, afresh.meter(tokenizer).request(&pruned.request));
            prop_assert_eq!(pruned.report.tokens_before, afresh.meter(tokenizer).request(&request));
            prop_assert!(pruned.report.tokens_after <= limit);
            prop_assert_eq!(pruned.report.messages_after as usize, pruned.request.messages.len());
        }
    }
}
