//! OpenAI's chat completions, `POST {base}/chat/completions`: for a client that speaks it and for a provider that does.
//! By the API reference and by what the official libraries and the compatible servers were seen to send and read.
//! What becomes of every field is told by [`FIELDS`], and by `schemas/dialects.md`, which is made from it.

mod annotations;
mod calls;
mod content;
mod encode;
mod encode_content;
mod encode_message;
mod error;
mod extras;
mod fields;
mod message;
mod request;
mod response;
mod stream_calls;
mod stream_decoder;
mod stream_encoder;
mod stream_rest;
mod tools;
mod words;

#[cfg(test)]
mod tests;

pub use encode::encode_request;
pub use error::{classify, encode_error};
pub(in crate::dialect) use error::{told, within};
pub use fields::FIELDS;
pub use request::{KNOWN_FIELDS, decode_request};
pub use response::{decode_response, encode_response};
pub use stream_decoder::StreamDecoder;
pub use stream_encoder::StreamEncoder;

use crate::chat::ChatRequest;
use crate::job::Lane;
use crate::state::Warning;

/// The name of this dialect in `extra` and in opaque blocks.
pub const NAME: &str = "openai_chat";

/// What a provider's base URL is followed by.
pub const PATH: &str = "/chat/completions";

/// A client's request, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// What is asked.
    pub request: ChatRequest,
    /// How the answer is to be written.
    pub options: ClientOptions,
    /// What the client should know.
    pub warnings: Vec<Warning>,
    /// Paths of what this dialect does not know: fields, block types. Carried in `extra`; a strict route refuses them.
    pub unknown: Vec<String>,
}

/// What the client wants beside the answer itself: the form of it, and how soon. Concerns only the answering side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientOptions {
    /// `stream_options.include_usage`: a last chunk holds the usage.
    pub include_usage: bool,
    /// It asked with `functions`, so it reads `function_call` and not `tool_calls`.
    pub legacy_functions: bool,
    /// It asked for log probabilities: each chunk of text is told with its own.
    pub logprobs: bool,
    /// How urgent `service_tier` says that it is: `priority` and `fast` are high, `flex` is low.
    pub lane: Option<Lane>,
}

/// What of an answer is ours and not the model's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `chatcmpl-...`
    pub id: String,
    /// Seconds since the Unix epoch.
    pub created: i64,
    /// The model's name as the client wrote it.
    pub model: String,
    /// What the client wants of the answer's form.
    pub options: ClientOptions,
}
