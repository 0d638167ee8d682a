//! Each rule at its limit and beside it, and what holds for all of them.

mod fleet;
mod jobs;
mod money;
mod providers;
mod queue;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use runtime::config::{AlertsConfig, Source};
use schemas::alert::AlertKind;
use schemas::job::Lane;
use schemas::stats::{LaneDepth, ProcessStats, ProviderStats, QueueDepth};
use schemas::timestamp::Timestamp;

use super::{KINDS, Scene, evaluate};
use crate::fixture::NOON;
use crate::rules::cost::Costs;
use crate::rules::facts::Facts;
use crate::rules::reading::{Concern, Found, Reading};
use crate::rules::window::Window;

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
