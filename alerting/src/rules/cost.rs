//! What each day cost, from the running sums that workers tell of themselves: a report that is lost loses nothing. Kept in
//! the bucket INCIDENTS, so that a new leader knows the days before. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::stats::ProcessStats;
use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// Days kept, today among them.
const DAYS: i64 = 8;
/// Fewest days before today for their mean to mean anything.
const FEWEST: i64 = 3;
/// A process that was silent for this long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(2 * 86_400);
/// Most processes remembered; the longest silent one gives way.
const MOST: usize = 1000;

/// Costs by day (UTC, days since 1970), and how far each process has been counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Costs {
    days: BTreeMap<i64, u64>,
    seen: BTreeMap<String, Seen>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    started_at: Timestamp,
    micros: u64,
    heard: Timestamp,
}

impl Costs {
    /// Takes in a report heard at `now`; whether anything was spent.
    pub(crate) fn hear(&mut self, stats: &ProcessStats, now: Timestamp) -> bool {
        if stats.cost_micros == 0 {
            return false;
        }
        let name = format!("{}/{}", stats.role, stats.instance);
        let before = self.seen.get(&name).filter(|seen| seen.started_at == stats.started_at);
        let spent = stats.cost_micros.saturating_sub(before.map_or(0, |seen| seen.micros));
        let micros = stats.cost_micros.max(before.map_or(0, |seen| seen.micros));
        self.seen.insert(name, Seen { started_at: stats.started_at, micros, heard: now });
        if spent > 0 {
            let today = self.days.entry(day(now)).or_default();
            *today = today.saturating_add(spent);
        }
        self.forget(now);
        spent > 0
    }

    /// What today has cost so far, in millionths of a dollar.
    pub(crate) fn today(&self, now: Timestamp) -> u64 {
        self.days.get(&day(now)).copied().unwrap_or_default()
    }

    /// The mean of the days before, up to seven, from the first that is known; nothing when there are too few.
    #[expect(clippy::cast_precision_loss, reason = "a mean for people, of sums far below 2^53")]
    pub(crate) fn mean(&self, now: Timestamp) -> Option<f64> {
        let today = day(now);
        let first = *self.days.keys().find(|day| **day > today - DAYS)?;
        let days = today - first;
        let sum: u64 = self.days.range(first..today).fold(0, |sum, (_, micros)| sum.saturating_add(*micros));
        (days >= FEWEST).then(|| sum as f64 / days as f64)
    }

    fn forget(&mut self, now: Timestamp) {
        let oldest = day(now) - DAYS;
        self.days.retain(|day, _| *day > oldest);
        self.seen.retain(|_, seen| now.since(seen.heard) <= FORGOTTEN);
        if self.seen.len() > MOST {
            let silent = self.seen.iter().min_by_key(|(_, seen)| seen.heard).map(|(name, _)| name.clone());
            silent.map(|name| self.seen.remove(&name));
        }
    }
}

const fn day(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(86_400_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::NOON;

    const DAY: u64 = 86_400;

    fn at(second: u64) -> Timestamp {
        NOON.after(Duration::from_secs(second))
    }

    fn report(instance: &str, started: u64, micros: u64) -> ProcessStats {
        let (role, instance) = ("worker".to_owned(), instance.to_owned());
        ProcessStats { role, instance, started_at: at(started), cost_micros: micros, ..ProcessStats::default() }
    }

    #[test]
    fn a_sum_counts_once_and_begins_anew_with_its_process() {
        let mut costs = Costs::default();
        assert!(costs.hear(&report("a", 0, 100), at(1)));
        assert!(!costs.hear(&report("a", 0, 100), at(2)));
        assert!(costs.hear(&report("b", 0, 7), at(2)));
        assert!(costs.hear(&report("a", 0, 130), at(3)));
        assert!(!costs.hear(&report("a", 0, 120), at(4)), "an older report that came late");
        assert!(costs.hear(&report("a", 9, 20), at(10)), "restarted under its name");
        assert_eq!(costs.today(at(10)), 100 + 7 + 30 + 20);
    }

    #[test]
    fn the_mean_is_of_the_days_before_and_needs_three() {
        let mut costs = Costs::default();
        for day in 0..10 {
            costs.hear(&report(&format!("w-{day}"), day, 1000 + day), at(day * DAY));
            let expected = (day >= 3).then(|| {
                let days: Vec<u64> = (day.saturating_sub(7)..day).map(|day| 1000 + day).collect();
                days.iter().sum::<u64>() as f64 / days.len() as f64
            });
            assert_eq!(costs.mean(at(day * DAY)), expected, "day {day}");
        }
        assert_eq!(costs.days.len(), 8);
        // A day without any cost is a day.
        assert_eq!(costs.mean(at(16 * DAY)), Some(1009.0 / 7.0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut costs = Costs::default();
        for number in 0..1500 {
            costs.hear(&report(&format!("w-{number}"), 0, 1), at(number));
        }
        assert_eq!((costs.seen.len(), costs.today(at(1500))), (MOST, 1500));
    }

    proptest! {
        /// Whatever reports are lost, and wherever the state is kept and read again, the sums add up.
        #[test]
        fn lost_reports_lose_nothing(
            steps in prop::collection::vec((0_usize..4, 1_u64..1000, any::<bool>(), any::<bool>()), 1..60)
        ) {
            let (mut costs, mut kept, mut sums) = (Costs::default(), Costs::default(), [0_u64; 4]);
            for (second, (process, spent, heard, restarted)) in steps.into_iter().enumerate() {
                sums[process] += spent;
                if heard {
                    costs.hear(&report(&process.to_string(), 0, sums[process]), at(second as u64));
                }
                // A new leader begins with what was last kept: what was heard since is heard again in the sums.
                if restarted {
                    costs = schemas::envelope::decode(&schemas::envelope::encode(&kept).unwrap()).unwrap();
                } else {
                    kept = costs.clone();
                }
            }
            for (process, sum) in sums.iter().enumerate() {
                costs.hear(&report(&process.to_string(), 0, *sum), at(100));
            }
            prop_assert_eq!(costs.today(at(100)), sums.iter().sum::<u64>());
        }
    }
}
