//! What the codec promises: identity there and back, the events on the wire, and an answer to whatever comes.

mod error;
mod fields;
mod fixtures;
mod fuzz;
mod history;
mod providers;
mod request;
mod response;
mod strategy;
mod stream;

use super::{ClientOptions, Reply, Status};
use crate::catalog::Quirks;

/// The suffix of the answer of every fixed test.
const SUFFIX: &str = "01KAG2W8F3VQ9XTR5M7N4C6B0E";

/// The reply that every fixed test answers with.
fn reply() -> Reply {
    Reply {
        id: format!("resp_{SUFFIX}"),
        created_at: 1_769_860_800,
        completed_at: None,
        model: "gpt-test".to_owned(),
        status: Status::Completed,
        options: ClientOptions { store: false, ..ClientOptions::default() },
    }
}

/// A provider that takes everything.
fn generous() -> Quirks {
    Quirks { reasoning_content: true, ..Quirks::default() }
}
