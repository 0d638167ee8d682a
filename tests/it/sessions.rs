//! Sessions: turns in order, each exactly once, whatever dies; forgetting, bounds, and what lies on disk.

mod crash;
mod keys;
mod storm;

pub(crate) use keys::{holds, stored};

use std::time::Duration;

use harness::api::{Api, JOB_LIMIT, output_text, prompt};
use harness::cluster::{Cluster, KEY_TWO};
use harness::provider::{Act, Call, Provider};
use harness::wait::{check, until};
use reqwest::Method;
use runtime::clock;
use serde_json::{Value, json};

/// A turn of the session `name`.
pub(crate) fn turn(model: &str, name: &str, text: &str) -> Value {
    let mut body = prompt(model, text);
    body["session"] = json!(name);
    body
}

/// The session, read by its client.
pub(crate) async fn session(api: &Api, name: &str) -> Value {
    api.get(&format!("/v1/sessions/{name}")).await.expect(200).body
}

/// Who said what, of a session's messages.
fn said(session: &Value) -> Vec<(String, String)> {
    let messages = session["messages"].as_array().unwrap().iter();
    messages
        .map(|message| {
            let text = message["content"].as_array().unwrap().iter().filter_map(|block| block["text"].as_str());
            (message["role"].as_str().unwrap().to_owned(), text.collect())
        })
        .collect()
}

/// What a provider was asked, message by message.
pub(crate) fn asked(call: &Call) -> Vec<(String, String)> {
    let messages = call.body["messages"].as_array().unwrap().iter();
    messages
        .map(|one| (one["role"].as_str().unwrap().to_owned(), one["content"].as_str().unwrap().to_owned()))
        .collect()
}

/// A conversation of these prompts and the fake's answers.
fn talk(prompts: &[&str]) -> Vec<(String, String)> {
    let pair =
        |text: &&str| [("user".to_owned(), (*text).to_owned()), ("assistant".to_owned(), format!("fake: {text}"))];
    prompts.iter().flat_map(pair).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_go_on_from_each_other_in_order() {
    let provider = Provider::start("fake").await;
    let cluster = Cluster::plan().workers(2).provider(&provider).start().await;
    let (api, name) = (cluster.api(), "chat%207%2F%C3%BC");
    let mut first = turn("fake", "chat 7/ü", "one");
    first["messages"].as_array_mut().unwrap().insert(0, json!({"role": "system", "content": "be brief"}));
    let mut ids = vec![api.submit(&first).await];
    for text in ["two", "three"] {
        ids.push(api.submit(&turn("fake", "chat 7/ü", text)).await);
    }
    for (number, id) in (1..).zip(&ids) {
        let job = api.ended(id).await;
        assert_eq!(
            (&job["status"], &job["turn"], &job["session"]),
            (&json!("completed"), &json!(number), &json!("chat 7/ü"))
        );
    }
    let read = session(&api, name).await;
    assert_eq!((said(&read), &read["id"]), (talk(&["one", "two", "three"]), &json!("chat 7/ü")));
    let statistics = &read["statistics"];
    assert_eq!((&statistics["turns"], &statistics["waiting"]), (&json!(3), &json!(0)), "{statistics}");
    assert_eq!((&statistics["messages"]["user"], &statistics["messages"]["system"]), (&json!(3), &json!(0)));
    assert!(statistics["tokens"].as_u64() > Some(10) && statistics["bytes"].as_u64() > Some(100), "{statistics}");
    let jobs: Vec<_> =
        read["messages"].as_array().unwrap().iter().map(|message| message["job"].as_str().unwrap()).collect();
    assert_eq!(jobs, ids.iter().flat_map(|id| [id, id]).collect::<Vec<_>>());
    assert!(read["created_at"].as_str() < read["updated_at"].as_str(), "{read}");

    let calls = provider.calls();
    let whole = talk(&["one", "two", "three"]);
    let system = vec![("system".to_owned(), "be brief".to_owned())];
    assert_eq!(asked(&calls[0]), [system, whole[..1].to_vec()].concat());
    assert_eq!((asked(&calls[1]), asked(&calls[2])), (whole[..3].to_vec(), whole[..5].to_vec()));

    let stranger = cluster.api_of(KEY_TWO);
    for (method, more) in [(Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/clear")] {
        let request = stranger.request(method, &format!("/v1/sessions/{name}{more}"));
        assert_eq!(stranger.send(request).await.expect(404).body["code"], "not_found");
    }
    stranger.run(&turn("fake", "chat 7/ü", "mine")).await;
    assert_eq!(said(&session(&stranger, name).await), talk(&["mine"]), "each tenant has sessions of its own");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_that_were_not_answered_are_none() {
    let provider = Provider::start("fake").await;
    provider.script("fake-held", [Act::Hold]);
    provider.script("fake-refused", [Act::Refuse(400, None)]);
    let cluster = Cluster::plan().workers(2).provider(&provider).start().await;
    let api = cluster.api();
    let first = api.submit(&turn("fake-held", "s", "one")).await;
    provider.open(1).await;
    let cancelled = api.submit(&turn("fake", "s", "never")).await;
    let failed = api.submit(&turn("fake-refused", "s", "refused")).await;
    let mut late = turn("fake", "s", "late");
    late["deadline"] = json!(clock::now().after(Duration::from_secs(4)));
    let late = api.submit(&late).await;
    let last = api.submit(&turn("fake", "s", "two")).await;
    let waiting = session(&api, "s").await;
    assert_eq!((&waiting["statistics"]["waiting"], &waiting["created_at"]), (&json!(5), &Value::Null), "{waiting}");

    assert_eq!(api.ended(&late).await["status"], "expired", "whoever's turn it is");
    api.post(&format!("/v1/jobs/{cancelled}/cancel"), &json!({})).await.expect(200);
    assert_eq!(api.job(&last).await["status"], "queued");
    provider.release();
    assert_eq!(api.ended(&first).await["turn"], 1);
    let ended = api.ended(&last).await;
    assert_eq!((&ended["status"], &ended["turn"]), (&json!("completed"), &json!(2)), "{ended}");
    let failed = api.ended(&failed).await;
    assert_eq!((&failed["status"], failed.get("turn")), (&json!("failed"), None), "{failed}");
    let read = session(&api, "s").await;
    assert_eq!((said(&read), &read["statistics"]["waiting"]), (talk(&["one", "two"]), &json!(0)));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_bounded() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    let plan = Cluster::plan().provider(&provider).set("SESSIONS__MAX_WAITING", "3");
    let cluster = plan.start().await;
    let api = cluster.api();
    let mut ids = Vec::new();
    for text in ["one", "two"] {
        ids.push(api.submit(&turn("fake", "s", text)).await);
    }
    let keyed = api.submit_keyed(&turn("fake", "s", "three"), "a-key").await.expect(202);
    ids.push(keyed.body["id"].as_str().unwrap().to_owned());
    let refused = api.post("/v1/jobs", &turn("fake", "s", "four")).await.expect(429);
    assert_eq!((&refused.body["code"], &refused.body["retriable"]), (&json!("rate_limited"), &json!(true)));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    let again = api.submit_keyed(&turn("fake", "s", "three"), "a-key").await.expect(202);
    assert_eq!(again.body["id"], keyed.body["id"], "what was accepted stays accepted");
    api.submit(&turn("fake", "other", "four")).await;
    provider.release();
    for id in &ids {
        assert_eq!(api.ended(id).await["status"], "completed");
    }
    let again = api.submit_keyed(&turn("fake", "s", "three"), "a-key").await.expect(202);
    assert_eq!(again.body["id"], keyed.body["id"]);
    assert_eq!(said(&session(&api, "s").await), talk(&["one", "two", "three"]));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_cleared_and_deleted() {
    let provider = Provider::start("fake").await;
    provider.script("fake-held", [Act::Hold]);
    let cluster = Cluster::plan().provider(&provider).start().await;
    let api = cluster.api();
    let clear = async || api.post("/v1/sessions/s/clear", &json!({})).await;
    let delete = async || api.send(api.request(Method::DELETE, "/v1/sessions/s")).await;
    clear().await.expect(404);
    delete().await.expect(404);
    api.run(&turn("fake", "s", "one")).await;
    let held = api.submit(&turn("fake-held", "s", "two")).await;
    provider.open(1).await;
    let cleared = clear().await.expect(200).body;
    assert_eq!((said(&cleared).len(), &cleared["statistics"]["turns"]), (0, &json!(1)), "{cleared}");
    provider.release();
    assert_eq!(api.ended(&held).await["turn"], 2);
    assert_eq!(said(&session(&api, "s").await), talk(&["two"]), "what runs is the first of what follows");
    delete().await.expect(204);
    api.get("/v1/sessions/s").await.expect(404);
    delete().await.expect(404);
    assert_eq!(api.run(&turn("fake", "s", "three")).await["turn"], 1);
    assert_eq!(asked(provider.calls().last().unwrap()), talk(&["three"])[..1]);
    assert_eq!(said(&session(&api, "s").await), talk(&["three"]));
    let audited = cluster.ingress.child().lines();
    for action in ["read", "clear", "delete"] {
        let is_audit =
            |line: &&String| line.contains("\"target\":\"audit\"") && line.contains(&format!("\"{action}\""));
        assert!(audited.iter().any(|line| is_audit(&line)), "{action}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_sessions_let_their_oldest_turns_go_and_idle_ones_end() {
    let plan = Cluster::plan().short_leases().set("WORKER__CALL_TIMEOUT", "2s").set("WORKER__IDLE_TIMEOUT", "2s");
    let cluster = plan.set("SESSIONS__MAX_TURNS", "5").set("SESSIONS__IDLE_EXPIRY", "12s").start().await;
    let api = cluster.api();
    for number in 1..=6 {
        api.run(&turn("echo", "s", &format!("turn {number}"))).await;
    }
    let read = session(&api, "s").await;
    let kept: Vec<_> = said(&read).into_iter().step_by(2).map(|(_, text)| text).collect();
    assert_eq!(kept, ["turn 3", "turn 4", "turn 5", "turn 6"], "down to 80 %");
    assert_eq!(read["statistics"]["turns"], 6);
    until("an end of the idle session", JOB_LIMIT, async || {
        let answer = api.get("/v1/sessions/s").await;
        check(answer.status == 404, &answer.text)
    })
    .await;
    let job = api.run(&turn("echo", "s", "anew")).await;
    assert_eq!((&job["turn"], output_text(&job).as_str()), (&json!(1), "anew"));
    cluster.stop().await;
}
