//! A condition is told once it has held for a while, and told to be over once it has been over for as long. What fires is
//! known from the kept incidents; here is only since when things have been as they are. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::alert::{AlertKind, AlertState};
use tokio::time::Instant;

use super::Concern;
use super::evaluate::{Found, Reading};

/// How long an event of ours may take until it is among the kept incidents. It is told again after.
const ON_ITS_WAY: Duration = Duration::from_secs(30);

/// Since when each condition has been as it is.
#[derive(Debug)]
pub(crate) struct Holds {
    hold: Duration,
    conditions: BTreeMap<Concern, Condition>,
}

#[derive(Debug)]
struct Condition {
    breached: bool,
    since: Instant,
    told: Option<(AlertState, Instant)>,
    seen: bool,
}

/// What to do about a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is told.
    Nothing,
    /// Publish that it begins or ends.
    Tell(AlertState),
}

impl Holds {
    /// Conditions must hold for `hold`.
    pub(crate) const fn new(hold: Duration) -> Self {
        Self { hold, conditions: BTreeMap::new() }
    }

    /// Takes in a reading of something that `fires` or not as far as is known.
    pub(crate) fn judge(&mut self, reading: &Reading, fires: bool, now: Instant) -> Verdict {
        let breached = reading.result == Found::Breached;
        let condition = self.conditions.entry((reading.kind, reading.labels.clone())).or_insert(Condition {
            breached,
            since: now,
            told: None,
            seen: true,
        });
        condition.seen = true;
        if reading.result == Found::Unknown {
            return Verdict::Nothing;
        }
        if condition.breached != breached {
            (condition.breached, condition.since) = (breached, now);
        }
        let state = if breached { AlertState::Firing } else { AlertState::Resolved };
        let on_its_way = condition.told.is_some_and(|(told, at)| told == state && now.duration_since(at) < ON_ITS_WAY);
        if breached == fires || on_its_way || now.duration_since(condition.since) < self.hold {
            return Verdict::Nothing;
        }
        Verdict::Tell(state)
    }

    /// An event was published.
    pub(crate) fn told(&mut self, kind: AlertKind, labels: &BTreeMap<String, String>, state: AlertState, now: Instant) {
        if let Some(condition) = self.conditions.get_mut(&(kind, labels.clone())) {
            condition.told = Some((state, now));
        }
    }

    /// Forgets what no reading of the last evaluation spoke of.
    pub(crate) fn forget_unseen(&mut self) {
        self.conditions.retain(|_, condition| std::mem::take(&mut condition.seen));
    }
}

#[cfg(test)]
mod tests {
    use schemas::alert::Severity;

    use super::*;

    const HOLD: Duration = Duration::from_secs(15);

    /// The rule engine over time: readings go in, what is published is taken as known at once or never.
    struct Clockwork {
        holds: Holds,
        start: Instant,
        fires: bool,
        folds: bool,
        told: Vec<(u64, AlertState)>,
    }

    impl Clockwork {
        fn new(fires: bool) -> Self {
            Self { holds: Holds::new(HOLD), start: Instant::now(), fires, folds: true, told: Vec::new() }
        }

        fn at(&mut self, second: u64, result: Found) {
            let now = self.start + Duration::from_secs(second);
            let reading = Reading {
                kind: AlertKind::NoWorker,
                severity: Severity::Critical,
                labels: BTreeMap::new(),
                result,
                value: None,
                threshold: None,
                summary: String::new(),
            };
            if let Verdict::Tell(state) = self.holds.judge(&reading, self.fires, now) {
                self.told.push((second, state));
                self.holds.told(reading.kind, &reading.labels, state, now);
                self.fires = if self.folds { state == AlertState::Firing } else { self.fires };
            }
        }
    }

    #[test]
    fn it_fires_once_after_its_hold_and_resolves_once() {
        let mut clockwork = Clockwork::new(false);
        (0..60).for_each(|second| clockwork.at(second, Found::Breached));
        (60..120).for_each(|second| clockwork.at(second, Found::Clear));
        assert_eq!(clockwork.told, [(15, AlertState::Firing), (75, AlertState::Resolved)]);
    }

    #[test]
    fn what_does_not_hold_is_never_told() {
        let mut clockwork = Clockwork::new(false);
        for second in 0..120 {
            clockwork.at(second, if second % 15 == 14 { Found::Clear } else { Found::Breached });
        }
        assert_eq!(clockwork.told, []);
    }

    #[test]
    fn what_another_replica_raised_is_resolved() {
        let mut clockwork = Clockwork::new(true);
        (0..30).for_each(|second| clockwork.at(second, Found::Clear));
        assert_eq!(clockwork.told, [(15, AlertState::Resolved)]);
    }

    #[test]
    fn the_unknown_changes_nothing() {
        let mut clockwork = Clockwork::new(true);
        (0..100).for_each(|second| clockwork.at(second, Found::Unknown));
        assert_eq!(clockwork.told, []);
    }

    #[test]
    fn an_event_that_was_lost_is_told_again() {
        let mut clockwork = Clockwork::new(false);
        clockwork.folds = false;
        (0..50).for_each(|second| clockwork.at(second, Found::Breached));
        assert_eq!(clockwork.told, [(15, AlertState::Firing), (45, AlertState::Firing)]);
    }

    #[test]
    fn what_nobody_speaks_of_is_forgotten() {
        let mut clockwork = Clockwork::new(false);
        clockwork.at(0, Found::Breached);
        clockwork.holds.forget_unseen();
        assert_eq!(clockwork.holds.conditions.len(), 1);
        clockwork.holds.forget_unseen();
        assert!(clockwork.holds.conditions.is_empty());
    }
}
