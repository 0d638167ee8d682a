//! Submit, claim, echo, poll: the straight way through.

use harness::api::{outcomes, output_text, prompt};
use harness::cluster::{Cluster, KEY_TWO};
use harness::provider::{Act, Ending, Provider};
use reqwest::Method;
use schemas::timestamp::Timestamp;
use serde_json::json;

const UNKNOWN: &str = "job_01ARZ3NDEKTSV4RRFFQ69G5FAV";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_from_submit_to_result() {
    let cluster = Cluster::plan().start().await;
    let api = cluster.api();
    let mut body = prompt("echo", "the quick brown fox");
    body["metadata"] = json!({"order": "42"});
    body["lane"] = json!("high");
    let accepted = api.post("/v1/jobs", &body).await.expect(202);
    let id = accepted.body["id"].as_str().unwrap().to_owned();
    assert_eq!(accepted.header("location"), format!("/v1/jobs/{id}"));
    assert_eq!(accepted.body["status"], "queued");
    assert!(!accepted.header("x-request-id").is_empty());

    let job = api.ended(&id).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!((&job["model"], &job["provider"], &job["lane"]), (&json!("echo"), &json!("echo"), &json!("high")));
    assert!(output_text(&job).contains("the quick brown fox"), "{job}");
    assert_eq!(job["output"]["role"], "assistant");
    assert!(job["usage"]["input_tokens"].as_u64() > Some(0) && job["usage"]["output_tokens"].as_u64() > Some(0));
    assert_eq!(job["metadata"], body["metadata"]);
    assert_eq!(outcomes(&job), ["ok"]);
    assert_eq!((&job["context"]["messages_before"], &job["context"]["messages_after"]), (&json!(1), &json!(1)));
    let moments =
        ["created_at", "started_at", "finished_at"].map(|name| Timestamp::parse(job[name].as_str().unwrap()).unwrap());
    assert!(moments.is_sorted(), "{moments:?}");
    assert_eq!(job["created_at"], accepted.body["created_at"]);
    assert!(job["error"].is_null());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_gets_what_the_client_asked() {
    let provider = Provider::start("fake").await;
    let cluster = Cluster::plan().provider(&provider).start().await;
    let api = cluster.api();
    let body = json!({
        "model": "fake", "temperature": 0.5, "max_tokens": 77, "seed": 3, "stop": ["END"], "user": "somebody",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "weather?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}]},
            {"role": "assistant", "content": null, "tool_calls":
                [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
        "tool_choice": "required",
    });
    let job = api.run(&body).await;
    assert_eq!(job["status"], "completed", "{job}");
    let call = &job["output"]["content"][0];
    assert_eq!((&call["type"], &call["name"]), (&json!("tool_call"), &json!("weather")), "{job}");
    let calls = provider.calls();
    assert_eq!(calls.len(), 1);
    let sent = &calls[0].body;
    for field in ["temperature", "seed", "stop", "user", "messages", "tools", "tool_choice"] {
        assert_eq!(sent[field], body[field], "{field}");
    }
    assert_eq!(sent["max_completion_tokens"], 77);
    assert!(calls[0].idempotency_key.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_client_hears_of_the_end() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    let cluster = Cluster::plan().provider(&provider).start().await;
    let api = cluster.api();
    let id = api.submit(&prompt("fake", "hello")).await;
    provider.open(1).await;
    let short = api.request(Method::GET, &format!("/v1/jobs/{id}")).header("prefer", "wait=1");
    assert_eq!(api.send(short).await.expect(200).body["status"], "running");
    let long = api.request(Method::GET, &format!("/v1/jobs/{id}")).header("prefer", "wait=50");
    let (answer, ()) = tokio::join!(api.send(long), async { provider.release() });
    assert!(answer.header("preference-applied").starts_with("wait"), "{:?}", answer.headers);
    assert_eq!(answer.body["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_wait_where_it_submits() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    let cluster = Cluster::plan().provider(&provider).start().await;
    let api = cluster.api();
    let submit = |wait| {
        let request = api.request(Method::POST, "/v1/jobs").header("prefer", wait).header("idempotency-key", "one");
        api.send(request.json(&prompt("fake", "hello")))
    };
    let short = submit("wait=1").await.expect(202);
    assert_eq!((&short.body["status"], short.header("preference-applied")), (&json!("queued"), "wait=1"));
    provider.open(1).await;
    let (long, ()) = tokio::join!(submit("wait=50"), async { provider.release() });
    let long = long.expect(200);
    assert_eq!(long.header("idempotency-replayed"), "true");
    assert_eq!((&long.body["status"], &long.body["id"]), (&json!("completed"), &short.body["id"]));
    assert_eq!(submit("wait=0").await.expect(200).body, long.body);
    assert_eq!(submit("return=minimal").await.expect(202).body, short.body);
    assert_eq!(provider.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_job_ends_at_once_and_drops_its_call() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    let cluster = Cluster::plan().provider(&provider).start().await;
    let api = cluster.api();
    let id = api.submit(&prompt("fake", "hello")).await;
    provider.open(1).await;
    let cancelled = api.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.expect(200);
    assert_eq!(cancelled.body["status"], "cancelled");
    provider.open(0).await;
    assert_eq!(provider.calls()[0].ending, Ending::Dropped);
    let again = api.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.expect(200);
    assert_eq!(again.body["finished_at"], cancelled.body["finished_at"]);

    let done = api.run(&prompt("echo", "x")).await;
    let late = api.post(&format!("/v1/jobs/{}/cancel", done["id"].as_str().unwrap()), &json!({})).await.expect(200);
    assert_eq!(late.body["status"], "completed", "an ended job stays as it ended");
    api.post(&format!("/v1/jobs/{UNKNOWN}/cancel"), &json!({})).await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_unknown_ids_find_nothing() {
    let cluster = Cluster::plan().start().await;
    let (one, two) = (cluster.api(), cluster.api_of(KEY_TWO));
    let id = one.submit(&prompt("echo-slow-500ms", "mine")).await;
    for path in [
        format!("/v1/jobs/{id}"),
        format!("/v1/jobs/{id}/events"),
        format!("/v1/jobs/{UNKNOWN}"),
        "/v1/jobs/nonsense".to_owned(),
        "/v1/nothing".to_owned(),
    ] {
        let answer = two.get(&path).await.expect(404);
        assert_eq!((&answer.body["code"], &answer.body["category"]), (&json!("not_found"), &json!("client")), "{path}");
        assert!(answer.body["trace_id"].is_string() && answer.body["retriable"] == false, "{path}");
    }
    two.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.expect(404);
    assert_eq!(one.ended(&id).await["status"], "completed");
    two.get(&format!("/v1/jobs/{id}")).await.expect(404);
    let bare = id.trim_start_matches("job_");
    one.get(&format!("/v1/jobs/chatcmpl-{bare}")).await.expect(200);
    let nobody = cluster.api_of("not-a-key-that-anyone-has").get("/v1/jobs").await.expect(401);
    assert_eq!(nobody.body["code"], "unauthorized");
    one.post("/v1/alerts/test", &json!({})).await.expect(403);
    let unknown = one.post("/v1/jobs", &prompt("no-such-model", "x")).await.expect(404);
    assert_eq!(unknown.body["code"], "not_found");
}
