//! Load through HTTP on the echo provider, which takes no time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::api::{Api, prompt};
use harness::cluster::Cluster;
use tokio::task::JoinSet;

/// Latencies in milliseconds.
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Jobs a second.
pub(crate) struct Rates {
    pub(crate) accepted: f64,
    pub(crate) completed: f64,
}

/// `count` synchronous calls, one after the other.
pub(crate) async fn lone(api: &Api, count: usize) -> Latency {
    let body = prompt("echo", "Say hello to the benchmark, please.");
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        api.post("/v1/chat/completions", &body).await.expect(200);
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Latency { p50: times[count / 2], p99: times[count * 99 / 100] }
}

/// Many clients that only submit; the rest of the queue is then waited for.
pub(crate) async fn crowd(cluster: &Cluster, clients: usize, span: Duration) -> Rates {
    let accepted = Arc::new(AtomicU64::new(0));
    let (started, mut submitting) = (Instant::now(), JoinSet::new());
    for _ in 0..clients {
        let (api, accepted) = (cluster.api(), Arc::clone(&accepted));
        submitting.spawn(async move {
            let body = prompt("echo", "Say hello to the benchmark, please.");
            while started.elapsed() < span {
                api.submit(&body).await;
                accepted.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    submitting.join_all().await;
    let (count, submitted) = (accepted.load(Ordering::Relaxed) as f64, started.elapsed());
    let last = cluster.api().submit(&prompt("echo", "the last one")).await;
    while !drained(&cluster.api()).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.api().ended(&last).await;
    Rates { accepted: count / submitted.as_secs_f64(), completed: count / started.elapsed().as_secs_f64() }
}

async fn drained(api: &Api) -> bool {
    let total = api.get("/health/queue/status").await.body["total"].clone();
    total["pending"] == 0 && total["running"] == 0
}
