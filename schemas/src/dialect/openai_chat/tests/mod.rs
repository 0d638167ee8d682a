//! What the codec promises: identity there and back, the bytes on the wire, and an answer to whatever comes.

mod between;
mod error;
mod fields;
mod fixtures;
mod fuzz;
mod providers;
mod request;
mod response;
mod strategy;
mod stream;

use super::{ClientOptions, Reply};
use crate::catalog::Quirks;

/// The reply that every fixed test answers with.
fn reply() -> Reply {
    Reply {
        id: "chatcmpl-01J".to_owned(),
        created: 1_769_860_800,
        model: "gpt-test".to_owned(),
        options: ClientOptions::default(),
    }
}

/// A provider that takes everything.
fn generous() -> Quirks {
    let mut quirks = Quirks::default();
    (quirks.reasoning_content, quirks.rich_tool_results, quirks.document_urls) = (true, true, true);
    quirks
}
