//! A running answer, piece by piece, and how the pieces add up to the whole.

use serde::{Deserialize, Serialize};

use crate::chat::{Block, ChatResponse, Extra, FinishReason, Message, Role, ToolCall, Usage};

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
    /// The job's own count of frames within the attempt, from 0, without gaps.
    pub index: u64,
    /// The piece.
    pub delta: Delta,
}

/// Adds deltas up to the whole answer.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    id: Option<String>,
    model: String,
    content: Vec<Block>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

impl Assembly {
    /// Takes the next piece in.
    pub fn push(&mut self, delta: &Delta) {
        match delta {
            Delta::Start { id, model } => (self.id, self.model) = (id.clone(), model.clone()),
            Delta::Text { text } => self.push_text(text),
            Delta::Reasoning { text } => self.push_reasoning(text),
            Delta::ReasoningSignature { signature } => self.sign_reasoning(signature),
            Delta::Refusal { text } => self.push_refusal(text),
            Delta::ToolCallStart { id, name, .. } => self.content.push(Block::ToolCall(ToolCall {
                id: id.clone(),
                name: name.clone(),
                arguments: String::new(),
            })),
            Delta::ToolCallArguments { index, text } => self.push_arguments(*index, text),
            Delta::Finish { reason } => self.finish = Some(*reason),
            Delta::Usage { usage } => self.usage = Some(*usage),
        }
    }

    /// Whether a clean end was seen.
    #[must_use]
    pub const fn finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The whole answer, or `None` while no [`Delta::Finish`] was seen: a cut stream is never an answer.
    #[must_use]
    pub fn into_response(self) -> Option<ChatResponse> {
        let finish = self.finish?;
        let message = Message { role: Role::Assistant, content: self.content, name: None, extra: Extra::new() };
        Some(ChatResponse { id: self.id, model: self.model, message, finish, usage: self.usage, extra: Extra::new() })
    }

    fn push_text(&mut self, piece: &str) {
        match self.content.last_mut() {
            Some(Block::Text { text, .. }) => text.push_str(piece),
            _ => self.content.push(Block::text(piece)),
        }
    }

    fn push_reasoning(&mut self, piece: &str) {
        match self.content.last_mut() {
            Some(Block::Reasoning { text, .. }) => text.push_str(piece),
            _ => self.content.push(Block::Reasoning { text: piece.to_owned(), signature: None }),
        }
    }

    fn sign_reasoning(&mut self, proof: &str) {
        match self.content.last_mut() {
            Some(Block::Reasoning { signature, .. }) => *signature = Some(proof.to_owned()),
            _ => self.content.push(Block::Reasoning { text: String::new(), signature: Some(proof.to_owned()) }),
        }
    }

    fn push_refusal(&mut self, piece: &str) {
        match self.content.last_mut() {
            Some(Block::Refusal { text }) => text.push_str(piece),
            _ => self.content.push(Block::Refusal { text: piece.to_owned() }),
        }
    }

    fn push_arguments(&mut self, index: u32, piece: &str) {
        let calls = self.content.iter_mut().filter_map(|block| match block {
            Block::ToolCall(call) => Some(call),
            _ => None,
        });
        if let Some(call) = calls.into_iter().nth(index as usize) {
            call.arguments.push_str(piece);
        }
    }
}

/// The deltas that [`Assembly`] adds up to `response`: one text piece a block, then the end and the usage.
#[must_use]
pub fn pieces(response: &ChatResponse) -> Vec<Delta> {
    let mut deltas = vec![Delta::Start { id: response.id.clone(), model: response.model.clone() }];
    let mut calls = 0;
    for block in &response.message.content {
        match block {
            Block::Text { text, .. } => deltas.push(Delta::Text { text: text.clone() }),
            Block::Refusal { text } => deltas.push(Delta::Refusal { text: text.clone() }),
            Block::Reasoning { text, signature } => {
                deltas.push(Delta::Reasoning { text: text.clone() });
                deltas.extend(signature.clone().map(|signature| Delta::ReasoningSignature { signature }));
            }
            Block::ToolCall(call) => {
                deltas.push(Delta::ToolCallStart { index: calls, id: call.id.clone(), name: call.name.clone() });
                deltas.push(Delta::ToolCallArguments { index: calls, text: call.arguments.clone() });
                calls += 1;
            }
            Block::Image { .. } | Block::ToolResult(_) | Block::Opaque { .. } => {}
        }
    }
    deltas.push(Delta::Finish { reason: response.finish });
    deltas.extend(response.usage.map(|usage| Delta::Usage { usage }));
    deltas
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn assemble(deltas: &[Delta]) -> Option<ChatResponse> {
        let mut assembly = Assembly::default();
        deltas.iter().for_each(|delta| assembly.push(delta));
        assembly.into_response()
    }

    fn call(id: &str, arguments: &str) -> Block {
        Block::ToolCall(ToolCall { id: id.to_owned(), name: "f".to_owned(), arguments: arguments.to_owned() })
    }

    fn answer() -> ChatResponse {
        let content = vec![
            Block::Reasoning { text: "hm".to_owned(), signature: Some("proof".to_owned()) },
            Block::text("one"),
            call("a", "{}"),
            Block::text("two"),
            call("b", ""),
            Block::Refusal { text: "no".to_owned() },
        ];
        ChatResponse {
            id: Some("r1".to_owned()),
            model: "m".to_owned(),
            message: Message { role: Role::Assistant, content, name: None, extra: Extra::new() },
            finish: FinishReason::Length,
            usage: Some(Usage { input_tokens: 3, output_tokens: 2, cached_tokens: 1, reasoning_tokens: 1 }),
            extra: Extra::new(),
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
        let begin = |index, id: &str| Delta::ToolCallStart { index, id: id.to_owned(), name: "f".to_owned() };
        let more = |index, text: &str| Delta::ToolCallArguments { index, text: text.to_owned() };
        let end = Delta::Finish { reason: FinishReason::ToolCalls };
        let deltas = [begin(0, "a"), begin(1, "b"), more(1, "["), more(0, "{"), more(7, "lost"), more(1, "]"), end];
        assert_eq!(assemble(&deltas).unwrap().message.content, [call("a", "{"), call("b", "[]")]);
    }

    #[test]
    fn a_frame_reads_as_the_event_that_clients_get() {
        let frame = Frame { attempt: 1, index: 0, delta: Delta::Text { text: "hi".to_owned() } };
        let body = json!({"attempt": 1, "index": 0, "delta": {"type": "text", "text": "hi"}});
        assert_eq!(serde_json::to_value(&frame).unwrap(), body);
        assert_eq!(serde_json::from_value::<Frame>(body).unwrap(), frame);
    }
}
