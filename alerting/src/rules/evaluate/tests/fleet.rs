//! Who is missed, what they use, and the brokers under them.

use std::collections::BTreeMap;

use schemas::alert::{AlertKind, Severity};
use schemas::stats::{ProcessStats, StreamCopies};

use super::{Stage, labels, process, worker};
use crate::rules::facts::Facts;
use crate::rules::reading::Found;

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
