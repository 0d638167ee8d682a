//! Anthropic's Messages API, `POST {base}/messages` and `POST {base}/messages/count_tokens`: for a client that speaks
//! it and for a provider that does. By the API reference and the types of the official libraries, old and new.
//! [`FIELDS`] tells what becomes of every field.

mod blocks;
mod citations;
mod content;
mod context;
mod encode;
mod encode_message;
mod error;
mod fields;
mod message;
mod reasoning;
mod request;
mod response;
mod source;
mod stream_block;
mod stream_calls;
mod stream_decoder;
mod stream_encoder;
mod tools;
mod usage;
mod words;

#[cfg(test)]
mod tests;

pub use context::tell_cleared;
pub use encode::encode_request;
pub use error::{classify, encode_error};
pub use fields::FIELDS;
pub use request::{KNOWN_FIELDS, decode_count_request, decode_request, encode_count};
pub use response::{decode_response, encode_response};
pub use stream_decoder::StreamDecoder;
pub use stream_encoder::StreamEncoder;

use crate::chat::ChatRequest;
use crate::context::ContextOptions;
use crate::warning::Warning;

/// The name of this dialect in `extra`, in opaque blocks and in proofs of reasoning.
pub const NAME: &str = "anthropic";

/// What a provider's base URL is followed by.
pub const PATH: &str = "/messages";

/// A client's request, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// What is asked. Its `extra` has this dialect's name even when nothing is carried: it was written in this dialect.
    pub request: ChatRequest,
    /// How its context is to be pruned, by the edits that are carried out here.
    pub context: ContextOptions,
    /// What the client should know.
    pub warnings: Vec<Warning>,
    /// Paths of what this dialect does not know: fields, block types. Carried in `extra`; a strict route refuses them.
    pub unknown: Vec<String>,
}

/// What of an answer is ours and not the model's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `msg_...`
    pub id: String,
    /// The model's name as the client wrote it.
    pub model: String,
    /// The input tokens that a stream tells at its start: an estimate, 0 when unknown. Its end tells what was billed.
    pub input_tokens: u64,
}
