//! What must never be sent, told as the first thing that is wrong.

use std::collections::HashMap;

use proptest::prelude::*;
use schemas::chat::{Block, Message, Role, ToolResult};
use serde_json::Value;

use crate::budget::Budget;

/// What is wrong with a conversation.
pub(super) fn forbidden(sent: &[Message]) -> Option<String> {
    let mut spoken = sent.iter().filter(|message| !message.role.is_system());
    if spoken.next().is_some_and(|first| first.role != Role::User) {
        return Some("it does not begin with a user's message".to_owned());
    }
    let mut waiting: Vec<&str> = Vec::new();
    let mut called: Vec<&str> = Vec::new();
    // Calls that only a dialect knows.
    let mut hosted: Vec<&Value> = Vec::new();
    for message in sent {
        if message.role == Role::User && results(message).next().is_none() {
            if !waiting.is_empty() || !hosted.is_empty() {
                return Some(format!("{waiting:?} and {hosted:?} are not answered"));
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
                Block::Opaque { value, .. } if value["type"] == "shell_call" => hosted.push(&value["call_id"]),
                Block::Opaque { value, .. } => match hosted.iter().position(|id| *id == &value["call_id"]) {
                    Some(at) => drop(hosted.remove(at)),
                    None => return Some(format!("{value} answers nothing")),
                },
                _ => {}
            }
        }
    }
    let is_open = !waiting.is_empty() || !hosted.is_empty();
    is_open.then(|| format!("{waiting:?} and {hosted:?} are not answered"))
}

fn results(message: &Message) -> impl Iterator<Item = &ToolResult> {
    message.content.iter().filter_map(|block| if let Block::ToolResult(result) = block { Some(result) } else { None })
}

/// Of what is kept, nothing is changed but the content of old results and, when asked for, the arguments of old calls;
/// never of the newest tool uses, never of an excluded tool, never without need in the newest messages.
pub(super) fn check_cleared(
    messages: &[Message],
    sent: &[Message],
    kept: &[usize],
    budget: &Budget,
    keep: usize,
) -> Result<(), TestCaseError> {
    let clear = budget.clear.clone().unwrap_or_default();
    let calls = |message: &Message| {
        let calls = message.content.iter().filter(|block| matches!(block, Block::ToolCall(_)));
        calls.count()
    };
    let all: usize = sent.iter().map(calls).sum();
    let (mut number, mut open): (usize, HashMap<&str, (usize, &str)>) = (0, HashMap::new());
    for (message, before) in sent.iter().zip(kept.iter().map(|index| &messages[*index])) {
        prop_assert_eq!((message.role, message.content.len()), (before.role, before.content.len()));
        for (block, before) in message.content.iter().zip(&before.content) {
            let (use_number, tool) = match block {
                Block::ToolCall(call) => {
                    open.insert(&call.id, (number, &call.name));
                    number += 1;
                    (number - 1, call.name.as_str())
                }
                Block::ToolResult(result) => open[result.tool_call_id.as_str()],
                _ => {
                    prop_assert_eq!(block, before);
                    continue;
                }
            };
            if block == before {
                continue;
            }
            prop_assert!(use_number + keep < all, "use {} of {} was cleared, {} are kept", use_number, all, keep);
            prop_assert!(!clear.exclude_tools.contains(tool), "{tool} was cleared");
            prop_assert!(budget.clear.is_some() && (clear.inputs || matches!(block, Block::ToolResult(_))));
            prop_assert!(same_ends(block, before));
        }
    }
    Ok(())
}

/// Whether two blocks are the two forms of one call or one result.
fn same_ends(block: &Block, before: &Block) -> bool {
    match (block, before) {
        (Block::ToolCall(now), Block::ToolCall(before)) => (&now.id, &now.name) == (&before.id, &before.name),
        (Block::ToolResult(now), Block::ToolResult(before)) => {
            (&now.tool_call_id, now.is_error) == (&before.tool_call_id, before.is_error)
        }
        _ => false,
    }
}
