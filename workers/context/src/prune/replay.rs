//! Where a conversation is cut, found by walking it from its first message as if every point at which a request may end
//! had been one. A cut goes down to the low-water mark and then stays until the budget is full again; so nothing has to
//! be remembered between requests, and those that follow each other begin with the same bytes. Each step is passed by
//! each of the four pointers once: the work is linear in the messages.

use super::layout::{Layout, Step};
use crate::budget::Budget;

/// What a cut has to reach, in tokens where nothing else is said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aims {
    /// Most that may be sent.
    pub(super) limit: u64,
    /// What a cut leaves, unless a turn or result that is left out bridges the gap to the limit.
    pub(super) low_mark: u64,
    /// Clears all that may be cleared when exceeded.
    pub(super) trigger: Option<u64>,
    /// Nothing is cleared for less.
    pub(super) at_least: u64,
    /// Newest tool uses that are never cleared.
    pub(super) keep_uses: usize,
    /// Newest messages that are spared while others make room.
    pub(super) keep_recent: usize,
    /// What stands in for dropped turns.
    pub(super) summary: u64,
    /// It is sent though no turn is dropped.
    pub(super) always: bool,
}

impl Aims {
    /// Those of `budget`, with a summary of so many tokens.
    pub(super) fn of(budget: &Budget, summary: u64) -> Self {
        let clear = budget.clear.as_ref();
        Self {
            limit: budget.limit(),
            low_mark: budget.low_mark(),
            trigger: clear.and_then(|clear| clear.trigger),
            at_least: clear.map_or(0, |clear| clear.at_least),
            keep_uses: clear.map_or(0, |clear| clear.keep),
            keep_recent: budget.keep_recent,
            summary,
            always: false,
        }
    }
}

/// What is left of a conversation at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Turns before this one are dropped.
    pub(super) turns: usize,
    /// Messages before this one are cleared where they can be.
    pub(super) cleared: usize,
    /// A turn that could have been sent is dropped, here or before.
    pub(super) is_dropped: bool,
    /// Tokens of what is sent.
    pub(super) tokens: u64,
    /// What was sent for the request before is the beginning of what is sent.
    pub(super) is_stable: bool,
    /// Steps of work.
    #[cfg(test)]
    pub(super) work: usize,
}

/// The cut at the end of `layout`, beside `overhead` tokens that are no message's.
pub(super) fn cut(layout: &Layout, overhead: u64, aims: Aims) -> Cut {
    let mut walk = Walk {
        layout,
        aims,
        tokens: overhead + if aims.always { aims.summary } else { 0 },
        turns: layout.turns.iter().map(|_| Live { is_sent: true, ..Live::default() }).collect(),
        newest: None,
        cut: 0,
        cleared: 0,
        ripe: 0,
        freeable: 0,
        is_dropped: aims.always,
        answered: 0,
        is_changed: false,
        #[cfg(test)]
        work: 0,
    };
    for (index, step) in layout.steps.iter().enumerate() {
        walk.step(index, step);
    }
    walk.end()
}

/// The conversation up to some message.
struct Walk<'a> {
    layout: &'a Layout,
    aims: Aims,
    /// What is sent.
    tokens: u64,
    turns: Vec<Live>,
    /// The turn of the last message that is part of one.
    newest: Option<usize>,
    /// Turns before this one are dropped.
    cut: usize,
    /// Messages before this one are cleared where they can be.
    cleared: usize,
    /// Messages before this one may be cleared.
    ripe: usize,
    /// What clearing those saves.
    freeable: u64,
    is_dropped: bool,
    /// The messages that the model answered last.
    answered: usize,
    /// Of these, something was changed since.
    is_changed: bool,
    #[cfg(test)]
    work: usize,
}

/// A turn as it stands.
#[derive(Debug, Clone, Copy, Default)]
struct Live {
    is_sent: bool,
    tokens: u64,
    freeable: u64,
}

impl Walk<'_> {
    fn step(&mut self, index: usize, step: &Step) {
        self.tick();
        if let Some(turn) = step.turn {
            if self.newest.is_some_and(|newest| newest < turn) {
                self.close();
            }
            self.newest = Some(turn);
            self.turns[turn].tokens += step.cost;
        }
        self.tokens += step.cost;
        if step.is_settled {
            self.fit(index + 1);
            let is_answered = self.layout.steps.get(index + 1).is_some_and(|next| next.answers);
            // One that does not fit was refused, whatever comes next.
            if is_answered && self.tokens <= self.aims.limit {
                self.answered = index + 1;
                self.is_changed = false;
            }
        }
    }

    /// The newest turn has come to its end: one that cannot be sent is left out from here on.
    fn close(&mut self) {
        let Some(newest) = self.newest.filter(|newest| !self.layout.turns[*newest].is_sound()) else { return };
        self.take_out(newest);
    }

    /// Makes the first `end` messages fit.
    fn fit(&mut self, end: usize) {
        self.ripen(end);
        if self.tokens > self.aims.limit {
            self.clear();
            self.drop_turns(end);
            self.clear_at_need(end);
        } else if self.aims.trigger.is_some_and(|trigger| self.tokens > trigger) {
            self.clear();
        }
    }

    /// Finds what may be cleared: nothing of the newest tool uses, nothing in the newest messages.
    fn ripen(&mut self, end: usize) {
        while self.ripe.saturating_add(self.aims.keep_recent) < end {
            let saves = self.saves(self.ripe);
            if saves > 0 && !self.is_old(self.ripe, end) {
                return;
            }
            self.tick();
            self.freeable += saves;
            self.free(self.ripe, |live| live.freeable += saves);
            self.ripe += 1;
        }
    }

    /// Clears the oldest of what may be, to the low-water mark; all of it when that is asked for.
    fn clear(&mut self) {
        let Aims { limit, low_mark, trigger, at_least, .. } = self.aims;
        if self.freeable < at_least {
            return;
        }
        let goal = if trigger.is_some() { 0 } else { low_mark };
        let mut freed = 0;
        while self.cleared < self.ripe {
            let saves = self.saves(self.cleared);
            let must = self.tokens > limit || freed < at_least;
            if saves > 0 && !must && (self.tokens <= goal || self.tokens - saves < goal) {
                return;
            }
            freed += saves;
            self.clear_next(saves);
        }
    }

    /// Drops the oldest turns: until the rest fits, and further to the low-water mark, but not below it.
    fn drop_turns(&mut self, end: usize) {
        let Aims { limit, low_mark, keep_recent, summary, .. } = self.aims;
        while self.newest.is_some_and(|newest| self.cut < newest) {
            let turn = self.turns[self.cut];
            let summary = if turn.is_sent && !self.is_dropped { summary } else { 0 };
            let left = self.tokens - turn.tokens + summary;
            let is_spared = self.layout.turns[self.cut].messages.end.saturating_add(keep_recent) > end;
            if self.tokens <= limit && (is_spared || self.tokens <= low_mark || left < low_mark) {
                return;
            }
            self.tick();
            self.is_dropped |= turn.is_sent;
            self.tokens += summary;
            self.take_out(self.cut);
            self.cut += 1;
        }
    }

    /// Before a request is refused, clears in what was to be spared, but for the newest tool uses.
    fn clear_at_need(&mut self, end: usize) {
        while self.tokens > self.aims.limit && self.cleared < end {
            let saves = self.saves(self.cleared);
            if saves > 0 && !self.is_old(self.cleared, end) {
                return;
            }
            if self.cleared >= self.ripe {
                self.ripe = self.cleared + 1;
                self.freeable += saves;
                self.free(self.cleared, |live| live.freeable += saves);
            }
            self.clear_next(saves);
        }
    }

    /// Whether the message is part of none but old tool uses.
    fn is_old(&self, index: usize, end: usize) -> bool {
        let calls = end.checked_sub(1).map_or(0, |last| self.layout.steps[last].calls);
        self.layout.steps[index].uses.saturating_add(self.aims.keep_uses) <= calls
    }

    /// What clearing the message saves; nothing where it is not sent.
    fn saves(&self, index: usize) -> u64 {
        let step = &self.layout.steps[index];
        let is_sent = step.turn.is_some_and(|turn| self.turns[turn].is_sent);
        step.cleared.as_ref().filter(|_| is_sent).map_or(0, |cleared| step.cost - cleared.cost)
    }

    fn clear_next(&mut self, saves: u64) {
        self.tick();
        self.tokens -= saves;
        self.freeable -= saves;
        self.is_changed |= saves > 0 && self.cleared < self.answered;
        self.free(self.cleared, |live| {
            live.tokens -= saves;
            live.freeable -= saves;
        });
        self.cleared += 1;
    }

    fn free(&mut self, index: usize, change: impl FnOnce(&mut Live)) {
        if let Some(turn) = self.layout.steps[index].turn.filter(|turn| self.turns[*turn].is_sent) {
            change(&mut self.turns[turn]);
        }
    }

    fn take_out(&mut self, turn: usize) {
        let live = std::mem::take(&mut self.turns[turn]);
        self.tokens -= live.tokens;
        self.freeable -= live.freeable;
        self.is_changed |= live.is_sent && self.layout.turns[turn].messages.start < self.answered;
    }

    const fn tick(&mut self) {
        #[cfg(test)]
        {
            self.work += 1;
        }
    }

    fn end(self) -> Cut {
        Cut {
            turns: self.cut,
            cleared: self.cleared,
            is_dropped: self.is_dropped,
            tokens: self.tokens,
            is_stable: !self.is_changed,
            #[cfg(test)]
            work: self.work,
        }
    }
}
