//! Conversations of every kind, made piece by piece.

use proptest::prelude::*;
use schemas::chat::{Block, Extra, ImageSource, Message, Reasoning, Role, ToolCall, ToolResult};
use serde_json::json;

/// A piece of a conversation.
#[derive(Debug, Clone)]
enum Step {
    System(Role),
    User(Body),
    Assistant(Body),
    Exchange(Exchange),
    Orphan,
    Unanswered,
}

/// Calls made at once, the last of them in a message of their own when nested; results in one message or several.
#[derive(Debug, Clone)]
struct Exchange {
    calls: usize,
    nested: bool,
    together: bool,
    reversed: bool,
    /// A user's message carries the results, as in Anthropic's API.
    by_user: bool,
    /// The first call is answered twice.
    twice: bool,
    /// So many more calls that only a dialect knows, each answered in a message of its own.
    hosted: usize,
    said: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Empty,
    Short,
    Long(usize),
    Image,
    Thought,
}

/// The tools of every conversation; the last of them is never cleared where tests exclude one.
pub(super) const TOOLS: [&str; 3] = ["weather", "search", "memory"];

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        1 => Just(Body::Empty),
        6 => Just(Body::Short),
        2 => (1_usize..400).prop_map(Body::Long),
        1 => Just(Body::Image),
    ]
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let said = prop_oneof![3 => body(), 1 => Just(Body::Thought)];
    let hosted = prop_oneof![3 => Just(0_usize), 1 => 1_usize..3];
    (1_usize..5, any::<[bool; 4]>(), prop::bool::weighted(0.1), hosted, said).prop_map(
        |(calls, [nested, together, reversed, by_user], twice, hosted, said)| Exchange {
            calls,
            nested,
            together,
            reversed,
            by_user,
            twice,
            hosted,
            said,
        },
    )
}

/// `faults` in a thousand steps are broken.
fn step(faults: u32) -> impl Strategy<Value = Step> {
    prop_oneof![
        80 => prop_oneof![Just(Role::System), Just(Role::Developer)].prop_map(Step::System),
        350 => body().prop_map(Step::User),
        300 => body().prop_map(Step::Assistant),
        270 => exchange().prop_map(Step::Exchange),
        faults => prop_oneof![Just(Step::Orphan), Just(Step::Unanswered)],
    ]
}

pub(super) fn conversation(steps: usize, faults: u32) -> impl Strategy<Value = Vec<Message>> {
    prop::collection::vec(step(faults), 0..steps).prop_map(|steps| steps.iter().flat_map(messages_of).collect())
}

/// A conversation, and what each message of it costs.
pub(super) fn priced(steps: usize, faults: u32) -> impl Strategy<Value = (Vec<Message>, Vec<u64>)> {
    conversation(steps, faults).prop_flat_map(|messages| {
        let cost = prop_oneof![1 => Just(0_u64), 8 => 1_u64..200, 1 => 200_u64..50_000];
        let costs = prop::collection::vec(cost, messages.len());
        (Just(messages), costs)
    })
}

fn messages_of(step: &Step) -> Vec<Message> {
    match step {
        Step::System(role) => vec![Message::text(*role, "Be brief.")],
        Step::User(body) => vec![message(Role::User, blocks(body))],
        Step::Assistant(body) => vec![message(Role::Assistant, blocks(body))],
        Step::Exchange(exchange) => exchanged(exchange),
        Step::Orphan => vec![message(Role::Tool, vec![result_of(77)])],
        Step::Unanswered => vec![message(Role::Assistant, vec![call_of(88)])],
    }
}

fn exchanged(exchange: &Exchange) -> Vec<Message> {
    let Exchange { calls, nested, together, reversed, by_user, twice, hosted, .. } = *exchange;
    let first = if nested { calls - 1 } else { calls };
    let asked = (0..hosted).map(|number| hosted_item("shell_call", number));
    let said = blocks(&exchange.said).into_iter().chain(asked).chain((0..first).map(call_of));
    let mut messages = vec![message(Role::Assistant, said.collect())];
    if nested {
        messages.push(message(Role::Assistant, vec![call_of(first)]));
    }
    let mut results: Vec<Block> = (0..calls).map(result_of).collect();
    if twice {
        results.push(result_of(0));
    }
    if reversed {
        results.reverse();
    }
    let role = if by_user { Role::User } else { Role::Tool };
    if together {
        messages.push(message(role, results));
    } else {
        messages.extend(results.into_iter().map(|result| message(role, vec![result])));
    }
    for number in 0..hosted {
        // Before the last of the other results, or behind it.
        let place = messages.len() - usize::from(reversed);
        messages.insert(place, message(Role::Tool, vec![hosted_item("shell_call_output", number)]));
    }
    messages
}

/// An item of a tool that the pruner does not know.
fn hosted_item(kind: &str, number: usize) -> Block {
    Block::Opaque { dialect: "openai_responses".to_owned(), value: json!({"type": kind, "call_id": number}) }
}

pub(super) fn message(role: Role, content: Vec<Block>) -> Message {
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
        Body::Thought => {
            vec![Block::Reasoning(Reasoning { signature: Some("proof".to_owned()), ..Reasoning::text("hm") })]
        }
    }
}

/// Ids come again in every exchange, as some providers make them.
fn call_of(number: usize) -> Block {
    let name = TOOLS[number % TOOLS.len()].to_owned();
    let arguments = r#"{"city":"Ulm"}"#.to_owned();
    Block::ToolCall(ToolCall { id: format!("call_{number}"), name, arguments, extra: Extra::new() })
}

fn result_of(number: usize) -> Block {
    let content = vec![Block::text("rain and more rain ".repeat(number * 20 + 1))];
    let tool_call_id = format!("call_{number}");
    Block::ToolResult(ToolResult { tool_call_id, content, is_error: false, extra: Extra::new() })
}
