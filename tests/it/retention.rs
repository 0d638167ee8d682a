//! A job's afterlife: its record, then how it ended, then nothing.

use std::time::Duration;

use harness::api::prompt;
use harness::cluster::{Cluster, KEY_TWO};
use harness::wait::{check, until};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_gone_with_its_end_and_then_forgotten() {
    let plan =
        Cluster::plan().short_retention().set("DATABASE__HISTORY", "20s").set("DATABASE__PRUNE_INTERVAL", "200ms");
    let cluster = plan.start().await;
    let api = cluster.api();
    let ended = [api.run(&prompt("echo", "x")).await, api.run(&prompt("echo-fail-400", "x")).await];
    for job in &ended {
        assert_eq!(api.job(job["id"].as_str().unwrap()).await["status"], job["status"]);
    }
    for job in &ended {
        let (id, status) = (job["id"].as_str().unwrap(), &job["status"]);
        let path = format!("/v1/jobs/{id}");
        let gone = until("410", LIMIT, async || {
            let answer = api.get(&path).await;
            check(answer.status == 410, &answer.text).map(|()| answer)
        })
        .await;
        assert_eq!((&gone.body["code"], &gone.body["status"]), (&json!("gone"), status), "{}", gone.text);
        assert!(gone.body["message"].is_string() && gone.body["retriable"] == false, "{}", gone.text);
        cluster.api_of(KEY_TWO).get(&path).await.expect(404);
    }
    for job in &ended {
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        let unknown = until("404", LIMIT, async || {
            let answer = api.get(&path).await;
            check(answer.status == 404, &answer.text).map(|()| answer)
        })
        .await;
        assert!(unknown.body.get("status").is_none() && unknown.body["code"] == "not_found", "{}", unknown.text);
    }
    assert_eq!(api.get("/v1/jobs").await.expect(200).body["data"], json!([]));
}
