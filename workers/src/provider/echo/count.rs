//! How the built-in echo counts tokens: what its usage says, and where it stops.

use std::sync::Arc;

use context::{Counter, Tokenizer};
use schemas::chat::ChatRequest;

/// Tokens of a request with all its messages and tools, or of a bare text.
#[derive(Debug, Clone, Copy)]
pub enum Countable<'a> {
    /// A whole request, as a provider bills it.
    Request(&'a ChatRequest),
    /// A text.
    Text(&'a str),
}

/// Counts tokens.
pub type CountTokens = Arc<dyn Fn(Countable<'_>) -> u64 + Send + Sync>;

/// Counts as the tokenizer of a model named `echo` does.
pub(crate) fn count_with(counter: &Counter) -> CountTokens {
    let counter = counter.clone();
    Arc::new(move |what| {
        let meter = counter.meter(Tokenizer::of_name("echo"));
        match what {
            Countable::Request(request) => meter.request(request),
            Countable::Text(text) => meter.text(text),
        }
    })
}
