//! OpenAI's chat completions, `POST {base}/chat/completions`: for a client that speaks it and for a provider that does.
//! By the API reference and by what the official libraries and the compatible servers were seen to send and read.
//!
//! What becomes of every request field that cannot simply pass:
//!
//! | field | from a client | to a provider |
//! | --- | --- | --- |
//! | `n` above 1 | refused | never sent |
//! | `max_tokens`, `max_completion_tokens` | one limit; the second wins, with a warning | one of the two, by quirk |
//! | `stop` | one or a list of four at most | a list; those past four are dropped with a warning |
//! | `developer` role | kept | `system`, by quirk |
//! | `functions`, `function_call`, `function` role | mapped to tools, the answer mapped back | sent as tools |
//! | `tool_choice`, `parallel_tool_calls` without tools | dropped when without effect, else refused | not sent |
//! | `tool_choice` of `allowed_tools` or `custom` | carried | as it came |
//! | `custom` tools and their calls | carried, calls and results paired like any other | as they came |
//! | `image_url` with a `data:` URL | taken apart | put together |
//! | `input_audio`, `file`, unknown parts | carried as opaque blocks | as they came; another dialect's: dropped with a warning |
//! | `reasoning_content`, `reasoning` | reasoning block | by quirk, else dropped with a warning |
//! | a reasoning block's signature | - | dropped with a warning |
//! | a tool result's error mark | - | dropped with a warning: its text tells |
//! | `stream_options` | `include_usage` is kept for the answer | `include_usage: true` when streaming, unless by quirk |
//! | `logprobs`, `audio` with `stream` | carried | as they came, with a warning: a stream does not bring them back |
//! | every other field, known or not | carried, unknown ones listed for strict routes | as it came; another dialect's: dropped with a warning |

mod calls;
mod content;
mod encode;
mod encode_message;
mod error;
mod message;
mod request;
mod response;
mod stream_calls;
mod stream_decoder;
mod stream_encoder;
mod tools;
mod words;

#[cfg(test)]
mod tests;

pub use encode::encode_request;
pub use error::{CONTEXT_LENGTH_EXCEEDED, classify, encode_error};
pub use request::{KNOWN_FIELDS, decode_request};
pub use response::{decode_response, encode_response};
pub use stream_decoder::StreamDecoder;
pub use stream_encoder::StreamEncoder;

use crate::chat::ChatRequest;
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

/// What the client wants of the answer's form. Concerns only the answering side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientOptions {
    /// `stream_options.include_usage`: a last chunk holds the usage.
    pub include_usage: bool,
    /// It asked with `functions`, so it reads `function_call` and not `tool_calls`.
    pub legacy_functions: bool,
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
