//! Each rule as a function of what was heard and seen. Pure.

mod fleet;
mod jobs;
mod money;
mod providers;
mod queue;
mod upkeep;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use runtime::config::AlertsConfig;
use runtime::config::rules::{Rule, Switch, Timing};
use schemas::alert::{AlertKind, Severity};
use schemas::timestamp::Timestamp;

use super::Concern;
use super::cost::Costs;
use super::facts::Facts;
use super::reading::Reading;
use super::window::Window;
use crate::incidents::MORE;

/// The kinds that rules raise and resolve. Some of them workers and ingress raise too, at once.
pub(crate) const KINDS: [AlertKind; 20] = [
    AlertKind::QueueBacklog,
    AlertKind::QueueAge,
    AlertKind::QueueStalled,
    AlertKind::QueueDrain,
    AlertKind::NoWorker,
    AlertKind::ErrorRate,
    AlertKind::Latency,
    AlertKind::Memory,
    AlertKind::BreakerOpen,
    AlertKind::ProviderAuth,
    AlertKind::DeadLetterRate,
    AlertKind::ReplicaLost,
    AlertKind::ClusterDegraded,
    AlertKind::ComponentDown,
    AlertKind::Disk,
    AlertKind::OutboxStuck,
    AlertKind::CostAnomaly,
    AlertKind::Budget,
    AlertKind::CertificateExpiry,
    AlertKind::ConfigInvalid,
];

/// Everything that rules look at.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) window: &'a Window,
    pub(crate) facts: &'a Facts,
    /// What days cost; absent while it could not be read.
    pub(crate) costs: Option<&'a Costs>,
    pub(crate) config: &'a AlertsConfig,
    /// Alerts of [`KINDS`] that fire as far as is known.
    pub(crate) firing: &'a [Concern],
    pub(crate) now: Timestamp,
}

/// What the rules found, and of which kinds they could not tell everything.
#[derive(Debug, Default)]
pub(super) struct Findings {
    readings: Vec<Reading>,
    partial: BTreeSet<AlertKind>,
}

/// Every rule, and a clear reading for whatever fires that no rule speaks of any more.
pub(crate) fn evaluate(scene: Scene<'_>) -> Vec<Reading> {
    let mut findings = Findings::default();
    for rules in [queue::rules, jobs::rules, providers::rules, fleet::rules, money::rules, upkeep::rules] {
        rules(scene, &mut findings);
    }
    let Findings { mut readings, partial } = findings;
    let spoken_of =
        |(kind, labels): &&Concern| readings.iter().any(|reading| reading.kind == *kind && reading.labels == *labels);
    // What stands for many has no end of its own.
    let orphans = scene.firing.iter().filter(|(kind, labels)| !partial.contains(kind) && !labels.contains_key(MORE));
    let orphans: Vec<_> = orphans.filter(|concern| !spoken_of(concern)).map(|concern| gone(scene, concern)).collect();
    readings.extend(orphans);
    readings
}

fn gone(scene: Scene<'_>, (kind, labels): &Concern) -> Reading {
    let timing = scene.config.timing(None, None);
    let good = "nothing says so any more";
    Reading { labels: labels.clone(), ..Reading::new(*kind, Severity::Warning, timing).found(false, "", good) }
}

impl Findings {
    fn push(&mut self, reading: Reading) {
        self.readings.push(reading);
    }

    fn extend(&mut self, readings: impl IntoIterator<Item = Reading>) {
        self.readings.extend(readings);
    }

    /// Not everything of this kind can be told now: what fires and is not spoken of fires on.
    fn partial(&mut self, kind: AlertKind) {
        self.partial.insert(kind);
    }
}

impl Scene<'_> {
    /// The rule's times, when it is enabled. Its alerts that still fire then end as any that nobody speaks of.
    fn rule<T>(&self, rule: &Rule<T>) -> Option<Timing> {
        rule.enabled.then(|| self.config.timing(rule.hold, rule.keep_firing_for))
    }

    /// As [`Self::rule`], of one without a threshold.
    fn switch(&self, switch: &Switch) -> Option<Timing> {
        switch.enabled.then(|| self.config.timing(switch.hold, switch.keep_firing_for))
    }
}

/// Exact up to 2^53, and good enough for people beyond.
#[expect(clippy::cast_precision_loss, reason = "shown to people and compared with limits far below 2^53")]
const fn float(count: u64) -> f64 {
    count as f64
}
