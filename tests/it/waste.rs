//! What calls cost is in the ledger, and what gave no job its answer is counted.

use harness::api::{outcomes, prompt};
use harness::cluster::Cluster;
use harness::provider::{Act, Provider};
use reqwest::Method;
use serde_json::json;

fn wasted(reason: &str) -> String {
    format!(r#"portbroker_wasted_calls_total{{model="fake",provider="fake",reason="{reason}"}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_paid_for_somewhere() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Answer, Act::Hold, Act::Answer, Act::Hold, Act::Truncated]);
    let mut cluster = Cluster::plan().short_leases().provider(&provider).start().await;
    let api = cluster.api();
    let job = api.run(&prompt("fake", "how much")).await;
    // 9 tokens at 2 and 3 at 8 millionths of a dollar.
    assert_eq!(job["attempts"][0]["cost_micros"], 42, "{job}");
    let cost = r#"portbroker_cost_dollars_total{model="fake",provider="fake"}"#;
    cluster.workers[0].counts(cost, 0.000_042).await;

    let id = api.submit(&prompt("fake", "a worker is lost")).await;
    provider.open(1).await;
    cluster.workers.remove(0).kill9();
    cluster.add_worker().await;
    let job = api.ended(&id).await;
    assert_eq!(outcomes(&job), ["ambiguous", "ok"], "{job}");
    let worker = &cluster.workers[0];
    worker.counts(&wasted("ambiguous"), 1).await;

    let id = api.submit(&prompt("fake", "never mind")).await;
    provider.open(1).await;
    api.send(api.request(Method::POST, &format!("/v1/jobs/{id}/cancel"))).await.expect(200);
    worker.counts(&wasted("cancelled"), 1).await;

    let mut body = prompt("fake", "half an answer is none");
    body["stream"] = json!(true);
    let job = api.run(&body).await;
    assert_eq!((&job["status"], outcomes(&job)), (&json!("failed"), vec!["failed"]), "{job}");
    worker.counts(&wasted("failed"), 1).await;
    worker.counts(&wasted("lost_result"), 0).await;
    worker.counts(&wasted("ambiguous"), 1).await;
}
