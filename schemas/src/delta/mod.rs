//! A running answer, piece by piece, and how the pieces add up to the whole.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chat::{Extra, FinishReason, Usage};

mod assembly;
mod pieces;
mod trace;

pub use assembly::Assembly;
pub use pieces::{ANNOTATIONS, annotations, block_pieces, pieces, proof};
pub use trace::Trace;

/// One piece of a streamed answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Delta {
    /// The answer begins. First, once.
    Start {
        /// The provider's own id of the answer.
        id: Option<String>,
        /// The model that the provider says it uses.
        model: String,
    },
    /// More text.
    Text {
        /// The piece.
        text: String,
    },
    /// More reasoning.
    Reasoning {
        /// The piece.
        text: String,
    },
    /// The proof behind the reasoning before it.
    ReasoningSignature {
        /// As the provider sent it.
        signature: String,
        /// The dialect of the provider that can read it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dialect: Option<String>,
        /// The provider's own id of the reasoning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The provider hides all of the reasoning: a block of its own.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        redacted: bool,
    },
    /// The next piece of text or reasoning begins a block of its own.
    Break,
    /// The log probabilities of the text pieces since the last ones.
    Logprobs {
        /// One entry a token.
        tokens: Vec<Value>,
    },
    /// Something about the last text block so far (a citation) that only `dialect` knows.
    Annotation {
        /// The dialect it came from.
        dialect: String,
        /// As it came.
        value: Value,
    },
    /// A whole block that only `dialect` knows.
    Opaque {
        /// The dialect it came from.
        dialect: String,
        /// The block as it came.
        value: Value,
    },
    /// More of a refusal.
    Refusal {
        /// The piece.
        text: String,
    },
    /// A tool call begins.
    ToolCallStart {
        /// Which call of this answer, from 0.
        index: u32,
        /// Its id.
        id: String,
        /// The tool.
        name: String,
        /// Fields outside the neutral form, as [`crate::chat::ToolCall::extra`] has them.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        extra: Extra,
    },
    /// More argument text of call `index`.
    ToolCallArguments {
        /// Which call of this answer.
        index: u32,
        /// The piece.
        text: String,
    },
    /// The answer ends. The only clean end there is.
    Finish {
        /// Why.
        reason: FinishReason,
        /// What else is known of the answer, as [`ChatResponse::extra`] has it.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        extra: Extra,
    },
    /// Token counts; may follow `Finish`.
    Usage {
        /// The counts.
        usage: Usage,
    },
}

/// A delta on its way from the worker to whoever listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// The attempt that made it; a higher one means that the job was run again from its start.
    pub attempt: u32,
    /// How many earlier attempts may have been heard of: 0 unless a worker was lost in the middle of an answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub generation: u32,
    /// The job's own count of frames within the attempt, from 0, without gaps.
    pub index: u64,
    /// The piece.
    pub delta: Delta,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Block, ChatResponse, Message, Reasoning, Role, ToolCall};
    use serde_json::json;

    fn assemble(deltas: &[Delta]) -> Option<ChatResponse> {
        let mut assembly = Assembly::default();
        deltas.iter().for_each(|delta| assembly.push(delta));
        assembly.into_response()
    }

    fn call(id: &str, arguments: &str) -> Block {
        Block::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: arguments.to_owned(),
            extra: Extra::new(),
        })
    }

    fn answer() -> ChatResponse {
        let content = vec![
            Block::Reasoning(Reasoning { signature: Some("proof".to_owned()), ..Reasoning::text("hm") }),
            Block::Reasoning(Reasoning { signature: Some("x".to_owned()), redacted: true, ..Reasoning::default() }),
            Block::text("one"),
            Block::Text {
                text: "cited".to_owned(),
                extra: Extra::from_iter([("d".to_owned(), json!({"annotations": [1]}))]),
            },
            Block::Opaque { dialect: "d".to_owned(), value: json!({"type": "search"}) },
            Block::ToolCall(ToolCall {
                id: "a".to_owned(),
                name: "f".to_owned(),
                arguments: "{}".to_owned(),
                extra: Extra::from_iter([("d".to_owned(), json!({"type": "custom"}))]),
            }),
            Block::text("two"),
            call("b", ""),
            Block::Refusal { text: "no".to_owned() },
        ];
        ChatResponse {
            id: Some("r1".to_owned()),
            model: "m".to_owned(),
            message: Message { role: Role::Assistant, content, name: None, extra: Extra::new() },
            finish: FinishReason::Length,
            usage: Some(Usage { input_tokens: 3, output_tokens: 2, cached_tokens: 1, ..Usage::default() }),
            logprobs: vec![json!({"token": "one"})],
            extra: Extra::from_iter([("d".to_owned(), json!({"stop_sequence": "x"}))]),
        }
    }

    #[test]
    fn pieces_add_up_to_the_answer() {
        assert_eq!(assemble(&pieces(&answer())), Some(answer()));
    }

    #[test]
    fn only_a_finish_makes_an_answer() {
        let deltas = pieces(&answer());
        let finish = deltas.iter().position(|delta| matches!(delta, Delta::Finish { .. })).unwrap();
        for end in 0..=finish {
            assert_eq!(assemble(&deltas[..end]), None, "{end}");
        }
        assert!(assemble(&deltas[..=finish]).is_some());
    }

    #[test]
    fn the_pieces_of_parallel_calls_find_their_own() {
        let begin = |index, id: &str| Delta::ToolCallStart {
            index,
            id: id.to_owned(),
            name: "f".to_owned(),
            extra: Extra::new(),
        };
        let more = |index, text: &str| Delta::ToolCallArguments { index, text: text.to_owned() };
        let end = Delta::Finish { reason: FinishReason::ToolCalls, extra: Extra::new() };
        let deltas = [begin(0, "a"), begin(1, "b"), more(1, "["), more(0, "{"), more(7, "lost"), more(1, "]"), end];
        assert_eq!(assemble(&deltas).unwrap().message.content, [call("a", "{"), call("b", "[]")]);
    }

    #[test]
    fn an_annotation_finds_its_text_behind_a_call() {
        let note = |value| Delta::Annotation { dialect: "d".to_owned(), value: json!(value) };
        let begin = Delta::ToolCallStart { index: 0, id: "a".to_owned(), name: "f".to_owned(), extra: Extra::new() };
        let end = Delta::Finish { reason: FinishReason::Stop, extra: Extra::new() };
        let text = Delta::Text { text: "x".to_owned() };
        let content = assemble(&[note(0), text, note(1), begin, note(2), end]).unwrap().message.content;
        let Block::Text { extra, .. } = &content[0] else { panic!("no text: {content:?}") };
        assert_eq!(extra["d"], json!({"annotations": [1, 2]}));
    }

    #[test]
    fn a_frame_reads_as_the_event_that_clients_get() {
        let frame = Frame { attempt: 1, generation: 0, index: 0, delta: Delta::Text { text: "hi".to_owned() } };
        let body = json!({"attempt": 1, "index": 0, "delta": {"type": "text", "text": "hi"}});
        assert_eq!(serde_json::to_value(&frame).unwrap(), body);
        assert_eq!(serde_json::from_value::<Frame>(body).unwrap(), frame);
    }
}
