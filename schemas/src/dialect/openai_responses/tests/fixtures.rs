//! Bodies as the API has them, with every field that its official libraries know.

use serde_json::Value;

/// A request with every field. Its first six items are a turn with reasoning, calls and their outputs.
pub(super) fn whole_request() -> Value {
    body(include_str!("fixtures/request.json"))
}

/// An answer with every field.
pub(super) fn whole_response() -> Value {
    body(include_str!("fixtures/response.json"))
}

/// The stream of [`whole_response`], as the API sends it: every kind of event that tells of an answer.
pub(super) fn whole_stream() -> Vec<Value> {
    include_str!("fixtures/stream.jsonl").lines().map(body).collect()
}

fn body(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The bytes of `events`.
pub(super) fn bytes(events: &[Value]) -> Vec<u8> {
    let lines =
        events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("message")));
    lines.collect::<String>().into_bytes()
}
