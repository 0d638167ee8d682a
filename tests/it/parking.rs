//! A provider that says "later": the job waits without a slot, and goes on by itself.

use std::time::Duration;

use harness::api::{outcomes, prompt};
use harness::cluster::{Cluster, Plan};
use harness::provider::{Act, Provider};
use serde_json::json;

const RETRY_AFTER: Duration = Duration::from_secs(4);

async fn parks(plan: Plan) {
    let provider = Provider::start("fake").await;
    provider.script("fake-busy", [Act::Refuse(429, Some(RETRY_AFTER.as_secs())), Act::Answer]);
    let cluster = plan.set("WORKER__SLOTS", "1").provider(&provider).start().await;
    let api = cluster.api();
    let parked = api.submit(&prompt("fake-busy", "patience")).await;
    let waiting = harness::wait::until("parked job", Duration::from_secs(30), async || {
        let job = api.job(&parked).await;
        harness::wait::check(job["status"] == "queued" && job["reason"].is_string(), &job).map(|()| job)
    })
    .await;
    assert_eq!(waiting["reason"], "rate_limited", "{waiting}");
    assert!(waiting["until"].is_string(), "{waiting}");

    // The only slot is free: others go through while the parked job waits.
    let other = api.run(&prompt("fake", "no waiting")).await;
    assert_eq!(other["status"], "completed", "{other}");
    assert_eq!(api.job(&parked).await["status"], "queued", "it waited less than it was told");

    let job = api.ended(&parked).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(outcomes(&job), ["failed", "ok"], "{job}");
    assert_eq!(job["attempts"][0]["error"]["code"], "provider_rate_limited");
    let calls = provider.calls_of("fake-busy");
    assert_eq!(calls.len(), 2);
    assert!(calls[1].at - calls[0].at >= RETRY_AFTER, "called {:?} early", calls[1].at - calls[0].at);
    let status = api.get("/health/queue/status").await.expect(200).body;
    assert_eq!(status["total"]["dead_letters"], json!(0), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_wait_frees_the_slot() {
    parks(Cluster::plan()).await;
}

/// Through the stream of delayed jobs, which holds no ack floor back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_wait_frees_the_slot() {
    parks(Cluster::plan().set("WORKER__SHORT_PARK", "1s")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_only_provider_fails_no_job() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Refuse(503, None), Act::Refuse(503, None), Act::Answer]);
    let plan = Cluster::plan().provider(&provider).set("RETRY__MAX_ATTEMPTS", "5");
    let plan = plan.set("BREAKER__FAILURES", "2").set("BREAKER__OPEN_FOR", "3s").set("RETRY__INITIAL", "50ms");
    let cluster = plan.start().await;
    let api = cluster.api();
    let jobs = [api.run(&prompt("fake", "first")).await, api.run(&prompt("fake", "second")).await];
    for job in &jobs {
        assert_eq!(job["status"], "completed", "{job}");
    }
    assert_eq!(outcomes(&jobs[0]), ["failed", "failed", "ok"], "{}", jobs[0]);
    let calls = provider.calls();
    assert!(calls[2].at - calls[1].at >= Duration::from_secs(2), "the open breaker let a call through");
}

/// Its line waits outside of the slots, and leaves nothing in the ledgers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_provider_stops_no_other() {
    let full = Provider::start("full").await.limited("max_concurrency = 1");
    let other = Provider::start("fake").await;
    full.script("full", [Act::Hold]);
    let cluster = Cluster::plan().set("WORKER__SLOTS", "4").provider(&full).provider(&other).start().await;
    let api = cluster.api();
    let mut line = Vec::new();
    for number in 0..60 {
        line.push(api.submit(&prompt("full", &format!("in line {number}"))).await);
    }
    full.open(1).await;
    for number in 0..8 {
        let job = api.run(&prompt("fake", &format!("beside it {number}"))).await;
        assert_eq!((&job["status"], outcomes(&job)), (&json!("completed"), vec!["ok"]), "{job}");
    }
    full.open(1).await;
    assert_eq!(full.calls().len(), 1);
    full.release();
    for id in &line[..3] {
        let job = api.ended(id).await;
        assert_eq!((&job["status"], outcomes(&job)), (&json!("completed"), vec!["ok"]), "{job}");
    }
}
