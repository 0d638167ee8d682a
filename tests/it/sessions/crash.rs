//! A worker dies between the end of a turn and its place in the history: whoever looks next puts it there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::api::JOB_LIMIT;
use harness::cluster::Cluster;
use harness::process::{Process, Role};
use harness::provider::Provider;
use harness::proxy::{Proxy, Tamper};
use harness::wait::{check, until};
use serde_json::json;

use super::{asked, said, session, talk, turn};

/// Where a history would be written.
const WRITE: &[u8] = b"HPUB $KV.SESSIONS.";

/// Passes everything up to the first write to a session's history, and nothing from there on.
struct Stop {
    stopped: Arc<AtomicBool>,
    /// The end of what passed, since a write may come in two pieces.
    tail: Vec<u8>,
}

impl Tamper for Stop {
    fn to_server(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.stopped.load(Ordering::SeqCst) {
            return Vec::new();
        }
        self.tail.extend_from_slice(bytes);
        let lines = self.tail.split(|byte| *byte == b'\n');
        let write =
            lines.clone().any(|line| line.starts_with(WRITE) && line.windows(9).any(|part| part == b".history "));
        if write {
            self.stopped.store(true, Ordering::SeqCst);
            return Vec::new();
        }
        self.tail.drain(..self.tail.len().saturating_sub(256));
        bytes.to_vec()
    }

    fn to_client(&mut self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }
}

/// A worker that ends the first turn of the session `s` and dies before it can add it.
async fn ended_and_not_added(cluster: &Cluster) {
    let stopped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stopped);
    let tampering = move || -> Box<dyn Tamper> { Box::new(Stop { stopped: Arc::clone(&seen), tail: Vec::new() }) };
    let proxy = Proxy::tampering(&cluster.nats.address(), Some(Arc::new(tampering))).await;
    let mut environment = cluster.environment().clone();
    environment.insert("PORTBROKER_NATS__URL".to_owned(), format!("nats://{}", proxy.address()));
    let doomed = Process::start(Role::Worker, &environment).await;
    let api = cluster.api();
    let job = api.run(&turn("fake", "s", "one")).await;
    assert_eq!((&job["status"], &job["turn"]), (&json!("completed"), &json!(1)), "{job}");
    until("a turn about to be added", JOB_LIMIT, async || check(stopped.load(Ordering::SeqCst), "not yet")).await;
    doomed.kill9();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_turn_finds_what_a_dead_worker_did_not_add() {
    let provider = Provider::start("fake").await;
    let mut cluster = Cluster::plan().workers(0).short_leases().provider(&provider).start().await;
    ended_and_not_added(&cluster).await;
    cluster.add_worker().await;
    let api = cluster.api();
    assert_eq!(api.run(&turn("fake", "s", "two")).await["turn"], 2);
    assert_eq!(asked(provider.calls().last().unwrap()), talk(&["one", "two"])[..3]);
    assert_eq!(said(&session(&api, "s").await), talk(&["one", "two"]));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_finds_what_a_dead_worker_did_not_add() {
    let provider = Provider::start("fake").await;
    let cluster = Cluster::plan().workers(0).provider(&provider).start().await;
    ended_and_not_added(&cluster).await;
    let read = session(&cluster.api(), "s").await;
    assert_eq!((said(&read), &read["statistics"]["waiting"]), (talk(&["one"]), &json!(0)));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweeper_finds_what_a_dead_worker_did_not_add() {
    let provider = Provider::start("fake").await;
    let plan = Cluster::plan().workers(0).provider(&provider);
    let mut cluster =
        plan.set("STREAMS__SWEEP_INTERVAL", "200ms").set("STREAMS__SWEEP_PATIENCE", "500ms").start().await;
    ended_and_not_added(&cluster).await;
    cluster.add_worker().await;
    let worker = &cluster.workers[0];
    worker.counts("portbroker_session_turns_total", 1).await;
    assert_eq!(said(&session(&cluster.api(), "s").await), talk(&["one"]));
    cluster.stop().await;
}
