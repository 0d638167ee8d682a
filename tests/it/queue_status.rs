//! What an operator reads of the queue.

use std::time::Duration;

use harness::api::{Api, prompt};
use harness::cluster::Cluster;
use harness::provider::{Act, Provider};
use harness::wait::{check, until};
use serde_json::{Value, json};

async fn status_where(api: &Api, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until(what, Duration::from_secs(60), async || {
        let status = api.get("/health/queue/status").await.expect(200).body;
        check(holds(&status), &status).map(|()| status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_is_counted_by_lane() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    let plan = Cluster::plan().workers(0).provider(&provider).set("QUEUE__BACKLOG_THRESHOLD", "6");
    let mut cluster = plan.set("QUEUE__STALLED_AFTER", "2s").set("WORKER__SLOTS", "5").start().await;
    let api = cluster.api();
    let empty = api.get("/health/queue/status").await.expect(200).body;
    assert_eq!((&empty["status"], &empty["total"]["pending"]), (&json!("healthy"), &json!(0)), "{empty}");
    for field in ["pending", "delayed", "running", "redelivered", "oldest_age_seconds", "dead_letters"] {
        for part in [&empty["total"], &empty["lanes"]["high"], &empty["lanes"]["normal"], &empty["lanes"]["low"]] {
            assert_eq!(part[field], 0, "{field} in {empty}");
        }
    }

    let mut ids = Vec::new();
    for lane in ["high", "normal", "normal", "low", "low", "low", "low"] {
        let mut body = prompt("fake", "x");
        body["lane"] = json!(lane);
        ids.push(api.submit(&body).await);
    }
    let waiting = status_where(&api, "seven waiting jobs", |status| status["total"]["pending"] == 7).await;
    let lanes = ["high", "normal", "low"].map(|lane| waiting["lanes"][lane]["pending"].as_u64());
    assert_eq!(lanes, [Some(1), Some(2), Some(4)], "{waiting}");
    status_where(&api, "stalled queue", |status| status["status"] == "stalled").await;

    cluster.add_worker().await;
    provider.open(5).await;
    let busy =
        status_where(&api, "five running jobs", |status| status["total"]["running"] == 5 && status["slots_used"] == 5)
            .await;
    assert_eq!((&busy["slots"], &busy["workers_alive"], &busy["total"]["pending"]), (&json!(5), &json!(1), &json!(2)));
    provider.release();
    for id in &ids {
        assert_eq!(api.ended(id).await["status"], "completed");
    }
    let drained = status_where(&api, "empty queue", |status| {
        let total = &status["total"];
        let idle = total["pending"] == 0 && total["running"] == 0 && status["slots_used"] == 0;
        idle && status["completions_per_second"].as_f64() > Some(0.0)
    })
    .await;
    assert_eq!(drained["status"], "healthy", "{drained}");
    assert!(drained["arrivals_per_second"].as_f64() > Some(0.0), "{drained}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_queue_is_backlogged_and_no_lane_starves() {
    let provider = Provider::start("fake").await;
    let plan = Cluster::plan().workers(0).provider(&provider).set("QUEUE__BACKLOG_THRESHOLD", "20");
    let mut cluster = plan.set("WORKER__SLOTS", "1").start().await;
    let api = cluster.api();
    for lane in ["low", "normal", "high"] {
        for _ in 0..10 {
            let mut body = prompt(&format!("fake-{lane}"), "x");
            body["lane"] = json!(lane);
            api.submit(&body).await;
        }
    }
    status_where(&api, "backlog", |status| status["status"] == "backlogged").await;
    cluster.add_worker().await;
    status_where(&api, "empty queue", |status| status["total"]["pending"] == 0 && status["total"]["running"] == 0)
        .await;
    let order: Vec<_> = provider.calls().into_iter().map(|call| call.model).collect();
    assert_eq!(order.len(), 30);
    let first_low = order.iter().position(|model| model == "fake-low").unwrap();
    let last_high = order.iter().rposition(|model| model == "fake-high").unwrap();
    let high_first = order[..10].iter().filter(|model| *model == "fake-high").count();
    assert!(first_low < last_high || first_low < 20, "the low lane starved: {order:?}");
    assert!(high_first >= 5, "the high lane goes first: {order:?}");
}
