//! A condition is told once it has held for a while, and told to be over once it has been over for a while. What fires is
//! known from the kept incidents; here is only since when things have been as they are. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::alert::{AlertState, Severity};
use schemas::timestamp::Timestamp;

use super::reading::{Concern, Found, Reading};

/// How long an event of ours may take until it is among the kept incidents. It is told again after.
const ON_ITS_WAY: Duration = Duration::from_secs(30);

/// Since when each condition has been as it is.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    conditions: BTreeMap<Concern, Condition>,
}

#[derive(Debug)]
struct Condition {
    breached: bool,
    since: Timestamp,
    told: Option<(AlertState, Timestamp)>,
    /// The highest severity that it fires with, as far as we know.
    severity: Option<Severity>,
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
    /// Takes in a reading of something that `fires` or not as far as is known.
    pub(crate) fn judge(&mut self, reading: &Reading, fires: bool, now: Timestamp) -> Verdict {
        let breached = reading.result == Found::Breached;
        let fresh = Condition { breached, since: now, told: None, severity: None, seen: true };
        let condition = self.conditions.entry((reading.kind, reading.labels.clone())).or_insert(fresh);
        condition.seen = true;
        if reading.result == Found::Unknown {
            return Verdict::Nothing;
        }
        if condition.breached != breached {
            (condition.breached, condition.since) = (breached, now);
        }
        let (state, wait) = match breached {
            true => (AlertState::Firing, reading.timing.hold),
            false => (AlertState::Resolved, reading.timing.keep_firing_for),
        };
        let again = condition.rises(reading, fires) || condition.fades(reading, fires, now);
        let on_its_way = condition.told.is_some_and(|(told, at)| told == state && now.since(at) < ON_ITS_WAY);
        let held = now.since(condition.since) >= wait;
        if held && (again || (breached != fires && !on_its_way)) { Verdict::Tell(state) } else { Verdict::Nothing }
    }

    /// An event was published.
    pub(crate) fn told(&mut self, reading: &Reading, state: AlertState, now: Timestamp) {
        if let Some(condition) = self.conditions.get_mut(&(reading.kind, reading.labels.clone())) {
            condition.told = Some((state, now));
            condition.severity = (state == AlertState::Firing).then_some(reading.severity);
        }
    }

    /// Forgets what no reading of the last evaluation spoke of.
    pub(crate) fn forget_unseen(&mut self) {
        self.conditions.retain(|_, condition| std::mem::take(&mut condition.seen));
    }
}

impl Condition {
    /// Whether it fires, and is now worse than it was told to be. What another told is taken to be as bad as we first see
    /// it.
    fn rises(&mut self, reading: &Reading, fires: bool) -> bool {
        if !fires || !self.breached {
            return false;
        }
        reading.severity > *self.severity.get_or_insert(reading.severity)
    }

    /// Whether it fires, and what was told of it is long ago. What another told counts from when we first saw it.
    fn fades(&self, reading: &Reading, fires: bool, now: Timestamp) -> bool {
        let (refresh, told) = (reading.timing.refresh, self.told.map_or(self.since, |(_, at)| at));
        fires && self.breached && !refresh.is_zero() && now.since(told) >= refresh
    }
}

#[cfg(test)]
mod tests {
    use runtime::config::rules::Timing;
    use schemas::alert::AlertKind;

    use super::*;
    use crate::fixture::NOON;

    const TIMING: Timing =
        Timing { hold: Duration::from_secs(15), keep_firing_for: Duration::from_secs(20), refresh: Duration::ZERO };

    /// The rule engine over time: readings go in, what is published is taken as known at once or never.
    struct Clockwork {
        holds: Holds,
        fires: bool,
        folds: bool,
        severity: Severity,
        timing: Timing,
        told: Vec<(u64, AlertState)>,
    }

    impl Clockwork {
        fn new(fires: bool) -> Self {
            Self {
                holds: Holds::default(),
                fires,
                folds: true,
                severity: Severity::Warning,
                timing: TIMING,
                told: Vec::new(),
            }
        }

        fn at(&mut self, second: u64, result: Found) {
            let now = NOON.after(Duration::from_secs(second));
            let reading = Reading { result, ..Reading::new(AlertKind::NoWorker, self.severity, self.timing) };
            if let Verdict::Tell(state) = self.holds.judge(&reading, self.fires, now) {
                self.told.push((second, state));
                self.holds.told(&reading, state, now);
                self.fires = if self.folds { state == AlertState::Firing } else { self.fires };
            }
        }
    }

    #[test]
    fn it_fires_once_after_its_hold_and_resolves_once() {
        let mut clockwork = Clockwork::new(false);
        (0..60).for_each(|second| clockwork.at(second, Found::Breached));
        (60..120).for_each(|second| clockwork.at(second, Found::Clear));
        assert_eq!(clockwork.told, [(15, AlertState::Firing), (80, AlertState::Resolved)]);
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
    fn what_comes_back_in_time_fires_on() {
        let mut clockwork = Clockwork::new(true);
        for second in 0..120 {
            clockwork.at(second, if second % 20 == 19 { Found::Breached } else { Found::Clear });
        }
        assert_eq!(clockwork.told, []);
    }

    #[test]
    fn what_another_replica_raised_is_resolved() {
        let mut clockwork = Clockwork::new(true);
        (0..30).for_each(|second| clockwork.at(second, Found::Clear));
        assert_eq!(clockwork.told, [(20, AlertState::Resolved)]);
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
    fn what_gets_worse_is_told_at_once_and_once() {
        let mut clockwork = Clockwork::new(false);
        (0..30).for_each(|second| clockwork.at(second, Found::Breached));
        clockwork.severity = Severity::Critical;
        (30..60).for_each(|second| clockwork.at(second, Found::Breached));
        clockwork.severity = Severity::Warning;
        (60..90).for_each(|second| clockwork.at(second, Found::Breached));
        assert_eq!(clockwork.told, [(15, AlertState::Firing), (30, AlertState::Firing)]);
        let mut inherited = Clockwork::new(true);
        inherited.at(0, Found::Breached);
        inherited.severity = Severity::Critical;
        (1..60).for_each(|second| inherited.at(second, Found::Breached));
        assert_eq!(inherited.told, [(15, AlertState::Firing)]);
    }

    #[test]
    fn what_fires_on_is_told_again_now_and_then() {
        let mut clockwork = Clockwork::new(false);
        clockwork.timing.refresh = Duration::from_secs(60);
        (0..140).for_each(|second| clockwork.at(second, Found::Breached));
        (140..260).for_each(|second| clockwork.at(second, Found::Clear));
        let (fires, ends) = (AlertState::Firing, AlertState::Resolved);
        assert_eq!(clockwork.told, [(15, fires), (75, fires), (135, fires), (160, ends)]);
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
