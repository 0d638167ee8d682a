//! What every process said of itself lately, in a sliding window of bounded size. Pure: time is an argument, and it is
//! ours: the clocks of the processes are not compared.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use schemas::stats::ProcessStats;
use schemas::timestamp::Timestamp;

use super::roster::{ALIVE, Roster};

/// Most processes looked at; more are ignored.
const MAX_PROCESSES: usize = 1000;
/// Most reports kept of one process.
const MAX_REPORTS: usize = 400;
/// Most run times kept of one report.
const MAX_DURATIONS: usize = 256;
/// Most looks at the queue's depth kept.
const MAX_DEPTHS: usize = 1000;

/// The window.
#[derive(Debug)]
pub(crate) struct Window {
    span: Duration,
    since: Timestamp,
    processes: BTreeMap<(String, String), VecDeque<Report>>,
    depths: VecDeque<(Timestamp, u64)>,
    roster: Roster,
}

#[derive(Debug)]
struct Report {
    heard: Timestamp,
    stats: ProcessStats,
}

/// What became of one provider's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    /// Calls refused for their credential since the last that was answered.
    pub(crate) unauthorized: u64,
    /// Whether any was answered after them, or without them.
    pub(crate) answered: bool,
}

/// Jobs that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ends {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
}

impl Ends {
    /// All of them.
    pub(crate) const fn total(self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }
}

impl Window {
    /// Nothing heard yet; listening from `now`.
    pub(crate) const fn new(span: Duration, now: Timestamp) -> Self {
        Self { span, since: now, processes: BTreeMap::new(), depths: VecDeque::new(), roster: Roster::new() }
    }

    /// From now on as long as `span`; what is forgotten already stays so.
    pub(crate) const fn stretch(&mut self, span: Duration) {
        self.span = span;
    }

    /// Takes in a report heard at `now`.
    pub(crate) fn add(&mut self, mut stats: ProcessStats, now: Timestamp) {
        self.expire(now);
        let key = (stats.role.clone(), stats.instance.clone());
        self.roster.hear(&key, stats.started_at, stats.leaving, now);
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

    /// Takes in how many jobs wait.
    pub(crate) fn waits(&mut self, pending: u64, now: Timestamp) {
        if self.depths.len() >= MAX_DEPTHS {
            self.depths.pop_front();
        }
        self.depths.push_back((now, pending));
    }

    /// How many jobs waited `ago`, as far back as the nearest look of that time or before it.
    pub(crate) fn waited(&self, ago: Duration, now: Timestamp) -> Option<u64> {
        let then = self.depths.iter().rev().find(|(at, _)| now.since(*at) >= ago);
        then.map(|(_, pending)| *pending)
    }

    /// Whether anybody at all, ourselves above all, was heard lately. If not, silence says something of the broker alone.
    pub(crate) fn hears(&self, now: Timestamp) -> bool {
        self.roster.heard_at().is_some_and(|at| now.since(at) <= ALIVE)
    }

    /// Who was there, and who is gone.
    pub(crate) const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Whether we have been listening for at least `span`.
    pub(crate) fn covers(&self, span: Duration, now: Timestamp) -> bool {
        now.since(self.since) >= span
    }

    /// For how long of the last `span` we have been listening.
    pub(crate) fn listened(&self, span: Duration, now: Timestamp) -> Duration {
        now.since(self.since).min(span)
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

    /// Jobs put into DEAD in the last `span`.
    pub(crate) fn dead_letters(&self, span: Duration, now: Timestamp) -> u64 {
        self.within(span, now).fold(0, |sum, stats| sum.saturating_add(stats.dead_letters))
    }

    /// What became of calls in the last `span`, by provider.
    pub(crate) fn providers(&self, span: Duration, now: Timestamp) -> BTreeMap<&str, Asked> {
        let mut reports: Vec<&Report> = self.processes.values().flatten().collect();
        reports.retain(|report| now.since(report.heard) <= span);
        reports.sort_by_key(|report| report.heard);
        let mut providers: BTreeMap<&str, Asked> = BTreeMap::new();
        for (name, calls) in reports.iter().flat_map(|report| &report.stats.providers) {
            let asked = providers.entry(name).or_default();
            match (calls.answered, calls.unauthorized) {
                (0, 0) => {}
                // In one interval either may have been first: a provider that answers takes our credential.
                (0, refused) => {
                    asked.unauthorized = asked.unauthorized.saturating_add(refused);
                    asked.answered = false;
                }
                _ => *asked = Asked { unauthorized: 0, answered: true },
            }
        }
        providers
    }

    /// Whether each component answers: not when any process that is alive says so.
    pub(crate) fn components(&self, now: Timestamp) -> BTreeMap<&str, bool> {
        let mut components = BTreeMap::new();
        for (name, up) in self.alive(now).flat_map(|stats| &stats.components) {
            *components.entry(name.as_str()).or_insert(true) &= *up;
        }
        components
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
        while self.depths.front().is_some_and(|(at, _)| now.since(*at) > span) {
            self.depths.pop_front();
        }
    }
}
