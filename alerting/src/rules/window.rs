//! What every process said of itself lately, in a sliding window of bounded size. Pure: time is an argument, and it is
//! ours: the clocks of the processes are not compared.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use schemas::stats::ProcessStats;
use schemas::timestamp::Timestamp;

/// A process that has said nothing for this long is gone: three of its reports.
const ALIVE: Duration = Duration::from_secs(15);
/// Most processes looked at; more are ignored.
const MAX_PROCESSES: usize = 1000;
/// Most reports kept of one process.
const MAX_REPORTS: usize = 400;
/// Most run times kept of one report.
const MAX_DURATIONS: usize = 256;

/// The window.
#[derive(Debug)]
pub(crate) struct Window {
    span: Duration,
    since: Timestamp,
    processes: BTreeMap<(String, String), VecDeque<Report>>,
}

#[derive(Debug)]
struct Report {
    heard: Timestamp,
    stats: ProcessStats,
}

/// Jobs that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ends {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
}

impl Window {
    /// Nothing heard yet; listening from `now`.
    pub(crate) const fn new(span: Duration, now: Timestamp) -> Self {
        Self { span, since: now, processes: BTreeMap::new() }
    }

    /// Takes in a report heard at `now`.
    pub(crate) fn add(&mut self, mut stats: ProcessStats, now: Timestamp) {
        self.expire(now);
        let key = (stats.role.clone(), stats.instance.clone());
        if self.processes.len() >= MAX_PROCESSES && !self.processes.contains_key(&key) {
            return;
        }
        stats.durations_ms.truncate(MAX_DURATIONS);
        let reports = self.processes.entry(key).or_default();
        if reports.len() >= MAX_REPORTS {
            reports.pop_front();
        }
        reports.push_back(Report { heard: now, stats });
    }

    /// Whether we have been listening for at least `span`.
    pub(crate) fn covers(&self, span: Duration, now: Timestamp) -> bool {
        now.since(self.since) >= span
    }

    /// Workers that are alive and take work.
    pub(crate) fn workers(&self, now: Timestamp) -> usize {
        self.alive(now).filter(|stats| stats.role == "worker" && !stats.leaving).count()
    }

    /// The last report of every process that is alive.
    pub(crate) fn alive(&self, now: Timestamp) -> impl Iterator<Item = &ProcessStats> {
        let last = self.processes.values().filter_map(VecDeque::back);
        last.filter(move |report| now.since(report.heard) <= ALIVE).map(|report| &report.stats)
    }

    /// Jobs that ended in the last `span`.
    pub(crate) fn ends(&self, span: Duration, now: Timestamp) -> Ends {
        self.within(span, now).fold(Ends::default(), |ends, stats| Ends {
            succeeded: ends.succeeded.saturating_add(stats.succeeded),
            failed: ends.failed.saturating_add(stats.failed),
        })
    }

    /// Run times of the last `span` in milliseconds, sorted.
    pub(crate) fn durations(&self, span: Duration, now: Timestamp) -> Vec<u32> {
        let mut durations: Vec<u32> =
            self.within(span, now).flat_map(|stats| stats.durations_ms.iter().copied()).collect();
        durations.sort_unstable();
        durations
    }

    fn within(&self, span: Duration, now: Timestamp) -> impl Iterator<Item = &ProcessStats> {
        let reports = self.processes.values().flatten();
        reports.filter(move |report| now.since(report.heard) <= span).map(|report| &report.stats)
    }

    fn expire(&mut self, now: Timestamp) {
        let span = self.span.max(ALIVE);
        self.processes.retain(|_, reports| {
            while reports.front().is_some_and(|report| now.since(report.heard) > span) {
                reports.pop_front();
            }
            !reports.is_empty()
        });
    }
}
