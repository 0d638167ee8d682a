//! What the receiver was told lately, so that an alert that fires on is not posted each time that it says so. In memory:
//! after a crash it is posted once more. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::alert::{AlertState, Severity};
use schemas::timestamp::Timestamp;

/// Most alerts remembered; the one told longest ago gives way.
const MOST: usize = 10_000;

/// By fingerprint.
#[derive(Debug, Default)]
pub(crate) struct Told(BTreeMap<String, Last>);

#[derive(Debug)]
struct Last {
    state: (AlertState, Severity),
    at: Timestamp,
    held_back: u64,
}

impl Told {
    /// How many events a post about `count` more of them is to speak of; nothing when it is not to be posted yet.
    pub(crate) fn admit(
        &mut self,
        fingerprint: &str,
        state: (AlertState, Severity),
        count: u64,
        every: Duration,
        now: Timestamp,
    ) -> Option<u64> {
        if let Some(last) = self.0.get_mut(fingerprint).filter(|last| last.state == state) {
            if now.since(last.at) < every {
                last.held_back = last.held_back.saturating_add(count);
                return None;
            }
            last.at = now;
            return Some(count.saturating_add(std::mem::take(&mut last.held_back)));
        }
        if self.0.len() >= MOST && !self.0.contains_key(fingerprint) {
            let oldest = self.0.iter().min_by_key(|(_, last)| last.at).map(|(fingerprint, _)| fingerprint.clone());
            oldest.map(|fingerprint| self.0.remove(&fingerprint));
        }
        self.0.insert(fingerprint.to_owned(), Last { state, at: now, held_back: 0 });
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::NOON;

    const HOUR: Duration = Duration::from_secs(3600);
    const FIRES: (AlertState, Severity) = (AlertState::Firing, Severity::Warning);

    fn at(second: u64) -> Timestamp {
        NOON.after(Duration::from_secs(second))
    }

    #[test]
    fn repeats_are_held_back_and_counted() {
        let mut told = Told::default();
        let mut fires = |count, second| told.admit("a", FIRES, count, HOUR, at(second));
        assert_eq!(fires(2, 0), Some(2));
        assert_eq!(fires(1, 60), None);
        assert_eq!(fires(4, 3599), None);
        assert_eq!(fires(1, 3600), Some(6));
        assert_eq!(fires(1, 3700), None);
    }

    #[test]
    fn whatever_changes_is_posted_at_once() {
        let mut told = Told::default();
        let (worse, over) = ((AlertState::Firing, Severity::Critical), (AlertState::Resolved, Severity::Warning));
        for state in [FIRES, worse, over, FIRES] {
            assert_eq!(told.admit("a", state, 1, HOUR, NOON), Some(1), "{state:?}");
        }
        assert_eq!(told.admit("b", FIRES, 1, HOUR, NOON), Some(1), "another alert");
        assert_eq!(told.admit("b", FIRES, 1, Duration::ZERO, NOON), Some(1), "nothing is to be held back");
    }

    #[test]
    fn memory_is_bounded() {
        let mut told = Told::default();
        for number in 0..MOST as u64 + 5 {
            told.admit(&number.to_string(), FIRES, 1, HOUR, at(number));
        }
        assert_eq!(told.0.len(), MOST);
        assert_eq!(told.admit("0", FIRES, 1, HOUR, at(20_000)), Some(1));
    }
}
