//! A provider that breaks off: no truncated answer is ever reported as complete.

use harness::api::{outcomes, output_text, prompt};
use harness::cluster::Cluster;
use harness::provider::{Act, Provider};
use reqwest::Method;
use serde_json::{Value, json};

const TEXT: &str = "one two three four five six seven eight nine ten";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_answer_is_retried_and_then_whole() {
    let provider = Provider::start("fake").await;
    let cases = [
        ("fake-die", Act::Die(3)),
        ("fake-truncated", Act::Truncated),
        ("fake-garbage", Act::Garbage),
        ("fake-500", Act::Refuse(500, None)),
        ("fake-stall", Act::Stall(3)),
    ];
    for (model, act) in &cases {
        provider.script(model, [act.clone(), Act::Answer]);
    }
    let plan = Cluster::plan().provider(&provider).set("RETRY__INITIAL", "50ms");
    let plan = plan.set("WORKER__IDLE_TIMEOUT", "2s").set("WORKER__CALL_TIMEOUT", "3s");
    let cluster = plan.start().await;
    let api = cluster.api();
    for (model, _) in &cases {
        let job = api.run(&prompt(model, TEXT)).await;
        assert_eq!(job["status"], "completed", "{job}");
        assert_eq!(output_text(&job), format!("fake: {TEXT}"), "{model}");
        assert_eq!(outcomes(&job), ["failed", "ok"], "{job}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_always_breaks_off_fails_the_job() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Die(3)]);
    let plan = Cluster::plan().provider(&provider).set("RETRY__INITIAL", "50ms").set("RETRY__MAX_ATTEMPTS", "2");
    // An open breaker would park the later jobs instead.
    let cluster = plan.set("BREAKER__FAILURES", "1000").start().await;
    let api = cluster.api();
    for streamed in [false, true] {
        let mut body = prompt("fake", TEXT);
        body["stream"] = json!(streamed);
        let job = api.run(&body).await;
        assert_eq!((&job["status"], &job["error"]["category"]), (&json!("failed"), &json!("provider")), "{job}");
        assert!(job["output"].is_null(), "half an answer is none: {job}");
    }
    let whole = api.post("/v1/chat/completions", &prompt("fake", TEXT)).await;
    assert!(whole.status >= 500, "{}", whole.text);
    assert!(whole.body["error"]["message"].is_string() && whole.body.get("choices").is_none());

    let mut body = prompt("fake", TEXT);
    body["stream"] = json!(true);
    let streamed = api.send(api.request(Method::POST, "/v1/chat/completions").json(&body)).await;
    assert!(!streamed.text.contains("[DONE]"), "{}", streamed.text);
    let chunks =
        streamed.text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let finished = chunks.into_iter().any(|chunk| chunk["choices"][0]["finish_reason"].is_string());
    assert!(!finished && streamed.text.contains("\"error\""), "{}", streamed.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_answer_says_that_it_is_cut() {
    let provider = Provider::start("fake").await;
    provider.script("fake-length", [Act::Length]);
    provider.script("fake-filter", [Act::Filter]);
    let cluster = Cluster::plan().provider(&provider).start().await;
    let api = cluster.api();
    for (model, reason) in [("fake-length", "length"), ("fake-filter", "content_filter")] {
        let job = api.run(&prompt(model, TEXT)).await;
        assert_eq!(job["status"], "incomplete", "{job}");
        let chat = api.post("/v1/chat/completions", &prompt(model, TEXT)).await.expect(200);
        assert_eq!(chat.body["choices"][0]["finish_reason"], reason, "{}", chat.text);
    }
    let huge = 3 << 20;
    provider.script("fake-huge", [Act::Huge(huge)]);
    let job = api.run(&prompt("fake-huge", "much")).await;
    assert_eq!((job["status"].as_str(), output_text(&job).len()), (Some("completed"), huge));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_with_more_beside_it_than_a_record_holds_is_whole() {
    let words = 1500;
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Say("word ".repeat(words)), Act::Say("word ".repeat(words))]);
    let cluster = Cluster::plan().provider(&provider).start().await;
    let api = cluster.api();
    let mut body = prompt("fake", TEXT);
    (body["logprobs"], body["top_logprobs"]) = (json!(true), json!(20));
    let whole = api.post("/v1/chat/completions", &body).await.expect(200);
    let told = whole.body["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!((told.len(), told[0]["top_logprobs"].as_array().unwrap().len()), (words, 20));
    body["stream"] = json!(true);
    let streamed = api.post("/v1/chat/completions", &body).await.expect(200);
    let chunks =
        streamed.text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let told = chunks.map(|chunk| chunk["choices"][0]["logprobs"]["content"].as_array().map_or(0, Vec::len));
    assert_eq!((told.sum::<usize>(), streamed.text.contains("[DONE]")), (words, true));
    assert_eq!(provider.calls().len(), 2, "each answer was paid for once");
}
