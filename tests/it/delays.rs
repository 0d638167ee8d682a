//! Jobs that start later, and jobs that must end in time.

use harness::api::{outcomes, output_text, prompt};
use harness::cluster::Cluster;
use harness::provider::{Act, Provider};
use schemas::timestamp::Timestamp;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn seconds_from_now(seconds: u64) -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap()).after(Duration::from_secs(seconds))
}

fn moment(job: &Value, field: &str) -> Timestamp {
    Timestamp::parse(job[field].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_job_waits_for_its_time() {
    let cluster = Cluster::plan().start().await;
    let api = cluster.api();
    let start = seconds_from_now(3);
    let mut body = prompt("echo", "later");
    body["not_before"] = json!(start.to_string());
    let id = api.submit(&body).await;
    let waiting = api.job(&id).await;
    assert_eq!((&waiting["status"], &waiting["reason"]), (&json!("queued"), &json!("delayed")));
    let job = api.ended(&id).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert!(moment(&job, "started_at") >= start, "{job}");
    assert!(output_text(&job).contains("later"));

    body["not_before"] = json!(seconds_from_now(3600).to_string());
    let far = api.submit(&body).await;
    let cancelled = api.post(&format!("/v1/jobs/{far}/cancel"), &json!({})).await.expect(200);
    assert_eq!(cancelled.body["status"], "cancelled");
    body["not_before"] = json!(seconds_from_now(365 * 86_400).to_string());
    assert_eq!(api.post("/v1/jobs", &body).await.expect(400).body["param"], "not_before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_past_its_deadline_expires() {
    let provider = Provider::start("fake").await;
    provider.script("fake-busy", [Act::Refuse(429, Some(30))]);
    provider.script("fake-held", [Act::Hold]);
    let cluster = Cluster::plan().provider(&provider).set("WORKER__SHORT_PARK", "1s").start().await;
    let api = cluster.api();
    let deadline = seconds_from_now(10);
    let mut running = Vec::new();
    for (model, first_outcome) in [("fake-busy", "failed"), ("fake-held", "cancelled")] {
        let mut body = prompt(model, "in time?");
        body["deadline"] = json!(deadline.to_string());
        running.push((model, first_outcome, api.submit(&body).await));
    }
    for (model, first_outcome, id) in running {
        let job = api.ended(&id).await;
        assert_eq!((&job["status"], &job["error"]["code"]), (&json!("expired"), &json!("expired")), "{job}");
        assert_eq!(provider.calls_of(model).len(), 1, "{job}");
        let seen = outcomes(&job);
        assert!(seen.len() == 1 && (seen[0] == first_outcome || seen[0] == "failed"), "{job}");
    }
    let mut body = prompt("echo", "x");
    body["deadline"] = json!("2020-01-01T00:00:00Z");
    assert_eq!(api.post("/v1/jobs", &body).await.expect(400).body["param"], "deadline");
}
