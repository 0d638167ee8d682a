//! Summaries of what older turns of a session said, and the ranges of turns that they are asked for.

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// What older turns said, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The text.
    pub text: String,
    /// It covers every turn up to the one with this number.
    pub covers_turns: u64,
    /// When it was made.
    pub made_at: Timestamp,
}

/// The turns of a session that a summary is to cover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryRange {
    /// The session's name.
    pub session: String,
    /// When the session began: one that was deleted and has begun anew is another.
    pub began: Timestamp,
    /// The turns behind the one of this number, which an earlier summary covers,
    pub after: u64,
    /// up to this one.
    pub up_to: u64,
}

/// A range whose summary was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Where the range ends.
    pub up_to: u64,
    /// When it was asked for last.
    pub at: Timestamp,
    /// How often it had been asked for before.
    #[serde(default)]
    pub before: u32,
}
