//! OpenAI's Responses API, `POST {base}/responses`: for a client that speaks it and for a provider that does. By the
//! types of the official Python library 3.51. State is ours: providers are asked with `store: false`.
//!
//! An answer's items and a message's blocks are one list in two forms: neighbouring texts and refusals are one message
//! item, neighbouring reasoning up to a proof is one reasoning item, each part of its summary a block, and every call
//! is an item. Reasoning text of any provider shows as `summary_text`, which every client library reads; `reasoning_text`
//! is read from providers and sent to those whose quirk says that they read earlier reasoning. A text with a `phase`
//! keeps it among its annotations, since those travel in streams, and is a message item of its own. The ids of items
//! are made of the answer's id and the item's place, so that streams, replays and polls agree. What becomes of every
//! field is in [`FIELDS`].

mod citation;
mod content;
mod encode;
mod fields;
mod history;
mod ids;
mod input;
mod item;
mod media;
mod options;
mod output;
mod output_item;
mod reasoning;
mod request;
mod response;
mod settings;
mod stream_decoder;
mod stream_encoder;
mod stream_items;
mod tools;
mod words;
mod write;

#[cfg(test)]
mod tests;

pub use encode::encode_request;
pub use fields::FIELDS;
pub use history::{decode_items, input_items, without_instructions};
pub use ids::{is_input_item, response_of_item};
pub use options::ClientOptions;
pub use request::{KNOWN_FIELDS, decode_request};
pub use response::{decode_response, encode_response, encode_without_output};
pub use stream_decoder::StreamDecoder;
pub use stream_encoder::StreamEncoder;

// Errors have one shape in both of OpenAI's APIs.
pub use super::openai_chat::{classify, encode_error};

use crate::chat::ChatRequest;
use crate::error::Failure;
use crate::state::Warning;

/// The name of this dialect in `extra` and in opaque blocks.
pub const NAME: &str = "openai_responses";

/// What a provider's base URL is followed by.
pub const PATH: &str = "/responses";

/// A client's request, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// What is asked.
    pub request: ChatRequest,
    /// What concerns the answer's form and the state that we keep.
    pub options: ClientOptions,
    /// What the client should know.
    pub warnings: Vec<Warning>,
    /// Paths of what this dialect does not know: fields, item types. Carried in `extra`; a strict route refuses them.
    pub unknown: Vec<String>,
}

/// What of an answer is ours and not the model's.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// `resp_...`
    pub id: String,
    /// Seconds since the Unix epoch.
    pub created_at: i64,
    /// The moment of the end; shown by polls, never in streams, which a replay could not repeat.
    pub completed_at: Option<i64>,
    /// The model's name as the client wrote it.
    pub model: String,
    /// Where the job is in its life.
    pub status: Status,
    /// What the client asked for.
    pub options: ClientOptions,
}

/// Where a response is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Not begun.
    Queued,
    /// Begun.
    InProgress,
    /// Ended with an answer; shown as `incomplete` when a limit or a filter cut it.
    Completed,
    /// Ended with an error.
    Failed(Failure),
    /// Ended by its client.
    Cancelled,
}
