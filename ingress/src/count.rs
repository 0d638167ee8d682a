//! Token counts for clients that ask before they call.

use context::Tokenizer;
use schemas::chat::ChatRequest;

use crate::app::App;

/// Counts remembered, some 60 bytes each.
pub(crate) const REMEMBERED: usize = 16_384;

impl App {
    /// Input tokens of `request`, by the tokenizer of the first provider that serves its model.
    pub(crate) fn count_tokens(&self, request: &ChatRequest) -> u64 {
        let candidates = self.catalog.candidates(&request.model);
        let tokenizer = candidates.first().map_or_else(
            || Tokenizer::of_name(&request.model),
            |candidate| Tokenizer::of_model(candidate.model, &candidate.upstream),
        );
        self.counter.meter(tokenizer).request(request)
    }
}
