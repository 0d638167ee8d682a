//! One key, one job, one call, whatever the client repeats.

use harness::api::{job_id, prompt};
use harness::cluster::{Cluster, KEY_TWO};
use harness::provider::{Ending, Provider};
use serde_json::json;
use tokio::task::JoinSet;

const REPEATS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_submits_of_one_key_are_one_call() {
    let provider = Provider::start("fake").await;
    let mut cluster = Cluster::plan().workers(2).provider(&provider).start().await;
    let api = cluster.api();
    let body = prompt("fake", "charge my card once");
    let mut submits = JoinSet::new();
    for _ in 0..REPEATS {
        let (api, body) = (api.clone(), body.clone());
        submits.spawn(async move { api.submit_keyed(&body, "order-42").await.expect(202).body });
    }
    let answers = submits.join_all().await;
    assert_eq!(answers.len(), REPEATS);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    let job = api.ended(&job_id(&answers[0])).await;
    assert_eq!(job["status"], "completed", "{job}");

    let again = api.submit_keyed(&body, "order-42").await.expect(202);
    assert_eq!(again.body, answers[0], "the answer to a repeat does not depend on when it comes");
    assert_eq!(again.header("idempotency-replayed"), "true");
    let other = api.submit_keyed(&prompt("fake", "charge my card twice"), "order-42").await.expect(422);
    assert_eq!(other.body["code"], "conflict");

    // The broker's own memory of keys is short; the job's record is what counts.
    cluster.nats.stop().await;
    cluster.nats.resurrect().await;
    let job = api.ended(&job_id(&answers[0])).await;
    assert_eq!(job["attempts"].as_array().map(Vec::len), Some(1), "{job}");
    let calls = provider.calls();
    assert_eq!(calls.len(), 1, "{calls:#?}");
    assert_eq!(calls[0].ending, Ending::Answered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_belong_to_their_tenant() {
    let cluster = Cluster::plan().start().await;
    let body = prompt("echo", "x");
    let one = cluster.api().submit_keyed(&body, "same").await.expect(202);
    let two = cluster.api_of(KEY_TWO).submit_keyed(&body, "same").await.expect(202);
    assert_ne!(one.body["id"], two.body["id"]);
    for key in ["", &"k".repeat(256), "with\ttab"] {
        let refused = cluster.api().submit_keyed(&body, key).await.expect(400);
        assert_eq!(refused.body["code"], "invalid_request", "{key:?}");
    }
    let keyed_chat = cluster.api().request(reqwest::Method::POST, "/v1/chat/completions");
    let first = cluster.api().send(keyed_chat.try_clone().unwrap().header("idempotency-key", "chat").json(&body)).await;
    let second = cluster.api().send(keyed_chat.header("idempotency-key", "chat").json(&body)).await;
    assert_eq!((first.status, &first.body["id"]), (200, &second.body["id"]));
    assert_eq!(first.body["choices"], second.body["choices"]);
    let conflict = cluster.api().submit_keyed(&json!({"model": "echo"}), "chat").await;
    assert!(conflict.status == 400 || conflict.status == 422, "{}", conflict.text);
}
