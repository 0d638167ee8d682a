//! What the codec promises: identity there and back, the bytes on the wire, and an answer to whatever comes.

mod context;
mod encode;
mod error;
mod fields;
mod fuzz;
mod neutral;
mod request;
mod response;
mod strategy;
mod stream;
mod stream_calls;

use serde_json::Value;

use super::Reply;

/// A client's request with about every field of the API.
const REQUEST: &str = include_str!("fixtures/request.json");

/// A provider's answer with every field of the API.
const RESPONSE: &str = include_str!("fixtures/response.json");

/// Providers' streams that end well.
const STREAMS: [(&str, &str); 5] = [
    ("text", include_str!("fixtures/stream_text.sse")),
    ("tools", include_str!("fixtures/stream_tools.sse")),
    ("thinking", include_str!("fixtures/stream_thinking.sse")),
    ("server_tools", include_str!("fixtures/stream_server_tools.sse")),
    ("refusal", include_str!("fixtures/stream_refusal.sse")),
];

/// One that the provider breaks off.
const OVERLOADED: &str = include_str!("fixtures/stream_overloaded.sse");

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The reply that every fixed test answers with.
fn reply() -> Reply {
    Reply { id: "msg_01J".to_owned(), model: "claude-asked".to_owned(), input_tokens: 7 }
}
