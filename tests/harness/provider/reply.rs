//! What the model says, before an API gives it its form.

use serde_json::Value;

use super::ledger::last_user_text;

/// When every answer was made, in Unix seconds.
pub(super) const CREATED: i64 = 1_770_000_000;

/// What the model says.
pub(super) struct Reply {
    /// The text, or the arguments of the call.
    pub(super) text: String,
    /// Whom it calls.
    pub(super) tool: Option<String>,
    /// Why it ended.
    pub(super) finish: Finish,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Length,
    Filter,
}

/// A streamed answer: what comes before its first word, its words, and what comes behind them.
pub(super) struct Pieces {
    pub(super) begin: Vec<String>,
    pub(super) words: Vec<String>,
    pub(super) end: Vec<String>,
}

impl Reply {
    /// It, cut as models cut it.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.text.split_inclusive(if self.tool.is_some() { ':' } else { ' ' })
    }
}

/// A token a word: enough to see that the numbers come from here.
pub(super) fn usage(request: &Value, reply: &Reply) -> (usize, usize) {
    (last_user_text(request).split_whitespace().count() + 7, reply.text.split_whitespace().count())
}
