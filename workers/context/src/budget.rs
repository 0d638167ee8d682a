//! How many input tokens a request may have, and how it is made to have no more.

use std::collections::BTreeSet;

use schemas::catalog::Model;
use schemas::chat::ChatRequest;
use schemas::context::{ClearOptions, ClearToolResults, ContextOptions, ContextStrategy};

/// The share of the budget that a cut leaves filled when nobody says: the highest of one digit at which conversations of
/// up to twenty times their budget begin, in four of five turns, as they did the turn before.
pub const LOW_WATER: f64 = 0.5;
/// So many newest tool uses are never cleared when nobody says, as in Anthropic's API.
pub const KEEP_TOOL_USES: u32 = 3;

/// The room for a request's input, and how to make do with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// The room.
    pub room: Room,
    /// The share of the room that a cut leaves filled, above 0 and at most 1.
    pub low_water: f64,
    /// The turns of so many newest messages are left alone while others make room enough.
    pub keep_recent: usize,
    /// How old tool results make room, if they do.
    pub clear: Option<Clearing>,
    /// A summary may stand in for what was dropped.
    pub summarize: bool,
}

/// The room for a request's input, and what to do when it does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Tokens that the model takes, input and answer together.
    pub window: u32,
    /// Of these, tokens kept for the answer.
    pub reserve_output: u32,
    /// Most input tokens that the client wants to send.
    pub cap: Option<u32>,
    /// Whether what does not fit is pruned or refused.
    pub strategy: ContextStrategy,
}

/// How old tool results make room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clearing {
    /// So many newest tool uses are never cleared.
    pub keep: usize,
    /// Results of these tools are never cleared.
    pub exclude_tools: BTreeSet<String>,
    /// The arguments of the calls are cleared too.
    pub inputs: bool,
    /// Nothing is cleared unless it saves so many tokens.
    pub at_least: u64,
    /// All but the kept are cleared above so many input tokens, though the room is larger.
    pub trigger: Option<u64>,
}

impl Room {
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

impl Budget {
    /// `room` with the defaults of everything else.
    #[must_use]
    pub fn of(room: Room) -> Self {
        Self::with(room, ContextOptions::default())
    }

    fn with(room: Room, options: ContextOptions) -> Self {
        let clear = options.clear_tool_results.unwrap_or(ClearToolResults::Switch(true));
        Self {
            room,
            low_water: options.low_water.unwrap_or(LOW_WATER),
            keep_recent: options.keep_recent.map_or(0, size),
            clear: clear.options().map(Clearing::from),
            summarize: options.summarize.unwrap_or(true),
        }
    }

    /// Most input tokens.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.room.limit()
    }

    /// Tokens that a cut leaves if it can.
    #[must_use]
    pub fn low_mark(&self) -> u64 {
        let limit = self.limit();
        ((limit as f64 * self.low_water.clamp(0.0, 1.0)).ceil() as u64).min(limit)
    }
}

impl From<ClearOptions> for Clearing {
    fn from(options: ClearOptions) -> Self {
        Self {
            keep: size(options.keep.unwrap_or(KEEP_TOOL_USES)),
            exclude_tools: options.exclude_tools.into_iter().flatten().collect(),
            inputs: options.clear_inputs.unwrap_or(false),
            at_least: options.at_least.unwrap_or(0).into(),
            trigger: options.trigger.map(u64::from),
        }
    }
}

/// The budget of `request` at `model`, whose defaults hold where `options` say nothing. The reserve is the request's own
/// limit as it is sent, never above the model's largest answer, else that.
#[must_use]
pub fn budget_for(model: &Model, request: &ChatRequest, options: &ContextOptions) -> Budget {
    let options = options.clone().or(&model.context);
    let (asked, most) = (request.sampling.max_tokens, model.max_output.unwrap_or(u32::MAX));
    let room = Room {
        window: model.context_window,
        reserve_output: asked.map_or_else(|| model.reserve(), |asked| asked.min(most)),
        cap: options.budget,
        strategy: options.strategy.unwrap_or(ContextStrategy::Auto),
    };
    Budget::with(room, options)
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
