//! What every process said of itself lately, added up. Pure: the time is an argument, our own clock's.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::stats::{ProcessStats, QueueDepth};
use schemas::timestamp::Timestamp;

use super::status::{Activity, QueueStatus};
use crate::config::QueueConfig;
use crate::rate::RateWindow;

/// Processes report every five seconds; one that missed three reports is gone.
const GONE_AFTER: Duration = Duration::from_secs(16);
/// Most processes kept; more than that is no fleet but a fault.
const MOST: usize = 4096;

/// Who is alive and what happens how often.
#[derive(Debug)]
pub struct Fleet {
    processes: BTreeMap<(String, String), Process>,
    arrivals: RateWindow,
    completions: RateWindow,
    /// When something last ended, or the queue was last empty: from then on it may be stalled.
    progress_at: Timestamp,
}

#[derive(Debug)]
struct Process {
    heard_at: Timestamp,
    slots: u64,
    slots_used: u64,
}

impl Fleet {
    /// Nobody heard yet.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self {
            processes: BTreeMap::new(),
            arrivals: RateWindow::new(now),
            completions: RateWindow::new(now),
            progress_at: now,
        }
    }

    /// Takes in one report.
    pub fn hear(&mut self, now: Timestamp, stats: &ProcessStats) {
        let completed = stats.succeeded.saturating_add(stats.failed);
        self.arrivals.add(now, stats.accepted);
        self.completions.add(now, completed);
        if completed > 0 {
            self.progress_at = now;
        }
        let name = (stats.role.clone(), stats.instance.clone());
        if stats.leaving {
            self.processes.remove(&name);
        } else if self.processes.len() < MOST || self.processes.contains_key(&name) {
            let (slots, slots_used) = (stats.slots.into(), stats.slots_used.into());
            self.processes.insert(name, Process { heard_at: now, slots, slots_used });
        }
    }

    /// The queue's status, from these counts of the broker.
    pub fn status(&mut self, now: Timestamp, depth: &QueueDepth, config: &QueueConfig) -> QueueStatus {
        self.processes.retain(|_, process| now.since(process.heard_at) < GONE_AFTER);
        if depth.total().pending == 0 {
            self.progress_at = now;
        }
        let workers = || self.alive("worker");
        let activity = Activity {
            workers: workers().count() as u64,
            alerting: self.alive("alerting").count() as u64,
            slots: workers().map(|worker| worker.slots).sum(),
            slots_used: workers().map(|worker| worker.slots_used).sum(),
            arrivals_per_second: self.arrivals.per_second(now),
            completions_per_second: self.completions.per_second(now),
            without_progress: now.since(self.progress_at),
        };
        QueueStatus::new(now, depth, &activity, config)
    }

    fn alive(&self, role: &str) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(move |((known, _), _)| known == role).map(|(_, process)| process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::QueueState;
    use schemas::job::Lane;
    use schemas::stats::LaneDepth;

    const CONFIG: QueueConfig = QueueConfig { backlog_threshold: 500, stalled_after: Duration::from_secs(60) };

    fn second(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn worker(instance: &str, succeeded: u64) -> ProcessStats {
        ProcessStats {
            role: "worker".to_owned(),
            instance: instance.to_owned(),
            slots: 100,
            slots_used: 7,
            succeeded,
            failed: 1,
            ..ProcessStats::default()
        }
    }

    fn waiting(pending: u64) -> QueueDepth {
        QueueDepth { lanes: BTreeMap::from([(Lane::Normal, LaneDepth { pending, ..LaneDepth::default() })]) }
    }

    #[test]
    fn workers_and_rates_add_up() {
        let mut fleet = Fleet::new(second(0));
        fleet.hear(second(0), &worker("a", 29));
        fleet.hear(second(9), &worker("b", 29));
        fleet.hear(second(9), &ProcessStats { role: "ingress".to_owned(), accepted: 120, ..ProcessStats::default() });
        let status = fleet.status(second(9), &waiting(12), &CONFIG);
        assert_eq!((status.workers_alive, status.slots, status.slots_used), (2, 200, 14));
        assert_eq!((status.arrivals_per_second, status.completions_per_second), (12.0, 6.0));
        assert_eq!(status.estimated_drain_seconds, Some(2));
    }

    #[test]
    fn the_silent_and_the_leaving_are_gone() {
        let mut fleet = Fleet::new(second(0));
        fleet.hear(second(0), &worker("a", 0));
        fleet.hear(second(10), &worker("b", 0));
        assert_eq!(fleet.status(second(15), &waiting(0), &CONFIG).workers_alive, 2);
        assert_eq!(fleet.status(second(16), &waiting(0), &CONFIG).workers_alive, 1);
        fleet.hear(second(17), &ProcessStats { leaving: true, ..worker("b", 0) });
        assert_eq!(fleet.status(second(17), &waiting(0), &CONFIG).workers_alive, 0);
        assert_eq!(fleet.alive("worker").count(), 0);
    }

    #[test]
    fn stalled_means_that_work_waits_and_nothing_ends() {
        let mut fleet = Fleet::new(second(0));
        assert_eq!(fleet.status(second(500), &waiting(0), &CONFIG).status, QueueState::Healthy);
        assert_eq!(fleet.status(second(559), &waiting(1), &CONFIG).status, QueueState::Healthy);
        assert_eq!(fleet.status(second(560), &waiting(1), &CONFIG).status, QueueState::Stalled);
        fleet.hear(second(561), &worker("a", 1));
        assert_eq!(fleet.status(second(561), &waiting(501), &CONFIG).status, QueueState::Backlogged);
        assert_eq!(fleet.status(second(700), &waiting(501), &CONFIG).status, QueueState::Stalled);
    }
}
