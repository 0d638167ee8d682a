//! What a client is told of a provider's refusal.

use super::scrub::foreign_text;
use crate::error::CONTEXT_LENGTH_EXCEEDED;

/// Most characters kept of a provider's own message.
const MAX_MESSAGE: usize = 300;

/// The sentence for an answer of `status`, behind it the provider's own message.
pub(super) fn sentence(status: u16, is_too_long: bool, message: Option<&str>) -> String {
    let start = if is_too_long && (400..500).contains(&status) {
        format!("{CONTEXT_LENGTH_EXCEEDED}: the provider answered {status}")
    } else {
        format!("the provider answered {status}")
    };
    match message.map(|message| foreign_text(message, MAX_MESSAGE)).filter(|message| !message.is_empty()) {
        Some(message) => format!("{start}: {message}"),
        None => start,
    }
}
