//! What is kept of a session: its newest turns within bounds, how many there ever were, and which were the last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::summary::{Asked, Summary};
use super::turn::{RoleCounts, Turn};
use crate::chat::Message;
use crate::id::JobId;
use crate::timestamp::Timestamp;

/// How many jobs are remembered as having been added: none is added twice.
const REMEMBERED: usize = 256;
/// What is left of a bound that was passed, in hundredths.
const LOW_WATER: u64 = 80;

/// The value of a session's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The name that its client gave it; empty once it is deleted.
    pub name: String,
    /// Its newest turns, the oldest first.
    #[serde(default)]
    pub turns: Vec<Turn>,
    /// How many turns there ever were.
    #[serde(default)]
    pub appended: u64,
    /// The jobs added last, the oldest first.
    #[serde(default)]
    pub recent: Vec<JobId>,
    /// What older turns said, in short. They may still be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// The summary that the newest prompt was cut with: a newer one waits for the next cut, so that prompts begin alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_summary: Option<Summary>,
    /// The range whose summary is awaited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Its client wants no summaries.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsummarized: bool,
    /// The turns up to this one were cleared.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cleared_turns: u64,
    /// The client's own labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// It was deleted: all that is left is which jobs must not be added again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// How large a history may become; beyond any of these its oldest turns go until 80 % of it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most turns.
    pub turns: u64,
    /// Most tokens of all of them.
    pub tokens: u64,
    /// Most bytes of all of them.
    pub bytes: u64,
}

/// What adding a turn came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Appended {
    /// The new history, and how many turns it had to let go.
    Now(Box<History>, usize),
    /// The turn had been added before.
    Before,
}

/// What clients are told of a history's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Statistics {
    /// Messages kept, by role.
    pub messages: RoleCounts,
    /// Tokens of them.
    pub tokens: u64,
    /// Bytes of them, as they are stored.
    pub bytes: u64,
    /// Turns that there ever were.
    pub turns: u64,
}

impl History {
    /// A session that begins now.
    #[must_use]
    pub fn new(name: impl Into<String>, now: Timestamp) -> Self {
        Self {
            name: name.into(),
            turns: Vec::new(),
            appended: 0,
            recent: Vec::new(),
            summary: None,
            cut_summary: None,
            asked: None,
            unsummarized: false,
            cleared_turns: 0,
            metadata: BTreeMap::new(),
            created_at: now,
            updated_at: now,
            deleted: false,
        }
    }

    /// The history with a job's turn at its end, or as it begins anew after it was deleted.
    #[must_use]
    pub fn appended(self, name: &str, mut turn: Turn, bounds: &Bounds, now: Timestamp) -> Appended {
        if self.recent.contains(&turn.id) {
            return Appended::Before;
        }
        let mut next = self.alive(name, now);
        next.appended += 1;
        turn.number = Some(next.appended);
        next.recent.push(turn.id);
        let forgotten = next.recent.len().saturating_sub(REMEMBERED);
        next.recent.drain(..forgotten);
        let (next, dropped) = next.with(turn, bounds, now);
        Appended::Now(Box::new(next), dropped)
    }

    /// The history with messages that no job made, and how many turns it had to let go.
    #[must_use]
    pub fn with(mut self, turn: Turn, bounds: &Bounds, now: Timestamp) -> (Self, usize) {
        self.turns.push(turn);
        self.updated_at = now;
        let dropped = self.clean(bounds);
        (self, dropped)
    }

    /// The session without its turns. Their count goes on.
    #[must_use]
    pub fn cleared(self, now: Timestamp) -> Self {
        let (turns, cleared_turns) = (Vec::new(), self.appended);
        Self { turns, cleared_turns, summary: None, cut_summary: None, asked: None, updated_at: now, ..self }
    }

    /// What is left of a session that is deleted.
    #[must_use]
    pub fn tombstone(self, now: Timestamp) -> Self {
        Self { recent: self.recent, deleted: true, ..Self::new("", now) }
    }

    /// Itself, or a session that begins anew where one was deleted.
    #[must_use]
    pub fn alive(self, name: &str, now: Timestamp) -> Self {
        if self.deleted { Self { recent: self.recent, ..Self::new(name, now) } } else { self }
    }

    /// Every message kept, the oldest first.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.turns.iter().flat_map(|turn| &turn.messages)
    }

    /// The number that the next turn will have.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        if self.deleted { 1 } else { self.appended + 1 }
    }

    /// How large it is.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let Bounds { tokens, bytes, .. } = size(&self.turns);
        Statistics { messages: RoleCounts::of(self.messages()), tokens, bytes, turns: self.appended }
    }

    /// Lets the oldest turns go once a bound is passed. The rest never begins with the results of calls that are gone.
    fn clean(&mut self, bounds: &Bounds) -> usize {
        let mut left = size(&self.turns);
        let target = left.targets(bounds);
        let mut dropped = 0;
        for turn in &self.turns {
            let cut = dropped > 0 && turn.goes_on();
            if left.within(&target) && !cut {
                break;
            }
            left = Bounds { turns: left.turns - 1, tokens: left.tokens - turn.tokens, bytes: left.bytes - turn.bytes };
            dropped += 1;
        }
        self.turns.drain(..dropped);
        dropped
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How large these turns are.
fn size(turns: &[Turn]) -> Bounds {
    Bounds {
        turns: turns.len() as u64,
        tokens: turns.iter().map(|turn| turn.tokens).sum(),
        bytes: turns.iter().map(|turn| turn.bytes).sum(),
    }
}

impl Bounds {
    /// Whether a turn can be kept at all.
    #[must_use]
    pub const fn hold(&self, turn: &Turn) -> bool {
        self.turns > 0 && turn.bytes <= self.bytes && turn.tokens <= self.tokens
    }

    const fn within(&self, most: &Self) -> bool {
        self.turns <= most.turns && self.tokens <= most.tokens && self.bytes <= most.bytes
    }

    /// What must be left: less than allowed where more is there than allowed.
    const fn targets(&self, bounds: &Self) -> Self {
        const fn target(size: u64, most: u64) -> u64 {
            if size > most { most.saturating_mul(LOW_WATER) / 100 } else { most }
        }
        Self {
            turns: target(self.turns, bounds.turns),
            tokens: target(self.tokens, bounds.tokens),
            bytes: target(self.bytes, bounds.bytes),
        }
    }
}
