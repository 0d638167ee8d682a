//! How many input tokens a request may have.

use schemas::catalog::Model;
use schemas::chat::ChatRequest;
use schemas::job::{ContextOptions, ContextStrategy};

/// The room for a request's input, and what to do when it does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Tokens that the model takes, input and answer together.
    pub window: u32,
    /// Of these, tokens kept for the answer.
    pub reserve_output: u32,
    /// Most input tokens that the client wants to send.
    pub cap: Option<u32>,
    /// Whether what does not fit is pruned or refused.
    pub strategy: ContextStrategy,
}

impl Budget {
    /// Most input tokens. Zero when the answer alone fills the window.
    #[must_use]
    pub fn limit(&self) -> u64 {
        let room = self.window.saturating_sub(self.reserve_output);
        u64::from(self.cap.map_or(room, |cap| cap.min(room)))
    }

    /// The same with `percent` hundredths of the window left free, where counts are estimates.
    #[must_use]
    pub const fn with_margin(self, percent: u32) -> Self {
        let free = self.window as u64 * percent as u64 / 100;
        Self { window: self.window.saturating_sub(free as u32), ..self }
    }
}

/// The budget of `request` at `model`. The reserve is the request's own limit, else the model's largest answer.
#[must_use]
pub fn budget_for(model: &Model, request: &ChatRequest, options: &ContextOptions) -> Budget {
    Budget {
        window: model.context_window,
        reserve_output: request.sampling.max_tokens.unwrap_or(model.max_output),
        cap: options.budget,
        strategy: options.strategy.unwrap_or(ContextStrategy::Auto),
    }
}
