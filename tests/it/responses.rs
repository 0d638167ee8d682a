//! What is kept of a response, and what is not shown of one any more.

use harness::api::Api;
use harness::cluster::Cluster;
use reqwest::Method;
use serde_json::{Value, json};

/// A response to `input` with these instructions, once its job has ended; its id, and that of its job.
async fn responded(api: &Api, instructions: &str) -> (String, String) {
    let body = json!({"model": "echo", "input": "hello", "instructions": instructions, "background": true});
    let answer = api.post("/v1/responses", &body).await.expect(200).body;
    let id = answer["id"].as_str().unwrap().to_owned();
    let job = id.replace("resp_", "job_");
    assert_eq!(api.ended(&job).await["status"], "completed");
    (id, job)
}

/// As much as fits into a message once, and not twice; and more than fits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_instructions_are_shown_as_they_came() {
    let cluster = Cluster::plan().start().await;
    let api = cluster.api();
    for bytes in [60_000, 600_000, 740_000, 1_000_000] {
        // Many bytes of few tokens: the model must have room for them.
        let instructions = format!("{}\n", "=".repeat(63)).repeat(bytes / 64);
        let (id, _) = responded(&api, &instructions).await;
        let shown: Value = api.get(&format!("/v1/responses/{id}")).await.expect(200).body;
        assert!(shown["instructions"] == instructions.as_str(), "{bytes} bytes");
        let next = json!({"model": "echo", "input": "and again", "previous_response_id": id});
        assert_eq!(api.post("/v1/responses", &next).await.expect(200).body["status"], "completed", "{bytes} bytes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_response_is_no_job_either() {
    let cluster = Cluster::plan().start().await;
    let api = cluster.api();
    let (id, job) = responded(&api, "x").await;
    api.send(api.request(Method::DELETE, &format!("/v1/responses/{id}"))).await.expect(200);
    for path in [format!("/v1/responses/{id}"), format!("/v1/jobs/{job}"), format!("/v1/jobs/{job}/events")] {
        api.get(&path).await.expect(404);
    }
}
