//! What the daily digest counts of one incident, by day. Pure.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use schemas::alert::Severity;
use serde::{Deserialize, Serialize};

/// Most days that one incident keeps apart; older ones are counted into the oldest of them.
const MAX_DAYS: usize = 8;

/// What happened to one incident on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tally {
    /// Firing events.
    pub(crate) events: u64,
    /// How often it began, by severity.
    pub(crate) critical: u64,
    pub(crate) warning: u64,
    pub(crate) info: u64,
    /// How often it ended.
    pub(crate) resolved: u64,
}

/// Tallies by day.
pub(crate) type Days = BTreeMap<i64, Tally>;

impl Tally {
    /// One event, or none, that changed whether the incident is so.
    pub(crate) fn of(event: bool, began: Option<Severity>, ended: bool) -> Self {
        let on = |severity| u64::from(began == Some(severity));
        Self {
            events: event.into(),
            critical: on(Severity::Critical),
            warning: on(Severity::Warning),
            info: on(Severity::Info),
            resolved: ended.into(),
        }
    }

    /// How often it began.
    pub(crate) const fn opened(self) -> u64 {
        self.critical + self.warning + self.info
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.critical += other.critical;
        self.warning += other.warning;
        self.info += other.info;
        self.resolved += other.resolved;
    }
}

/// Counts into a day.
pub(crate) fn count(days: &mut Days, day: i64, tally: Tally) {
    if tally == Tally::default() {
        return;
    }
    *days.entry(day).or_default() += tally;
    while days.len() > MAX_DAYS {
        let Some((_, oldest)) = days.pop_first() else { return };
        if let Some(mut next) = days.first_entry() {
            *next.get_mut() += oldest;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn days_are_bounded_and_lose_nothing(days in prop::collection::vec(0_i64..40, 0..100)) {
            let mut counted = Days::new();
            for day in &days {
                count(&mut counted, *day, Tally { events: 1, ..Tally::default() });
            }
            prop_assert!(counted.len() <= MAX_DAYS);
            prop_assert_eq!(counted.values().map(|tally| tally.events).sum::<u64>(), days.len() as u64);
        }
    }
}
