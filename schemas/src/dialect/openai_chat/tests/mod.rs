//! What the codec promises: identity there and back, the bytes on the wire, and an answer to whatever comes.

mod error;
mod fuzz;
mod providers;
mod request;
mod response;
mod strategy;
mod stream;

use super::{ClientOptions, Reply};

/// The reply that every fixed test answers with.
fn reply() -> Reply {
    Reply {
        id: "chatcmpl-01J".to_owned(),
        created: 1_769_860_800,
        model: "gpt-test".to_owned(),
        options: ClientOptions::default(),
    }
}
