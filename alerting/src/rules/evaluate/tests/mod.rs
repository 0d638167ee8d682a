//! Each rule at its limit and beside it.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use runtime::config::Source;
use schemas::breaker::{BreakerPhase, BreakerRecord};
use schemas::job::Lane;
use schemas::stats::{LaneDepth, ProcessStats, ProviderStats, QueueDepth, StreamCopies};

use super::super::reading::Found;
use super::jobs::percentile;
use super::*;
use crate::fixture::NOON;

static CONFIG: LazyLock<AlertsConfig> = LazyLock::new(|| {
    let mut alerts = Source::new(None, BTreeMap::new()).load().unwrap().alerts;
    alerts.rules.latency_p50.enabled = true;
    alerts.rules.budget.daily_dollars = 10.0;
    alerts
});

/// All that the rules look at, changed by each test as it likes.
struct Stage {
    window: Window,
    facts: Facts,
    costs: Option<Costs>,
    firing: Vec<Concern>,
}

impl Stage {
    fn new() -> Self {
        Self {
            window: Window::new(CONFIG.window, NOON),
            facts: Facts::default(),
            costs: Some(Costs::default()),
            firing: Vec::new(),
        }
    }

    fn with(facts: Facts) -> Self {
        Self { facts, ..Self::new() }
    }

    fn add(&mut self, stats: ProcessStats, second: u64) {
        self.window.add(stats, at(second));
    }

    fn all(&self, second: u64) -> Vec<Reading> {
        let (window, facts, costs) = (&self.window, &self.facts, self.costs.as_ref());
        evaluate(Scene { window, facts, costs, config: &CONFIG, firing: &self.firing, now: at(second) })
    }

    fn of(&self, kind: AlertKind, second: u64) -> Vec<Reading> {
        self.all(second).into_iter().filter(|reading| reading.kind == kind).collect()
    }

    fn found(&self, kind: AlertKind, second: u64) -> Found {
        self.of(kind, second)[0].result
    }
}

fn at(second: u64) -> Timestamp {
    NOON.after(Duration::from_secs(second))
}

fn process(role: &str, instance: &str) -> ProcessStats {
    ProcessStats { role: role.to_owned(), instance: instance.to_owned(), ..ProcessStats::default() }
}

fn worker(succeeded: u64, failed: u64, durations_ms: &[u32]) -> ProcessStats {
    ProcessStats { succeeded, failed, durations_ms: durations_ms.to_vec(), ..process("worker", "w-1") }
}

fn depth(pending: u64, oldest_age_seconds: u64) -> Facts {
    let lane = LaneDepth { pending, oldest_age_seconds, ..LaneDepth::default() };
    let lanes = BTreeMap::from([(Lane::High, LaneDepth::default()), (Lane::Low, lane)]);
    Facts { depth: Some(QueueDepth { lanes }), ..Facts::default() }
}

fn labels<const N: usize>(labels: [(&str, &str); N]) -> BTreeMap<String, String> {
    BTreeMap::from(labels.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

#[test]
fn a_backlog_is_more_than_its_limit_and_age_too() {
    let found = |kind, pending, age| Stage::with(depth(pending, age)).found(kind, 0);
    assert_eq!(found(AlertKind::QueueBacklog, 500, 0), Found::Clear);
    assert_eq!(found(AlertKind::QueueBacklog, 501, 0), Found::Breached);
    assert_eq!(found(AlertKind::QueueAge, 1, 300), Found::Clear);
    assert_eq!(found(AlertKind::QueueAge, 1, 301), Found::Breached);
}

#[test]
fn without_a_depth_the_queue_is_unknown_and_the_rest_is_not() {
    let mut stage = Stage::new();
    stage.add(process("alerting", "a"), 15);
    let unknown = stage.all(15).into_iter().filter(|reading| reading.result == Found::Unknown);
    let kinds: Vec<_> = unknown.map(|reading| reading.kind).collect();
    assert_eq!(kinds, [AlertKind::QueueBacklog, AlertKind::QueueAge, AlertKind::QueueStalled, AlertKind::QueueDrain]);
}

#[test]
fn stalled_is_old_work_and_no_ends_while_we_listened() {
    let mut stage = Stage::with(depth(1, 100));
    let kind = AlertKind::QueueStalled;
    assert_eq!(stage.found(kind, 59), Found::Clear, "not listened for long enough");
    assert_eq!(stage.found(kind, 60), Found::Breached);
    stage.facts = depth(1, 30);
    assert_eq!(stage.found(kind, 60), Found::Clear, "it waits for a short time");
    stage.facts = depth(0, 100);
    assert_eq!(stage.found(kind, 60), Found::Clear, "nothing waits");
    stage.facts = depth(1, 100);
    stage.add(worker(1, 0, &[]), 61);
    assert_eq!(stage.found(kind, 100), Found::Clear);
    assert_eq!(stage.found(kind, 122), Found::Breached, "its end was too long ago");
}

#[test]
fn the_time_to_drain_counts_only_while_it_grows() {
    let kind = AlertKind::QueueDrain;
    let mut stage = Stage::with(depth(400, 0));
    assert_eq!(stage.found(kind, 300), Found::Unknown, "nothing ends: nobody knows");
    stage.add(worker(150, 0, &[]), 299);
    // 400 jobs at 150 in 300 s take 800 s; the limit is 600 s.
    assert_eq!(stage.found(kind, 300), Found::Clear, "it is not known to grow");
    stage.window.waits(399, at(150));
    assert_eq!((stage.found(kind, 300), stage.of(kind, 300)[0].value), (Found::Breached, Some(800.0)));
    stage.window.waits(400, at(150));
    assert_eq!(stage.found(kind, 300), Found::Clear, "it does not grow");
    stage.facts = depth(0, 0);
    assert_eq!(stage.found(kind, 300), Found::Clear);
}

#[test]
fn a_worker_is_gone_when_it_is_silent_or_leaving() {
    let mut stage = Stage::new();
    let kind = AlertKind::NoWorker;
    assert_eq!(stage.found(kind, 15), Found::Unknown, "nobody is heard, not even we");
    stage.add(process("ingress", "i"), 10);
    assert_eq!(stage.found(kind, 14), Found::Unknown, "not listened for long enough");
    assert_eq!(stage.found(kind, 15), Found::Breached);
    stage.add(worker(0, 0, &[]), 15);
    stage.add(process("ingress", "i"), 30);
    assert_eq!(stage.found(kind, 30), Found::Clear);
    assert_eq!(stage.found(kind, 31), Found::Breached);
    stage.add(worker(0, 0, &[]), 32);
    assert_eq!(stage.found(kind, 32), Found::Clear);
    stage.add(ProcessStats { leaving: true, ..worker(0, 0, &[]) }, 33);
    assert_eq!(stage.found(kind, 33), Found::Breached);
}

#[test]
fn a_rate_needs_its_samples_and_forgets_old_ones() {
    let kind = AlertKind::ErrorRate;
    for (succeeded, failed, expected) in
        [(0, 19, Found::Clear), (18, 2, Found::Clear), (17, 3, Found::Breached), (0, 20, Found::Breached)]
    {
        let mut stage = Stage::new();
        stage.add(worker(succeeded, failed, &[]), 0);
        assert_eq!(stage.found(kind, 300), expected, "{failed} of {}", succeeded + failed);
        assert_eq!(stage.found(kind, 301), Found::Clear);
    }
}

#[test]
fn each_percentile_is_a_rule_of_its_own() {
    let breached = |durations: &[u32]| {
        let mut stage = Stage::new();
        stage.add(worker(0, 0, durations), 0);
        let readings = stage.of(AlertKind::Latency, 0).into_iter().filter(|one| one.result == Found::Breached);
        readings.map(|reading| reading.labels["quantile"].clone()).collect::<Vec<_>>()
    };
    let many = |slow: usize| [vec![9000; slow], vec![1; 100 - slow]].concat();
    assert_eq!(breached(&[9000; 19]), Vec::<String>::new(), "too few");
    assert_eq!(breached(&[5000; 20]), ["p50"], "at the limit is not above it");
    assert_eq!(breached(&many(2)), ["p99"]);
    assert_eq!(breached(&many(51)), ["p50", "p99"], "the 95th is switched off");
    let hundred: Vec<u32> = (1..=100).collect();
    assert_eq!((percentile(&hundred, 99), percentile(&[7], 99), percentile(&[], 99)), (Some(99), Some(7), None));
}

#[test]
fn memory_is_told_once_for_a_process_of_several_roles() {
    let mut stage = Stage::new();
    for role in ["ingress", "worker"] {
        stage.add(ProcessStats { memory_bytes: 3 << 30, ..process(role, "w-1") }, 0);
    }
    let memory = stage.of(AlertKind::Memory, 0);
    assert_eq!(memory.len(), 1);
    assert_eq!((memory[0].result, memory[0].summary.as_str()), (Found::Breached, "w-1 uses 3072 MiB of memory"));
}

#[test]
fn what_fires_and_nobody_speaks_of_is_clear_unless_it_cannot_be_told() {
    let mut stage = Stage::new();
    let of = |kind| (kind, labels([("instance", "w-9")]));
    stage.firing = vec![of(AlertKind::Memory), of(AlertKind::BreakerOpen), of(AlertKind::ComponentDown)];
    stage.firing.push((AlertKind::Memory, labels([("more", "true")])));
    let kinds = |stage: &Stage| {
        let found = stage.all(0).into_iter().filter(|reading| reading.labels == labels([("instance", "w-9")]));
        found.map(|reading| (reading.kind, reading.result)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&stage), [(AlertKind::Memory, Found::Clear)]);
    stage.facts.breakers = Some(Vec::new());
    assert_eq!(kinds(&stage), [(AlertKind::Memory, Found::Clear), (AlertKind::BreakerOpen, Found::Clear)]);
    assert!(stage.all(0).iter().all(|reading| !reading.labels.contains_key("more")));
}

#[test]
fn an_open_breaker_is_the_alert_that_its_worker_raises() {
    let open = BreakerPhase::Open { until: at(60) };
    let record = |state| BreakerRecord { provider: "p".to_owned(), model: "m".to_owned(), state };
    let mut stage = Stage::with(Facts { breakers: Some(vec![record(open)]), ..Facts::default() });
    let reading = &stage.of(AlertKind::BreakerOpen, 0)[0];
    assert_eq!((reading.result, &reading.labels), (Found::Breached, &labels([("provider", "p"), ("model", "m")])));
    assert_eq!(reading.summary, "p fails repeatedly for m: no calls before 2026-01-31T12:01:00Z");
    stage.facts.breakers = Some(vec![record(BreakerPhase::Closed)]);
    assert_eq!(stage.found(AlertKind::BreakerOpen, 0), Found::Clear);
}

#[test]
fn a_refused_credential_is_over_when_the_provider_answers() {
    let mut stage = Stage::new();
    let calls = |answered, failed, unauthorized| {
        let calls = ProviderStats { answered, failed, unauthorized };
        ProcessStats { providers: BTreeMap::from([("p".to_owned(), calls)]), ..worker(0, 0, &[]) }
    };
    let kind = AlertKind::ProviderAuth;
    assert!(stage.of(kind, 0).is_empty());
    stage.add(calls(0, 3, 0), 0);
    assert_eq!(stage.found(kind, 0), Found::Unknown, "it failed for other reasons");
    stage.add(calls(0, 1, 1), 5);
    assert_eq!(stage.found(kind, 5), Found::Breached);
    stage.add(calls(0, 3, 0), 10);
    assert_eq!(stage.found(kind, 10), Found::Breached);
    stage.add(calls(1, 0, 0), 15);
    assert_eq!(stage.found(kind, 15), Found::Clear);
    stage.firing = vec![(kind, labels([("provider", "p")]))];
    assert!(stage.of(kind, 1000).is_empty(), "silence ends nothing");
}

#[test]
fn dead_letters_are_counted_over_the_window() {
    let mut stage = Stage::new();
    stage.add(ProcessStats { dead_letters: 9, ..worker(0, 0, &[]) }, 0);
    assert_eq!(stage.found(AlertKind::DeadLetterRate, 0), Found::Clear);
    stage.add(ProcessStats { dead_letters: 1, ..worker(0, 0, &[]) }, 100);
    assert_eq!(stage.found(AlertKind::DeadLetterRate, 300), Found::Breached);
    assert_eq!(stage.found(AlertKind::DeadLetterRate, 301), Found::Clear);
}

#[test]
fn a_lost_replica_is_missed_until_another_comes_or_it_is_forgotten() {
    let kind = AlertKind::ReplicaLost;
    let found = |stage: &Stage, second| stage.of(kind, second).iter().map(|one| one.result).collect::<Vec<_>>();
    let mut stage = Stage::new();
    stage.add(process("worker", "w-1"), 0);
    stage.add(process("alerting", "a"), 20);
    assert_eq!(found(&stage, 20), [Found::Breached]);
    assert_eq!(stage.of(kind, 20)[0].labels, labels([("role", "worker"), ("instance", "w-1")]));
    assert_eq!(found(&stage, 36), [], "nobody is heard: the broker is away");
    stage.add(process("worker", "w-2"), 40);
    stage.add(process("alerting", "a"), 40);
    assert_eq!(found(&stage, 40), [Found::Clear]);
    stage.add(process("worker", "w-2"), 3620);
    assert_eq!(stage.of(kind, 3620)[0].labels["role"], "alerting", "w-1 was replaced and is forgotten");
}

#[test]
fn whom_another_leader_missed_is_missed_on() {
    let kind = AlertKind::ReplicaLost;
    let mut stage = Stage::new();
    let concern = (kind, labels([("role", "worker"), ("instance", "w-0")]));
    stage.firing = vec![concern.clone()];
    stage.add(process("alerting", "a"), 5);
    assert_eq!(stage.found(kind, 5), Found::Unknown);
    stage.add(process("worker", "w-0"), 6);
    assert_eq!(stage.found(kind, 6), Found::Clear, "it is back");
    let mut late = Stage::new();
    late.firing = vec![concern];
    late.add(process("alerting", "a"), 3600);
    assert_eq!(late.found(kind, 3600), Found::Clear, "forgotten");
}

#[test]
fn a_component_is_down_when_anybody_says_so() {
    let mut stage = Stage::new();
    let says = |instance: &str, sql, disk| {
        let components = BTreeMap::from([("sql".to_owned(), sql), ("disk".to_owned(), disk)]);
        ProcessStats { components, ..process("ingress", instance) }
    };
    stage.add(says("i-1", true, true), 0);
    stage.add(says("i-2", false, true), 0);
    let sql = stage.of(AlertKind::ComponentDown, 0);
    assert_eq!((sql[0].result, &sql[0].labels), (Found::Breached, &labels([("component", "sql")])));
    assert_eq!(stage.found(AlertKind::Disk, 0), Found::Clear);
    stage.add(says("i-1", true, false), 16);
    assert_eq!(stage.found(AlertKind::ComponentDown, 16), Found::Clear, "who said so is gone");
    assert_eq!(stage.found(AlertKind::Disk, 16), Found::Breached);
    assert!(stage.of(AlertKind::ComponentDown, 60).is_empty(), "nobody looks any more");
}

#[test]
fn a_cluster_is_told_by_server_and_by_leaderless_stream() {
    let stream = |name: &str, has_leader, offline: &[&str], behind: &[&str]| StreamCopies {
        stream: name.to_owned(),
        has_leader,
        offline: offline.iter().map(|name| (*name).to_owned()).collect(),
        behind: behind.iter().map(|name| (*name).to_owned()).collect(),
    };
    let streams = vec![
        stream("STATE", true, &["n2"], &[]),
        stream("ALERTS", true, &["n2"], &["n3"]),
        stream("DEAD", false, &[], &["n2"]),
    ];
    let stage = Stage::with(Facts { streams: Some(streams), ..Facts::default() });
    let readings = stage.of(AlertKind::ClusterDegraded, 0);
    let found: Vec<_> = readings.iter().map(|one| (one.labels.clone(), one.severity, one.value)).collect();
    let expected = [
        (labels([("server", "n2")]), Severity::Critical, Some(2.0)),
        (labels([("server", "n3")]), Severity::Warning, Some(1.0)),
        (labels([("stream", "DEAD")]), Severity::Critical, None),
    ];
    assert_eq!(found, expected);
    assert!(readings.iter().all(|one| one.result == Found::Breached));
}

#[test]
fn costs_are_compared_with_the_days_before_and_with_the_budget() {
    let mut stage = Stage::new();
    let (day, mut costs, mut sum) = (86_400, Costs::default(), 0);
    let mut spend = |costs: &mut Costs, dollars: u64, second| {
        sum += dollars * 1_000_000;
        costs.hear(&ProcessStats { cost_micros: sum, ..worker(0, 0, &[]) }, at(second));
    };
    (0..3).for_each(|past| spend(&mut costs, 4, past * day));
    spend(&mut costs, 5, 3 * day);
    stage.costs = Some(costs.clone());
    assert_eq!(stage.found(AlertKind::CostAnomaly, 3 * day), Found::Clear, "1.25 times is not above it");
    assert_eq!(stage.found(AlertKind::Budget, 3 * day), Found::Clear);
    spend(&mut costs, 3, 3 * day);
    stage.costs = Some(costs.clone());
    let anomaly = &stage.of(AlertKind::CostAnomaly, 3 * day)[0];
    assert_eq!((anomaly.result, anomaly.value, anomaly.threshold), (Found::Breached, Some(8.0), Some(5.0)));
    assert_eq!(anomaly.summary, "today has cost 8.00 $ so far; the days before cost 4.00 $ each");
    let budget = &stage.of(AlertKind::Budget, 3 * day)[0];
    assert_eq!((budget.result, budget.severity), (Found::Breached, Severity::Warning));
    assert_eq!(budget.summary, "80 % of today's budget of 10.00 $ is spent");
    spend(&mut costs, 2, 3 * day);
    stage.costs = Some(costs);
    assert_eq!(stage.of(AlertKind::Budget, 3 * day)[0].severity, Severity::Critical);
    assert_eq!(stage.found(AlertKind::Budget, 4 * day), Found::Clear);
    stage.costs = None;
    assert!(stage.of(AlertKind::Budget, 0).is_empty());
}

#[test]
fn what_ends_soon_is_told_and_urgent_on_its_last_day() {
    let day = 86_400;
    let expiries = BTreeMap::from([("nats.cert_file".to_owned(), at(20 * day))]);
    let stage = Stage::with(Facts { expiries, ..Facts::default() });
    let found = |second| {
        let reading = &stage.of(AlertKind::CertificateExpiry, second)[0];
        (reading.result, reading.severity)
    };
    assert_eq!(found(6 * day), (Found::Clear, Severity::Warning));
    assert_eq!(found(6 * day + 1), (Found::Breached, Severity::Warning));
    assert_eq!(found(19 * day), (Found::Breached, Severity::Critical));
    let over = &stage.of(AlertKind::CertificateExpiry, 21 * day)[0];
    assert_eq!(over.summary, "what nats.cert_file names ended at 2026-02-20T12:00:00Z");
}

#[test]
fn news_that_is_stuck_and_a_broken_configuration_are_told() {
    let waiting_seconds = BTreeMap::from([("telegram".to_owned(), 301), ("webhook".to_owned(), 300)]);
    let config_error = Some("alerts.hold: found 5".to_owned());
    let stage = Stage::with(Facts { waiting_seconds, config_error, ..Facts::default() });
    let outbox: Vec<_> = stage.of(AlertKind::OutboxStuck, 0).into_iter().map(|one| one.result).collect();
    assert_eq!(outbox, [Found::Breached, Found::Clear]);
    let broken = &stage.of(AlertKind::ConfigInvalid, 0)[0];
    assert!(broken.result == Found::Breached && broken.summary.ends_with("stay: alerts.hold: found 5"));
}

#[test]
fn a_rule_that_is_switched_off_ends_what_it_alone_raised() {
    let mut config = CONFIG.clone();
    config.rules.queue_backlog.enabled = false;
    config.rules.breaker_open.enabled = false;
    let mut stage = Stage::with(depth(10_000, 0));
    stage.facts.breakers = Some(Vec::new());
    stage.firing = vec![(AlertKind::QueueBacklog, labels([])), (AlertKind::BreakerOpen, labels([("model", "m")]))];
    let (window, facts, firing) = (&stage.window, &stage.facts, &stage.firing);
    let readings = evaluate(Scene { window, facts, costs: None, config: &config, firing, now: at(0) });
    let found: Vec<_> = readings.iter().filter(|one| stage.firing.iter().any(|(kind, _)| one.kind == *kind)).collect();
    assert_eq!(found.len(), 1, "a breaker's alert is its worker's to end");
    assert_eq!((found[0].kind, found[0].result), (AlertKind::QueueBacklog, Found::Clear));
}

proptest! {
    /// Whatever is heard and seen: every reading is of a kind of rules, no two are about one thing, and whatever is
    /// breached says so in a sentence.
    #[test]
    fn readings_make_sense(
        reports in prop::collection::vec((0_u8..3, 0_u8..4, 0_u64..50, 0_u64..50, any::<bool>(), 0_u64..100), 0..40),
        pending in prop::option::of(0_u64..2000),
        firing in prop::collection::vec((0_usize..KINDS.len(), 0_u8..3), 0..10),
    ) {
        let mut stage = pending.map_or_else(Stage::new, |pending| Stage::with(depth(pending, pending)));
        let mut second = 0;
        for (role, instance, succeeded, failed, leaving, step) in reports {
            second += step;
            let role = ["worker", "ingress", "alerting"][usize::from(role)];
            let calls = ProviderStats { answered: succeeded, failed, unauthorized: failed };
            let providers = BTreeMap::from([("p".to_owned(), calls)]);
            let stats = ProcessStats { succeeded, failed, leaving, providers, ..process(role, &instance.to_string()) };
            stage.add(stats, second);
        }
        let name = |number: u8| labels([("instance", &number.to_string())]);
        stage.firing = firing.into_iter().map(|(kind, number)| (KINDS[kind], name(number))).collect();
        stage.firing.sort();
        stage.firing.dedup();
        let readings = stage.all(second);
        for (index, reading) in readings.iter().enumerate() {
            prop_assert!(KINDS.contains(&reading.kind));
            prop_assert!(reading.result != Found::Breached || !reading.summary.is_empty());
            let same = |other: &Reading| other.kind == reading.kind && other.labels == reading.labels;
            prop_assert!(!readings[..index].iter().any(same), "{reading:?}");
        }
    }
}
