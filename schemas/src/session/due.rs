//! Which turns of a session the next summary covers, when it is due, and when one is taken. A range begins behind what the
//! last summary covers and is as short as it may be, so that later turns do not move it.

use std::time::Duration;

use super::history::History;
use super::summary::{Asked, Summary, SummaryRange};
use super::turn::Turn;
use crate::chat::Message;
use crate::timestamp::Timestamp;

/// Most bytes of a summary; a longer one is cut.
const LONGEST: usize = 16 << 10;

/// When a summary is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummaryRules {
    /// A range holds at least so many messages; 0 for no summaries at all.
    pub after: usize,
    /// So many newest messages stand behind it.
    pub keep: usize,
    /// One that failed is asked for again after this long.
    pub ttl: Duration,
}

/// A summary that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// The turns that it is to cover.
    pub range: SummaryRange,
    /// How often it was asked for in vain.
    pub before: u32,
    /// What the summary before it says.
    pub earlier: Option<String>,
    /// What was said in those turns.
    pub messages: Vec<Message>,
}

/// What a turn has to do with summaries of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TurnNote {
    /// The summary in its prompt covered the turns up to this one.
    pub told: Option<u64>,
    /// Whether its client wants the session to be summed up, from here on.
    pub summarize: Option<bool>,
}

impl History {
    /// The turns up to this one are covered by the summary, or were cleared.
    #[must_use]
    pub fn covered(&self) -> u64 {
        self.summary.as_ref().map_or(0, |summary| summary.covers_turns).max(self.cleared_turns)
    }

    /// Whether turns that a summary could speak of are kept no more.
    #[must_use]
    pub fn has_lost_turns(&self) -> bool {
        let first = self.turns.iter().find_map(|turn| turn.number).unwrap_or(self.appended + 1);
        first > self.cleared_turns + 1
    }

    /// The messages that a summary of the turns up to `covers` speaks of, as far as they are kept.
    #[must_use]
    pub fn messages_up_to(&self, covers: u64) -> usize {
        message_count(&self.turns[..self.end_of(covers)])
    }

    /// The history with what its newest turn says of summaries.
    #[must_use]
    pub fn noted(mut self, note: TurnNote) -> Self {
        if let Some(wanted) = note.summarize {
            self.unsummarized = !wanted;
        }
        if let Some(told) = note.told {
            let mut known = self.cut_summary.take().into_iter().chain(self.summary.clone());
            self.cut_summary = known.find(|summary| summary.covers_turns == told).or_else(|| self.summary.clone());
        }
        self
    }

    /// The summary that is due, if one is; and the history that has it noted.
    #[must_use]
    pub fn asking(mut self, rules: &SummaryRules, now: Timestamp) -> (Self, Option<Box<Due>>) {
        let Some((start, end)) = self.due(rules) else { return (self, None) };
        let turns = &self.turns[start..end];
        let up_to = turns.last().and_then(|turn| turn.number).unwrap_or_default();
        let messages = turns.iter().flat_map(|turn| turn.messages.iter().cloned()).collect();
        let asked = match self.asked.take().filter(|asked| asked.up_to == up_to) {
            Some(asked) if now.since(asked.at) < rules.ttl => asked,
            Some(asked) => Asked { at: now, before: asked.before + 1, up_to },
            None => Asked { at: now, before: 0, up_to },
        };
        let range = SummaryRange { session: self.name.clone(), began: self.created_at, after: self.covered(), up_to };
        let earlier = self.summary.as_ref().map(|summary| summary.text.clone());
        let due = Due { range, before: asked.before, earlier, messages };
        self.asked = Some(asked);
        (self, Some(Box::new(due)))
    }

    /// The history with the summary of `range`; `None` when it has forgotten those turns, or has a summary of them.
    #[must_use]
    pub fn summarized(self, range: &SummaryRange, text: &str, now: Timestamp) -> Option<Self> {
        let is_of_now = !self.deleted && self.created_at == range.began && self.appended >= range.up_to;
        if !is_of_now || self.covered() != range.after {
            return None;
        }
        let text = clipped(text, LONGEST).to_owned();
        let summary = Summary { text, covers_turns: range.up_to, made_at: now };
        Some(Self { summary: Some(summary), asked: None, updated_at: now, ..self })
    }

    /// The turns that the next summary is to cover, by their places: the first few that no summary covers, once there
    /// are enough of them and enough behind them.
    fn due(&self, rules: &SummaryRules) -> Option<(usize, usize)> {
        if rules.after == 0 || self.deleted || self.unsummarized {
            return None;
        }
        let start = self.end_of(self.covered());
        let mut messages = 0;
        let ends = self.turns[start..].iter().position(|turn| {
            messages += turn.messages.len();
            turn.number.is_some() && messages >= rules.after
        });
        let end = start + ends? + 1;
        (message_count(&self.turns[end..]) >= rules.keep).then_some((start, end))
    }

    /// The place behind the turns up to this number.
    fn end_of(&self, number: u64) -> usize {
        let is_within = |turn: &Turn| turn.number.is_some_and(|known| known <= number);
        self.turns.iter().rposition(is_within).map_or(0, |place| place + 1)
    }
}

fn message_count(turns: &[Turn]) -> usize {
    turns.iter().map(|turn| turn.messages.len()).sum()
}

/// As much of the beginning of `text` as these bytes hold.
pub(super) fn clipped(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}
