//! Stop reasons, in both directions.

use serde_json::{Map, Value, json};

use crate::chat::FinishReason;

/// Where an answer carries the word itself, when the neutral form does not tell it.
const STOP_REASON: &str = "stop_reason";

/// What a provider's stop reason means. One we do not know ends a whole answer, whyever.
fn reason_of(word: &str) -> FinishReason {
    match word {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        // end_turn, stop_sequence, pause_turn, compaction
        _ => FinishReason::Stop,
    }
}

/// The word of this API that says just `reason`.
const fn plain_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}

/// Reads a provider's word; what it tells beyond the reason is put into `own`.
pub(super) fn decode_stop(word: String, own: &mut Map<String, Value>) -> FinishReason {
    let reason = reason_of(&word);
    if word != plain_word(reason) {
        own.insert(STOP_REASON.to_owned(), Value::String(word));
    }
    reason
}

/// What an answer holds that its stop reason has to tell.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    /// Tool calls, which wait for results whatever a provider calls that.
    pub(super) calls: bool,
    /// A refusal in words.
    pub(super) refusal: bool,
}

/// The fields `stop_reason` and `stop_sequence` for a client, `own` being what the answer carries.
pub(super) fn encode_stop(reason: FinishReason, own: Option<&Map<String, Value>>, said: Said) -> [(String, Value); 2] {
    let carried = own.and_then(|own| own.get(STOP_REASON)).and_then(Value::as_str);
    let word = match carried.filter(|word| reason_of(word) == reason) {
        Some(word) => word,
        None if reason == FinishReason::Stop && said.calls => "tool_use",
        None if reason == FinishReason::Stop && said.refusal => "refusal",
        None => plain_word(reason),
    };
    let sequence = own.and_then(|own| own.get("stop_sequence")).cloned().unwrap_or_default();
    [(STOP_REASON.to_owned(), json!(word)), ("stop_sequence".to_owned(), sequence)]
}
