//! Conversations by example.

mod layers;
mod marks;

use schemas::catalog::Model;
use schemas::chat::{Block, ChatRequest, Extra, Message, Role, Sampling, ToolCall, ToolResult};
use schemas::context::{ContextOptions, ContextStrategy};
use schemas::dialect::{anthropic, openai_responses};
use schemas::error::{ErrorCode, Failure};
use serde_json::json;

use super::plan::{Costs, plan_costs};
use super::*;
use crate::budget::{Room, budget_for};
use crate::tokens::{Counter, Tokenizer};

fn call(ids: &[&str]) -> Message {
    let calls = ids.iter().map(|id| {
        Block::ToolCall(ToolCall {
            id: (*id).to_owned(),
            name: "look_up".to_owned(),
            arguments: "{}".to_owned(),
            extra: Extra::new(),
        })
    });
    Message { content: calls.collect(), ..Message::text(Role::Assistant, "") }
}

fn result(id: &str) -> Message {
    let content = vec![Block::text("42")];
    let result = ToolResult { tool_call_id: id.to_owned(), content, is_error: false, extra: Extra::new() };
    Message { content: vec![Block::ToolResult(result)], ..Message::text(Role::Tool, "") }
}

fn system(text: &str) -> Message {
    Message::text(Role::System, text)
}

fn user(text: &str) -> Message {
    Message::text(Role::User, text)
}

fn assistant(text: &str) -> Message {
    Message::text(Role::Assistant, text)
}

/// Plans as if every message cost one token and the rest of the request none.
fn plan_of(messages: &[Message], limit: u32, strategy: ContextStrategy) -> Result<Plan, Refusal> {
    plan_with(messages, &Budget { room: Room { strategy, ..room(limit) }, ..whole(limit) })
}

fn plan_with(messages: &[Message], budget: &Budget) -> Result<Plan, Refusal> {
    let costs = vec![1; messages.len()];
    plan_costs(messages, &Costs { messages: &costs, overhead: 0, cleared: &|_, _| 0, summary: 1 }, budget, None)
}

const fn room(limit: u32) -> Room {
    Room { window: limit, reserve_output: 0, cap: None, strategy: ContextStrategy::Auto }
}

/// Turns are dropped as late as can be, and nothing else is done.
fn whole(limit: u32) -> Budget {
    Budget { low_water: 1.0, clear: None, ..Budget::of(room(limit)) }
}

/// The indices kept by `auto`.
fn kept_of(messages: &[Message], limit: u32) -> Vec<usize> {
    let plan = plan_of(messages, limit, ContextStrategy::Auto).unwrap();
    plan.kept.unwrap_or_else(|| (0..messages.len()).collect())
}

#[test]
fn the_oldest_turns_go_first_and_whole() {
    let messages = [system("s"), user("1"), assistant("1"), user("2"), assistant("2"), user("3")];
    assert_eq!(kept_of(&messages, 6), [0, 1, 2, 3, 4, 5]);
    assert_eq!(kept_of(&messages, 5), [0, 3, 4, 5]);
    assert_eq!(kept_of(&messages, 4), [0, 3, 4, 5]);
    assert_eq!(kept_of(&messages, 3), [0, 5]);
    assert_eq!(kept_of(&messages, 2), [0, 5]);
}

#[test]
fn what_fits_is_not_copied() {
    let request = ChatRequest { messages: vec![system("s"), user("1")], ..ChatRequest::default() };
    let counter = Counter::new(8);
    let meter = counter.meter(Tokenizer::of_name("gpt-4o"));
    let pruned = prune(&request, &Budget::of(room(1000)), &meter, None).unwrap();
    assert!(matches!(pruned.request, Cow::Borrowed(_)));
    assert!(pruned.warnings.is_empty() && pruned.report.prefix_stable);
}

#[test]
fn system_messages_stay_in_their_places() {
    let messages = [
        system("a"),
        user("1"),
        system("b"),
        assistant("1"),
        Message::text(Role::Developer, "c"),
        user("2"),
        system("d"),
    ];
    assert_eq!(kept_of(&messages, 5), [0, 2, 4, 5, 6]);
}

#[test]
fn a_tool_exchange_stays_with_its_turn() {
    let messages = [user("1"), call(&["a", "b"]), result("b"), call(&["c"]), result("c"), result("a"), user("2")];
    assert_eq!(kept_of(&messages, 7).len(), 7);
    assert_eq!(kept_of(&messages, 6), [6]);
    let newest = [user("1"), assistant("1"), user("2"), call(&["a"]), result("a")];
    assert_eq!(kept_of(&newest, 3), [2, 3, 4]);
}

#[test]
fn results_in_a_users_message_belong_to_the_turn_of_their_calls() {
    let carrier = Message { role: Role::User, ..result("a") };
    let messages = [user("1"), call(&["a"]), carrier, assistant("1"), user("2")];
    assert_eq!(kept_of(&messages, 5).len(), 5);
    assert_eq!(kept_of(&messages, 4), [4]);
}

/// As OpenAI's models call a hosted tool beside a function, and clients answer both.
#[test]
fn the_output_of_a_hosted_tool_belongs_to_the_turn_of_its_call() {
    let call = |kind: &str, id: &str| json!({"type": kind, "call_id": id, "name": "f", "arguments": "{}"});
    let output = |kind: &str, id: &str| json!({"type": kind, "call_id": id, "output": "42"});
    let input = json!([
        {"role": "user", "content": "1"}, call("function_call", "a"), call("shell_call", "b"),
        output("shell_call_output", "b"), output("function_call_output", "a"),
        call("shell_call", "c"), output("shell_call_output", "c"), {"role": "user", "content": "2"},
    ]);
    let decoded = openai_responses::decode_request(json!({"model": "m", "input": input})).unwrap();
    let messages = decoded.request.messages;
    assert_eq!(kept_of(&messages, 7), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(kept_of(&messages, 6), [6]);
    assert_eq!(kept_of(&messages[..6], 6).len(), 6, "in the newest turn");
}

#[test]
fn several_results_of_one_call_are_one_exchange() {
    let messages = [user("1"), call(&["a"]), result("a"), result("a"), user("2")];
    assert_eq!(kept_of(&messages, 5).len(), 5);
}

#[test]
fn an_older_turn_with_a_fault_is_left_out_and_told() {
    let orphan = [user("1"), result("x"), user("2"), assistant("2"), user("3")];
    let plan = plan_of(&orphan, 100, ContextStrategy::Auto).unwrap();
    assert_eq!(plan.kept, Some(vec![2, 3, 4]));
    assert_eq!(plan.warnings.len(), 1);
    assert_eq!(plan.warnings[0].param.as_deref(), Some("messages[0]"));
    assert_eq!(
        plan.warnings[0].message,
        "messages 0 to 1 were left out: the tool result in messages[1] answers no tool call before it in its turn"
    );
    let unanswered = [user("1"), call(&["a", "b"]), result("a"), user("2")];
    assert_eq!(kept_of(&unanswered, 100), [3]);
    let same_id_twice = [user("1"), call(&["a", "a"]), result("a"), user("2")];
    assert_eq!(kept_of(&same_id_twice, 100), [3]);
    let across_turns = [user("0"), user("1"), call(&["a"]), user("2"), result("a"), user("3")];
    assert_eq!(kept_of(&across_turns, 100), [0, 5]);
}

#[test]
fn a_fault_in_what_must_be_sent_is_refused() {
    let orphan = [user("1"), assistant("1"), user("2"), result("x")];
    assert_eq!(plan_of(&orphan, 100, ContextStrategy::Auto), Err(Refusal::Unpaired(Fault::Orphan(3))));
    let unanswered = [user("1"), call(&["a"])];
    assert_eq!(plan_of(&unanswered, 100, ContextStrategy::Auto), Err(Refusal::Unpaired(Fault::Unanswered(1))));
    let older = [user("1"), result("x"), user("2")];
    assert_eq!(plan_of(&older, 100, ContextStrategy::Disabled), Err(Refusal::Unpaired(Fault::Orphan(1))));
}

#[test]
fn what_stands_before_the_first_user_message_is_left_out() {
    let messages = [system("s"), assistant("hello"), result("cut off"), user("1"), assistant("1")];
    assert_eq!(kept_of(&messages, 100), [0, 3, 4]);
    let plan = plan_of(&messages, 100, ContextStrategy::Auto).unwrap();
    assert_eq!(plan.warnings.len(), 1);
    assert_eq!((plan.report.messages_before, plan.report.messages_after), (5, 3));
}

#[test]
fn a_conversation_without_a_user_is_sent_only_when_it_is_all_instructions() {
    assert_eq!(kept_of(&[system("a"), system("b")], 2), [0, 1]);
    assert_eq!(plan_of(&[system("a"), assistant("b")], 9, ContextStrategy::Auto), Err(Refusal::NoUser));
    assert_eq!(kept_of(&[], 0), [] as [usize; 0]);
}

#[test]
fn disabled_sends_all_or_nothing() {
    let messages = [assistant("hello"), user("1"), assistant("1"), user("2")];
    let plan = plan_of(&messages, 4, ContextStrategy::Disabled).unwrap();
    assert_eq!((plan.kept, plan.report.tokens_after), (None, 4));
    let refused = plan_of(&messages, 3, ContextStrategy::Disabled);
    assert!(matches!(refused, Err(Refusal::TooLarge(TooLarge { needed: 4, .. }))), "{refused:?}");
}

#[test]
fn a_refusal_names_the_sizes() {
    let room = Room { window: 100, reserve_output: 60, cap: Some(30), strategy: ContextStrategy::Auto };
    let costs = Costs { messages: &[10, 25], overhead: 3, cleared: &|_, _| 0, summary: 0 };
    let refused = plan_costs(&[system("s"), user("1")], &costs, &Budget::of(room), None).unwrap_err();
    let failure = Failure::from(refused);
    assert_eq!((failure.code, failure.param.as_deref()), (ErrorCode::InvalidRequest, Some("messages")));
    assert_eq!(
        failure.message,
        "context_length_exceeded: the conversation needs 38 input tokens for its system prompts, tools and newest turn \
         alone, and 30 are allowed: a window of 100 less 60 kept for the answer, and at most 30 asked for"
    );
    let openai = openai_responses::encode_error(&failure);
    let expected = json!(["invalid_request_error", "messages", "context_length_exceeded"]);
    assert_eq!(json!([openai["error"]["type"], openai["error"]["param"], openai["error"]["code"]]), expected);
    let told = anthropic::encode_error(&failure)["error"]["message"].to_string();
    assert!(told.starts_with("\"prompt is too long: the conversation needs 38"), "{told}");
}

#[test]
fn a_budget_leaves_room_for_the_answer() {
    let model: Model = toml_model(8192, 1024);
    let mut request = ChatRequest::default();
    let options = ContextOptions::default();
    assert_eq!(budget_for(&model, &request, &options).limit(), 7168);
    request.sampling = Sampling { max_tokens: Some(192), ..Sampling::default() };
    assert_eq!(budget_for(&model, &request, &options).limit(), 8000);
    let disabled = Some(ContextStrategy::Disabled);
    let capped = ContextOptions { budget: Some(500), strategy: disabled, ..ContextOptions::default() };
    let budget = budget_for(&model, &request, &capped);
    assert_eq!((budget.limit(), budget.room.strategy), (500, ContextStrategy::Disabled));
    let beyond = ContextOptions { budget: Some(u32::MAX), ..ContextOptions::default() };
    assert_eq!(budget_for(&model, &request, &beyond).limit(), 8000);
    request.sampling.max_tokens = Some(9000);
    assert_eq!(budget_for(&model, &request, &options).limit(), 7168, "no more is asked of the model than it can");
    let unknown = Model { max_output: None, ..model };
    assert_eq!(budget_for(&unknown, &request, &options).limit(), 0);
    request.sampling.max_tokens = None;
    assert_eq!(budget_for(&unknown, &request, &options).limit(), 4096);
}

fn toml_model(window: u32, output: u32) -> Model {
    let json = serde_json::json!({ "name": "m", "context_window": window, "max_output": output });
    serde_json::from_value(json).unwrap()
}
