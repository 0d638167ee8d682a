//! Each rule as a function of the window and the queue's depth. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime::config::Config;
use schemas::alert::{AlertKind, Severity};
use schemas::stats::{LaneDepth, QueueDepth};
use schemas::timestamp::Timestamp;

use super::Concern;
use super::window::Window;

/// The kinds that rules raise and resolve.
pub(crate) const KINDS: [AlertKind; 6] = [
    AlertKind::QueueBacklog,
    AlertKind::QueueStalled,
    AlertKind::NoWorker,
    AlertKind::ErrorRate,
    AlertKind::Latency,
    AlertKind::Memory,
];

/// Where the limits are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limits {
    pub(crate) backlog: u64,
    pub(crate) stalled_after: Duration,
    pub(crate) error_rate: f64,
    pub(crate) latency_p99: Duration,
    pub(crate) memory_bytes: u64,
    pub(crate) window: Duration,
    pub(crate) min_samples: u64,
}

/// What a rule found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Found {
    /// The limit is crossed.
    Breached,
    /// All is well, or there is too little to tell from.
    Clear,
    /// It cannot be told: whatever was so stays so.
    Unknown,
}

/// One rule's finding about one thing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    pub(crate) kind: AlertKind,
    pub(crate) severity: Severity,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) result: Found,
    pub(crate) value: Option<f64>,
    pub(crate) threshold: Option<f64>,
    pub(crate) summary: String,
}

impl Limits {
    /// The configured ones.
    pub(crate) const fn new(config: &Config) -> Self {
        Self {
            backlog: config.alerts.backlog_threshold,
            stalled_after: config.queue.stalled_after,
            error_rate: config.alerts.error_rate,
            latency_p99: config.alerts.latency_p99,
            memory_bytes: config.alerts.memory_bytes,
            window: config.alerts.window,
            min_samples: config.alerts.min_samples,
        }
    }
}

/// Every rule, and a clear reading for whatever fires that no rule speaks of any more.
pub(crate) fn evaluate(
    window: &Window,
    depth: Option<&QueueDepth>,
    limits: &Limits,
    firing: &[Concern],
    now: Timestamp,
) -> Vec<Reading> {
    let depth = depth.map(QueueDepth::total);
    let mut readings = vec![
        backlog(depth, limits),
        stalled(window, depth, limits, now),
        no_worker(window, now),
        error_rate(window, limits, now),
        latency(window, limits, now),
    ];
    readings.extend(memory(window, limits, now));
    let orphans = firing
        .iter()
        .filter(|(kind, labels)| !readings.iter().any(|reading| reading.kind == *kind && reading.labels == *labels));
    let orphans: Vec<_> = orphans.map(|(kind, labels)| gone(*kind, labels)).collect();
    readings.extend(orphans);
    readings
}

fn backlog(depth: Option<LaneDepth>, limits: &Limits) -> Reading {
    let reading = Reading::new(AlertKind::QueueBacklog, Severity::Warning).limit(float(limits.backlog));
    let Some(depth) = depth else { return reading.unknown() };
    let breached = depth.pending > limits.backlog;
    let (bad, good) = ("more jobs wait than configured", "the queue is below its limit again");
    reading.found(breached, bad, good).value(float(depth.pending))
}

fn stalled(window: &Window, depth: Option<LaneDepth>, limits: &Limits, now: Timestamp) -> Reading {
    let reading = Reading::new(AlertKind::QueueStalled, Severity::Critical);
    let Some(depth) = depth else { return reading.unknown() };
    let after = limits.stalled_after;
    let waited = depth.pending > 0 && depth.oldest_age_seconds >= after.as_secs();
    let ends = window.ends(after, now);
    let breached = waited && window.covers(after, now) && ends.succeeded + ends.failed == 0;
    let bad = format!("jobs wait and none has ended for {} s", after.as_secs());
    reading.found(breached, &bad, "jobs are ending again").value(float(depth.pending))
}

fn no_worker(window: &Window, now: Timestamp) -> Reading {
    let workers = window.workers(now);
    let reading = Reading::new(AlertKind::NoWorker, Severity::Critical);
    reading.found(workers == 0, "no worker is alive: jobs are accepted and wait", "a worker is alive again")
}

fn error_rate(window: &Window, limits: &Limits, now: Timestamp) -> Reading {
    let ends = window.ends(limits.window, now);
    let total = ends.succeeded.saturating_add(ends.failed);
    let reading = Reading::new(AlertKind::ErrorRate, Severity::Critical).limit(limits.error_rate);
    let good = "the share of failed jobs is below its limit again";
    if total < limits.min_samples.max(1) {
        return reading.found(false, "", good);
    }
    let rate = float(ends.failed) / float(total);
    let bad = format!("{:.1} % of {total} jobs failed in the last {} s", rate * 100.0, limits.window.as_secs());
    reading.found(rate > limits.error_rate, &bad, good).value(rate)
}

fn latency(window: &Window, limits: &Limits, now: Timestamp) -> Reading {
    let durations = window.durations(limits.window, now);
    let reading = Reading::new(AlertKind::Latency, Severity::Warning).limit(limits.latency_p99.as_secs_f64());
    let good = "the 99th percentile of run times is below its limit again";
    let enough = durations.len() as u64 >= limits.min_samples;
    let Some(p99) = percentile(&durations, 99).filter(|_| enough) else { return reading.found(false, "", good) };
    let seconds = Duration::from_millis(u64::from(p99)).as_secs_f64();
    let bad = format!("the 99th percentile of run times is {seconds:.1} s over {} jobs", durations.len());
    reading.found(seconds > limits.latency_p99.as_secs_f64(), &bad, good).value(seconds)
}

/// By process: several roles may share one, and each reports its memory.
fn memory(window: &Window, limits: &Limits, now: Timestamp) -> impl Iterator<Item = Reading> {
    let limit = limits.memory_bytes;
    let used = window.alive(now).map(|stats| (stats.instance.clone(), stats.memory_bytes));
    let used: BTreeMap<String, u64> = used.collect();
    used.into_iter().map(move |(instance, bytes)| {
        let bad = format!("{instance} uses {} MiB of memory", bytes >> 20);
        let good = format!("{bad}, below its limit again");
        let mut reading = Reading::new(AlertKind::Memory, Severity::Warning).limit(float(limit)).value(float(bytes));
        reading.labels = BTreeMap::from([("instance".to_owned(), instance)]);
        reading.found(bytes > limit, &bad, &good)
    })
}

fn gone(kind: AlertKind, labels: &BTreeMap<String, String>) -> Reading {
    let mut reading = Reading::new(kind, Severity::Warning).found(false, "", "the process is gone");
    reading.labels.clone_from(labels);
    reading
}

/// The nearest-rank percentile of sorted values.
fn percentile(sorted: &[u32], percent: usize) -> Option<u32> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Exact up to 2^53, and good enough for people beyond.
#[expect(clippy::cast_precision_loss, reason = "shown to people and compared with limits far below 2^53")]
const fn float(count: u64) -> f64 {
    count as f64
}

impl Reading {
    const fn new(kind: AlertKind, severity: Severity) -> Self {
        Self {
            kind,
            severity,
            labels: BTreeMap::new(),
            result: Found::Clear,
            value: None,
            threshold: None,
            summary: String::new(),
        }
    }

    fn found(mut self, breached: bool, bad: &str, good: &str) -> Self {
        self.result = if breached { Found::Breached } else { Found::Clear };
        (if breached { bad } else { good }).clone_into(&mut self.summary);
        self
    }

    fn unknown(mut self) -> Self {
        self.result = Found::Unknown;
        self
    }

    const fn limit(mut self, threshold: f64) -> Self {
        self.threshold = Some(threshold);
        self
    }

    const fn value(mut self, value: f64) -> Self {
        self.value = Some(value);
        self
    }
}

#[cfg(test)]
mod tests {
    use schemas::job::Lane;
    use schemas::stats::ProcessStats;

    use super::*;
    use crate::fixture::NOON;

    const LIMITS: Limits = Limits {
        backlog: 500,
        stalled_after: Duration::from_secs(60),
        error_rate: 0.1,
        latency_p99: Duration::from_secs(5),
        memory_bytes: 2 << 30,
        window: Duration::from_secs(300),
        min_samples: 20,
    };

    fn at(seconds: u64) -> Timestamp {
        NOON.after(Duration::from_secs(seconds))
    }

    fn worker(succeeded: u64, failed: u64, durations_ms: &[u32]) -> ProcessStats {
        ProcessStats {
            role: "worker".to_owned(),
            instance: "w-1".to_owned(),
            memory_bytes: 1 << 20,
            succeeded,
            failed,
            durations_ms: durations_ms.to_vec(),
            ..ProcessStats::default()
        }
    }

    fn depth(pending: u64, oldest_age_seconds: u64) -> QueueDepth {
        let lane = LaneDepth { pending, oldest_age_seconds, ..LaneDepth::default() };
        QueueDepth { lanes: BTreeMap::from([(Lane::High, LaneDepth::default()), (Lane::Low, lane)]) }
    }

    fn found(kind: AlertKind, window: &Window, depth: &QueueDepth, now: Timestamp) -> Found {
        let readings = evaluate(window, Some(depth), &LIMITS, &[], now);
        readings.iter().find(|reading| reading.kind == kind).unwrap().result
    }

    #[test]
    fn a_backlog_is_more_than_its_limit() {
        let window = Window::new(LIMITS.window, NOON);
        assert_eq!(found(AlertKind::QueueBacklog, &window, &depth(500, 0), NOON), Found::Clear);
        assert_eq!(found(AlertKind::QueueBacklog, &window, &depth(501, 0), NOON), Found::Breached);
    }

    #[test]
    fn without_a_depth_the_queue_is_unknown_and_the_rest_is_not() {
        let window = Window::new(LIMITS.window, NOON);
        let unknown = |reading: &&Reading| reading.result == Found::Unknown;
        let readings = evaluate(&window, None, &LIMITS, &[], NOON);
        let kinds: Vec<_> = readings.iter().filter(unknown).map(|reading| reading.kind).collect();
        assert_eq!(kinds, [AlertKind::QueueBacklog, AlertKind::QueueStalled]);
    }

    #[test]
    fn stalled_is_old_work_and_no_ends_while_we_listened() {
        let mut window = Window::new(LIMITS.window, NOON);
        let kind = AlertKind::QueueStalled;
        assert_eq!(found(kind, &window, &depth(1, 100), at(59)), Found::Clear, "not listened for long enough");
        assert_eq!(found(kind, &window, &depth(1, 100), at(60)), Found::Breached);
        assert_eq!(found(kind, &window, &depth(1, 30), at(60)), Found::Clear, "it waits for a short time");
        assert_eq!(found(kind, &window, &depth(0, 100), at(60)), Found::Clear, "nothing waits");
        window.add(worker(1, 0, &[]), at(61));
        assert_eq!(found(kind, &window, &depth(1, 100), at(100)), Found::Clear);
        assert_eq!(found(kind, &window, &depth(1, 100), at(122)), Found::Breached, "its end was too long ago");
    }

    #[test]
    fn a_worker_is_gone_when_it_is_silent_or_leaving() {
        let mut window = Window::new(LIMITS.window, NOON);
        let kind = AlertKind::NoWorker;
        assert_eq!(found(kind, &window, &depth(0, 0), NOON), Found::Breached);
        window.add(ProcessStats { role: "ingress".to_owned(), ..worker(0, 0, &[]) }, NOON);
        assert_eq!(found(kind, &window, &depth(0, 0), NOON), Found::Breached);
        window.add(worker(0, 0, &[]), NOON);
        assert_eq!(found(kind, &window, &depth(0, 0), at(15)), Found::Clear);
        assert_eq!(found(kind, &window, &depth(0, 0), at(16)), Found::Breached);
        window.add(ProcessStats { leaving: true, ..worker(0, 0, &[]) }, at(17));
        assert_eq!(found(kind, &window, &depth(0, 0), at(17)), Found::Breached);
    }

    #[test]
    fn a_rate_needs_its_samples_and_forgets_old_ones() {
        let kind = AlertKind::ErrorRate;
        for (succeeded, failed, expected) in
            [(0, 19, Found::Clear), (18, 2, Found::Clear), (17, 3, Found::Breached), (0, 20, Found::Breached)]
        {
            let mut window = Window::new(LIMITS.window, NOON);
            window.add(worker(succeeded, failed, &[]), NOON);
            assert_eq!(found(kind, &window, &depth(0, 0), at(300)), expected, "{failed} of {}", succeeded + failed);
            assert_eq!(found(kind, &window, &depth(0, 0), at(301)), Found::Clear);
        }
    }

    #[test]
    fn the_99th_percentile_needs_its_samples() {
        let kind = AlertKind::Latency;
        let mut window = Window::new(LIMITS.window, NOON);
        window.add(worker(0, 0, &[9000; 19]), NOON);
        assert_eq!(found(kind, &window, &depth(0, 0), NOON), Found::Clear);
        window.add(worker(0, 0, &[1]), NOON);
        assert_eq!(found(kind, &window, &depth(0, 0), NOON), Found::Breached);
        let mut window = Window::new(LIMITS.window, NOON);
        window.add(worker(0, 0, &[5000; 20]), NOON);
        assert_eq!(found(kind, &window, &depth(0, 0), NOON), Found::Clear, "at the limit is not above it");
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 99), Some(99));
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn memory_is_told_once_for_a_process_of_several_roles() {
        let mut window = Window::new(LIMITS.window, NOON);
        for role in ["ingress", "worker"] {
            let stats = ProcessStats { role: role.to_owned(), memory_bytes: 3 << 30, ..worker(0, 0, &[]) };
            window.add(stats, NOON);
        }
        let readings = evaluate(&window, None, &LIMITS, &[], NOON);
        let memory: Vec<_> = readings.iter().filter(|reading| reading.kind == AlertKind::Memory).collect();
        assert_eq!(memory.len(), 1);
        assert_eq!(memory[0].result, Found::Breached);
        assert_eq!(memory[0].summary, "w-1 uses 3072 MiB of memory");
    }

    #[test]
    fn what_fires_for_a_process_that_is_gone_is_clear() {
        let window = Window::new(LIMITS.window, NOON);
        let labels = BTreeMap::from([("instance".to_owned(), "w-9".to_owned())]);
        let firing = [(AlertKind::Memory, labels.clone()), (AlertKind::NoWorker, BTreeMap::new())];
        let readings = evaluate(&window, None, &LIMITS, &firing, NOON);
        let gone: Vec<_> = readings.iter().filter(|reading| reading.labels == labels).collect();
        assert_eq!(gone.len(), 1);
        assert_eq!((gone[0].kind, gone[0].result), (AlertKind::Memory, Found::Clear));
        assert_eq!(readings.iter().filter(|reading| reading.kind == AlertKind::NoWorker).count(), 1);
    }
}
