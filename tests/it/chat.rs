//! OpenAI's synchronous route over the same pipeline.

use harness::api::prompt;
use harness::cluster::Cluster;
use harness::provider::{Act, Ending, Provider};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

fn chunks(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|line| *line != "[DONE]").map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_comes_whole_or_in_pieces() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Trickle(Duration::from_millis(10))]);
    let cluster = Cluster::plan().provider(&provider).start().await;
    let api = cluster.api();
    let mut body = prompt("fake", "one two three four five");
    let whole = api.post("/v1/chat/completions", &body).await.expect(200);
    assert_eq!(whole.body["object"], "chat.completion");
    let message = &whole.body["choices"][0]["message"];
    assert_eq!(message["content"], "fake: one two three four five", "{}", whole.text);
    assert_eq!(whole.body["choices"][0]["finish_reason"], "stop");
    let id = whole.body["id"].as_str().unwrap();
    assert!(id.starts_with("chatcmpl-"), "{id}");
    assert_eq!(api.job(id).await["status"], "completed");

    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let streamed = api.send(api.request(Method::POST, "/v1/chat/completions").json(&body)).await.expect(200);
    assert!(streamed.header("content-type").starts_with("text/event-stream"));
    assert!(streamed.text.trim_end().ends_with("data: [DONE]"), "{}", streamed.text);
    let chunks = chunks(&streamed.text);
    let pieces: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(pieces, message["content"].as_str().unwrap());
    let reasons: Vec<_> = chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect();
    assert_eq!(reasons, ["stop"]);
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!(usage, &whole.body["usage"], "{}", streamed.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_cancels_its_call() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    let cluster = Cluster::plan().provider(&provider).set("INGRESS__LEAVE_GRACE", "1s").start().await;
    let api = cluster.api();
    let request = api.request(Method::POST, "/v1/chat/completions").json(&prompt("fake", "hello?"));
    tokio::select! {
        answer = api.send(request) => panic!("nobody answered the provider's call: {}", answer.text),
        () = provider.open(1) => {}
    }
    // The request was dropped with its connection; the call follows once nobody else waits.
    provider.open(0).await;
    assert_eq!(provider.calls()[0].ending, Ending::Dropped);
    let background = api.submit(&prompt("fake", "I shall be back")).await;
    provider.open(1).await;
    provider.release();
    assert_eq!(api.ended(&background).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_speak_openai() {
    let provider = Provider::start("fake").await;
    provider.script("fake-400", [Act::Refuse(400, None)]);
    let cluster = Cluster::plan().provider(&provider).start().await;
    let api = cluster.api();
    let path = "/v1/chat/completions";
    let unknown = api.post(path, &prompt("no-such-model", "x")).await.expect(404);
    assert_eq!(unknown.body["error"]["code"], "model_not_found");
    let invalid = api.post(path, &json!({"model": "fake", "messages": "hello"})).await.expect(400);
    assert_eq!(
        (&invalid.body["error"]["type"], &invalid.body["error"]["param"]),
        (&json!("invalid_request_error"), &json!("messages"))
    );
    let stranger = cluster.api_of("a-key-that-is-not-known").post(path, &prompt("fake", "x")).await.expect(401);
    assert!(stranger.body["error"]["message"].is_string());
    let refused = api.post(path, &prompt("fake-400", "x")).await.expect(400);
    assert_eq!(refused.header("x-should-retry"), "false");
    assert_eq!(provider.calls().len(), 1, "a refused request is not repeated");
    let models = api.get("/v1/models").await.expect(200);
    let names: Vec<_> =
        models.body["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(names.contains(&"fake") && names.contains(&"echo"), "{names:?}");
}

/// The lane is the header's, else the one that the service tier stands for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_tier_chooses_the_lane() {
    let cluster = Cluster::plan().start().await;
    let api = cluster.api();
    for (tier, header, lane) in [
        (None, None, "normal"),
        (Some("priority"), None, "high"),
        (Some("flex"), None, "low"),
        (Some("flex"), Some("high"), "high"),
    ] {
        let mut body = prompt("echo", "which way?");
        body["service_tier"] = json!(tier);
        let mut request = api.request(Method::POST, "/v1/chat/completions").json(&body);
        if let Some(header) = header {
            request = request.header("x-portbroker-lane", header);
        }
        let answer = api.send(request).await.expect(200);
        let job = api.job(answer.header("x-portbroker-job-id")).await;
        assert_eq!(job["lane"], lane, "{tier:?} {header:?}");
    }
}
