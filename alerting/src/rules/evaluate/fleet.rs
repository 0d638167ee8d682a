//! Who is alive, what they use and miss, and how the brokers under them do.

use std::collections::BTreeMap;

use runtime::config::rules::Timing;
use schemas::alert::{AlertKind, Severity};
use schemas::stats::StreamCopies;

use super::scene::{Findings, Scene, float};
use crate::rules::reading::Reading;
use crate::rules::roster::ALIVE;

pub(super) fn rules(scene: Scene<'_>, findings: &mut Findings) {
    let rules = &scene.config.rules;
    findings.extend(scene.rule(&rules.no_worker).map(|timing| no_worker(scene, timing)));
    memory(scene, findings);
    replicas(scene, findings);
    components(scene, findings);
    cluster(scene, findings);
}

fn no_worker(scene: Scene<'_>, timing: Timing) -> Reading {
    let (workers, fewest) = (scene.window.workers(scene.now) as u64, scene.config.rules.no_worker.threshold);
    let reading = Reading::new(AlertKind::NoWorker, Severity::Critical, timing).limit(float(fewest));
    // One that has not spoken since we began to listen may only be about to.
    let early = workers < fewest && !scene.window.covers(ALIVE, scene.now);
    if early || !scene.window.hears(scene.now) {
        return reading.unknown();
    }
    let bad = match workers {
        0 => "no worker is alive: jobs are accepted and wait".to_owned(),
        few => format!("only {few} workers are alive"),
    };
    reading.found(workers < fewest, bad, "enough workers are alive again").value(float(workers))
}

/// By process: several roles may share one, and each reports its memory.
fn memory(scene: Scene<'_>, findings: &mut Findings) {
    let rule = &scene.config.rules.memory;
    let Some(timing) = scene.rule(rule) else { return };
    let used = scene.window.alive(scene.now).map(|stats| (stats.instance.as_str(), stats.memory_bytes));
    let used: BTreeMap<&str, u64> = used.collect();
    findings.extend(used.into_iter().map(|(instance, bytes)| {
        let bad = format!("{instance} uses {} MiB of memory", bytes >> 20);
        let good = format!("{bad}, below its limit again");
        let reading = Reading::new(AlertKind::Memory, Severity::Warning, timing).label("instance", instance);
        reading.limit(float(rule.threshold)).value(float(bytes)).found(bytes > rule.threshold, bad, good)
    }));
}

/// Whom another leader missed and we never heard is missed on, until we have listened for as long as anybody is remembered.
fn replicas(scene: Scene<'_>, findings: &mut Findings) {
    let rule = &scene.config.rules.replica_lost;
    let (Some(timing), true) = (scene.rule(rule), scene.window.hears(scene.now)) else {
        if rule.enabled {
            findings.partial(AlertKind::ReplicaLost);
        }
        return;
    };
    let (roster, now) = (scene.window.roster(), scene.now);
    let of = |role: &str, instance: &str| {
        let reading = Reading::new(AlertKind::ReplicaLost, Severity::Warning, timing);
        reading.label("role", role).label("instance", instance)
    };
    let missing = roster.lost(now).into_iter().filter(|lost| now.since(lost.last) <= rule.threshold.0);
    findings.extend(missing.map(|lost| {
        let bad = format!("{} {} has gone silent without saying goodbye", lost.role, lost.instance);
        let good = format!("another {} has come for {}", lost.role, lost.instance);
        of(lost.role, lost.instance).found(!lost.replaced, bad, good)
    }));
    if !scene.window.covers(rule.threshold.0, now) {
        let inherited = scene.firing.iter().filter(|(kind, _)| *kind == AlertKind::ReplicaLost);
        let names = inherited.filter_map(|(_, labels)| Some((labels.get("role")?, labels.get("instance")?)));
        findings.extend(
            names.filter(|(role, name)| !roster.knows(role, name)).map(|(role, name)| of(role, name).unknown()),
        );
    }
}

/// Of components that nobody speaks of nothing is known: whoever looked at them may be gone.
fn components(scene: Scene<'_>, findings: &mut Findings) {
    findings.partial(AlertKind::ComponentDown);
    findings.partial(AlertKind::Disk);
    let Some(timing) = scene.switch(&scene.config.rules.component_down) else { return };
    findings.extend(scene.window.components(scene.now).into_iter().map(|(component, up)| {
        let (kind, severity) = match component {
            "disk" => (AlertKind::Disk, Severity::Critical),
            _ => (AlertKind::ComponentDown, Severity::Warning),
        };
        let reading = Reading::new(kind, severity, timing).label("component", component);
        reading.found(!up, format!("{component} is down"), format!("{component} is back"))
    }));
}

/// By server, not by stream: one that dies is one cause.
fn cluster(scene: Scene<'_>, findings: &mut Findings) {
    let rule = &scene.config.rules.cluster_degraded;
    let (Some(timing), Some(streams)) = (scene.switch(rule), &scene.facts.streams) else {
        if rule.enabled {
            findings.partial(AlertKind::ClusterDegraded);
        }
        return;
    };
    let reading = |severity| Reading::new(AlertKind::ClusterDegraded, severity, timing);
    let count = |of: fn(&StreamCopies) -> &[String]| {
        let names = streams.iter().flat_map(of);
        names.fold(BTreeMap::<&str, u64>::new(), |mut counts, name| {
            *counts.entry(name).or_default() += 1;
            counts
        })
    };
    let (offline, behind) = (count(|stream| &stream.offline), count(|stream| &stream.behind));
    findings.extend(offline.iter().map(|(server, streams)| {
        let bad = format!("NATS server {server} is away: {streams} streams have a copy less");
        reading(Severity::Critical).label("server", *server).value(float(*streams)).found(true, bad, "")
    }));
    let behind = behind.iter().filter(|(server, _)| !offline.contains_key(*server));
    findings.extend(behind.map(|(server, streams)| {
        let bad = format!("NATS server {server} lags in {streams} streams");
        reading(Severity::Warning).label("server", *server).value(float(*streams)).found(true, bad, "")
    }));
    findings.extend(streams.iter().filter(|stream| !stream.has_leader).map(|stream| {
        let bad = format!("stream {} has no leader: it takes and gives no messages", stream.stream);
        reading(Severity::Critical).label("stream", stream.stream.as_str()).found(true, bad, "")
    }));
}
