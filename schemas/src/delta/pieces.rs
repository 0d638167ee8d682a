//! Cuts a whole answer into deltas: one text piece a block.

use std::mem;

use serde_json::Value;

use super::Delta;
use crate::chat::{Block, ChatResponse, Extra, Reasoning, ToolCall};

/// Where a text block keeps its annotations, below its dialect's name.
pub const ANNOTATIONS: &str = "annotations";

/// The deltas that [`Assembly`] adds up to `response`: one text piece a block, then the end and the usage.
#[must_use]
pub fn pieces(response: &ChatResponse) -> Vec<Delta> {
    let mut deltas = vec![Delta::Start { id: response.id.clone(), model: response.model.clone() }];
    let mut calls = 0;
    let content = &response.message.content;
    for (position, block) in content.iter().enumerate() {
        let before = position.checked_sub(1).and_then(|before| content.get(before));
        if before.is_some_and(|before| is_text(before) && mem::discriminant(before) == mem::discriminant(block)) {
            deltas.push(Delta::Break);
        }
        block_pieces(block, calls, &mut deltas);
        calls += u32::from(matches!(block, Block::ToolCall(_)));
    }
    if !response.logprobs.is_empty() {
        deltas.push(Delta::Logprobs { tokens: response.logprobs.clone() });
    }
    deltas.push(Delta::Finish { reason: response.finish, extra: response.extra.clone() });
    deltas.extend(response.usage.map(|usage| Delta::Usage { usage }));
    deltas
}

/// Whether pieces of two such neighbours would run together.
const fn is_text(block: &Block) -> bool {
    matches!(block, Block::Text { .. } | Block::Reasoning(_) | Block::Refusal { .. })
}

/// The deltas of one block, the `call`th call if it is one. What an answer never holds has none.
pub fn block_pieces(block: &Block, call: u32, deltas: &mut Vec<Delta>) {
    match block {
        Block::Text { text, extra } => {
            deltas.push(Delta::Text { text: text.clone() });
            deltas.extend(annotations(extra));
        }
        Block::Refusal { text } => deltas.push(Delta::Refusal { text: text.clone() }),
        Block::Reasoning(reasoning) => {
            if !reasoning.text.is_empty() || reasoning.signature.is_none() {
                deltas.push(Delta::Reasoning { text: reasoning.text.clone() });
            }
            deltas.extend(proof(reasoning));
        }
        Block::ToolCall(tool) => {
            let ToolCall { id, name, extra, .. } = tool.clone();
            deltas.push(Delta::ToolCallStart { index: call, id, name, extra });
            deltas.push(Delta::ToolCallArguments { index: call, text: tool.arguments.clone() });
        }
        Block::Opaque { dialect, value } => {
            deltas.push(Delta::Opaque { dialect: dialect.clone(), value: value.clone() });
        }
        Block::Image { .. } | Block::Document { .. } | Block::ToolResult(_) => {}
    }
}

/// The annotations of a text block, each as a delta.
pub fn annotations(extra: &Extra) -> impl Iterator<Item = Delta> + '_ {
    extra.iter().flat_map(|(dialect, own)| {
        let list = own.get(ANNOTATIONS).and_then(Value::as_array);
        list.into_iter().flatten().map(|value| Delta::Annotation { dialect: dialect.clone(), value: value.clone() })
    })
}

/// The proof of `reasoning`, if it has one.
#[must_use]
pub fn proof(reasoning: &Reasoning) -> Option<Delta> {
    let Reasoning { dialect, id, redacted, .. } = reasoning.clone();
    reasoning.signature.clone().map(|signature| Delta::ReasoningSignature { signature, dialect, id, redacted })
}
