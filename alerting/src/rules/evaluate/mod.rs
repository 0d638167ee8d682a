//! Each rule as a function of what was heard and seen. Pure.

mod fleet;
mod jobs;
mod money;
mod providers;
mod queue;
mod scene;
mod upkeep;

#[cfg(test)]
mod tests;

use schemas::alert::{AlertKind, Severity};

pub(crate) use scene::Scene;

use self::scene::Findings;
use super::reading::{Concern, Reading};
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
