//! Telling a worker that its session's line is the other way round.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::session::TurnQueue;
use schemas::{envelope, subject};
use serde_json::Value;

use super::wire::Frame;

/// Whether this asks for a line.
pub(super) fn is_asked(frame: &Frame) -> bool {
    let asks = frame.is_publish() && frame.subject() == format!("$JS.API.STREAM.MSG.GET.KV_{}", subject::SESSIONS);
    asks && String::from_utf8_lossy(frame.payload()).contains(".queue\"")
}

/// The answer with its line reversed, if there is one in it.
pub(super) fn reversed(answer: &[u8]) -> Option<Vec<u8>> {
    let mut answer: Value = serde_json::from_slice(answer).ok()?;
    let data = answer.pointer_mut("/message/data")?;
    let mut line: TurnQueue = envelope::decode(&STANDARD.decode(data.as_str()?).ok()?).ok()?;
    line.waiting.reverse();
    *data = STANDARD.encode(envelope::encode(&line).ok()?).into();
    Some(answer.to_string().into_bytes())
}
