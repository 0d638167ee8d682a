//! A retry joins the call that broke, and nothing else does: on any ingress, one provider call for one answer.

use std::process::Command;
use std::time::Duration;

use harness::api::{Answer, Api, outcomes, prompt};
use harness::child::Child;
use harness::cluster::{Cluster, KEY_ONE, KEY_TWO, Plan};
use harness::paths;
use harness::process::{Process, Role};
use harness::provider::{Act, Call, Ending, Provider};
use harness::proxy::Proxy;
use harness::wait::{check, until};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(60);
const CHAT: &str = "/v1/chat/completions";
const NOTED: &str = r#"portbroker_broken_calls_total{outcome="noted"}"#;
const JOINED: &str = r#"portbroker_broken_calls_total{outcome="joined"}"#;

/// A provider that answers once it is released, and a cluster before it.
async fn held(plan: impl FnOnce(Plan) -> Plan) -> (Provider, Cluster) {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    let cluster = plan(Cluster::plan().provider(&provider)).start().await;
    (provider, cluster)
}

/// One more ingress, with a history of its own: two processes do not share a SQLite file.
async fn second_ingress(cluster: &Cluster) -> Process {
    let mut environment = cluster.environment().clone();
    let url = format!("sqlite:{}", cluster.folder().join("second.sqlite").display());
    environment.insert("PORTBROKER_DATABASE__URL".to_owned(), url);
    Process::start(Role::Ingress, &environment).await
}

fn address(ingress: &Process) -> &str {
    ingress.base().trim_start_matches("http://")
}

async fn proxy(ingress: &Process) -> Proxy {
    Proxy::start(address(ingress)).await
}

/// The official package, calling through `proxy`.
fn sdk(proxy: &Proxy, text: &str, stream: bool) -> Child {
    let mut command = Command::new(paths::python());
    command.arg(paths::repository().join("tests/clients/openai_retries.py"));
    command.env("PORTBROKER_BASE_URL", format!("http://{}/v1", proxy.address()));
    command.env("PORTBROKER_KEY", KEY_ONE).env("PORTBROKER_PROMPT", text);
    command.env("PORTBROKER_STREAM", if stream { "1" } else { "" });
    Child::start("openai_retries.py", &mut command)
}

async fn answer_of(script: &Child) -> Value {
    let status = script.end(LIMIT).await;
    let lines = script.lines();
    assert!(status.success(), "{status}:\n{}", lines.join("\n"));
    serde_json::from_str(lines.last().unwrap()).unwrap()
}

/// A call as the SDK's `count`-th repeat.
fn request(api: &Api, text: &str, count: u32) -> RequestBuilder {
    api.request(Method::POST, CHAT).header("x-stainless-retry-count", count).json(&prompt("fake", text))
}

/// A call that breaks as soon as the provider has `open` calls of it and the others.
async fn broken(api: &Api, provider: &Provider, text: &str, open: usize) {
    tokio::select! {
        answer = api.send(request(api, text, 0)) => panic!("nobody answered the provider's call: {}", answer.text),
        () = provider.open(open) => {}
    }
}

/// Calls whose clients stay.
#[derive(Default)]
struct Staying(JoinSet<Answer>);

impl Staying {
    fn call(&mut self, api: &Api, text: &str, count: u32) {
        let (api, request) = (api.clone(), request(api, text, count));
        self.0.spawn(async move { api.send(request).await });
    }

    /// Their jobs' ids, once all are answered.
    async fn answered(self) -> Vec<String> {
        let answers = self.0.join_all().await.into_iter().map(|answer| answer.expect(200));
        let mut ids: Vec<_> = answers.map(|answer| answer.body["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }
}

fn of_prompt(provider: &Provider, text: &str) -> Vec<Call> {
    provider.calls().into_iter().filter(|call| call.prompt() == text).collect()
}

/// The one call that was made for `text` was answered.
#[track_caller]
fn one_call(provider: &Provider, text: &str) {
    let calls = of_prompt(provider, text);
    assert_eq!(calls.iter().map(|call| call.ending).collect::<Vec<_>>(), [Ending::Answered], "{calls:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sdks_retry_joins_its_broken_call_at_another_ingress() {
    let (provider, cluster) = held(|plan| plan.set("INGRESS__LEAVE_GRACE", "2s")).await;
    let other = second_ingress(&cluster).await;
    let proxy = proxy(&cluster.ingress).await;
    let script = sdk(&proxy, "charge me once", false);
    provider.open(1).await;
    proxy.lead_to(address(&other));
    proxy.break_connections();
    other.counts(JOINED, 1).await;

    // A call that nobody comes back to, broken later than ours: once it is dropped, our grace is over too.
    broken(&cluster.api(), &provider, "nobody waits for me", 2).await;
    provider.open(1).await;
    assert_eq!(of_prompt(&provider, "nobody waits for me")[0].ending, Ending::Dropped);

    provider.release();
    let answer = answer_of(&script).await;
    assert_eq!(answer["text"], "fake: charge me once");
    one_call(&provider, "charge me once");
    let job = cluster.api().job(answer["id"].as_str().unwrap()).await;
    assert_eq!((&job["status"], outcomes(&job)), (&"completed".into(), vec!["ok"]), "{job}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_retry_has_the_answer_from_its_first_piece() {
    let (provider, cluster) = held(|plan| plan).await;
    let proxy = proxy(&cluster.ingress).await;
    let script = sdk(&proxy, "one two three four", true);
    provider.open(1).await;
    proxy.break_connections();
    cluster.ingress.counts(JOINED, 1).await;
    provider.release();
    assert_eq!(answer_of(&script).await["text"], "fake: one two three four");
    one_call(&provider, "one two three four");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_is_joined_once_and_by_nothing_but_its_retry() {
    let (provider, cluster) = held(|plan| plan.set("INGRESS__LEAVE_GRACE", "120s")).await;
    let (api, text) = (cluster.api(), "the same words");
    let mut staying = Staying::default();
    broken(&api, &provider, text, 1).await;
    cluster.ingress.counts(NOTED, 1).await;

    staying.call(&api, text, 0);
    provider.open(2).await;
    staying.call(&cluster.api_of(KEY_TWO), text, 1);
    provider.open(3).await;
    staying.call(&api, "other words", 1);
    provider.open(4).await;
    cluster.ingress.counts(JOINED, 0).await;

    staying.call(&api, text, 1);
    cluster.ingress.counts(JOINED, 1).await;
    staying.call(&api, text, 1);
    provider.open(5).await;

    provider.release();
    let mut ids = staying.answered().await;
    ids.dedup();
    assert_eq!(ids.len(), 5, "five clients, five answers: {ids:?}");
    assert_eq!(provider.calls().len(), 5);
    api.send(request(&api, text, 1)).await.expect(200);
    assert_eq!(provider.calls().len(), 6, "a call that was answered is not joined");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_equal_calls_that_broke_are_two_jobs_for_two_retries() {
    let (provider, cluster) = held(|plan| plan.set("INGRESS__LEAVE_GRACE", "120s")).await;
    let other = second_ingress(&cluster).await;
    let (api, there) = (cluster.api(), Api::new(other.base(), KEY_ONE));
    let text = "equal but not the same";
    broken(&api, &provider, text, 1).await;
    broken(&there, &provider, text, 2).await;
    cluster.ingress.counts(NOTED, 1).await;
    other.counts(NOTED, 1).await;
    let mut staying = Staying::default();
    for _ in 0..2 {
        staying.call(&api, text, 1);
    }
    cluster.ingress.counts(JOINED, 2).await;
    provider.release();
    let ids = staying.answered().await;
    assert_ne!(ids[0], ids[1]);
    assert_eq!(provider.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switched_off_a_retry_is_a_call_of_its_own() {
    let (provider, cluster) = held(|plan| plan.set("INGRESS__RETRY_JOIN", "0s")).await;
    let proxy = proxy(&cluster.ingress).await;
    let script = sdk(&proxy, "again then", false);
    provider.open(1).await;
    proxy.break_connections();
    until("second call", LIMIT, async || {
        let calls = provider.calls().len();
        check(calls == 2, calls)
    })
    .await;
    provider.release();
    assert_eq!(answer_of(&script).await["text"], "fake: again then");
    assert_eq!(provider.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_a_stopped_ingress_go_on_at_another() {
    let (provider, cluster) = held(|plan| plan.set("SHUTDOWN__GRACE", "2s")).await;
    let other = second_ingress(&cluster).await;
    let proxy = proxy(&cluster.ingress).await;
    let script = sdk(&proxy, "do not lose me", false);
    provider.open(1).await;
    proxy.lead_to(address(&other));
    cluster.ingress.stop(LIMIT).await;
    other.counts(JOINED, 1).await;
    provider.release();
    assert_eq!(answer_of(&script).await["text"], "fake: do not lose me");
    one_call(&provider, "do not lose me");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_lives_while_any_ingress_has_a_client_for_it() {
    let (provider, cluster) = held(|plan| plan.set("INGRESS__LEAVE_GRACE", "2s")).await;
    let other = second_ingress(&cluster).await;
    let (here, there) = (cluster.api(), Api::new(other.base(), KEY_ONE));
    let keyed = |api: &Api| request(api, "shared", 0).header("idempotency-key", "one-for-both");
    let mut staying = JoinSet::new();
    tokio::select! {
        answer = here.send(keyed(&here)) => panic!("nobody answered the provider's call: {}", answer.text),
        () = async {
            provider.open(1).await;
            let (api, request) = (there.clone(), keyed(&there));
            staying.spawn(async move { api.send(request).await });
            other.counts(r#"portbroker_clients_waiting{kind="chat"}"#, 1).await;
        } => {}
    }
    broken(&here, &provider, "nobody waits for me", 2).await;
    provider.open(1).await;
    provider.release();
    let answer = staying.join_next().await.unwrap().unwrap().expect(200);
    assert_eq!(answer.body["choices"][0]["message"]["content"], "fake: shared");
    one_call(&provider, "shared");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_that_nobody_confirmed_is_one_job() {
    let plan = |plan: Plan| plan.set("INGRESS__SUBMIT_TIMEOUT", "500ms").set("INGRESS__LEAVE_GRACE", "120s");
    let (provider, cluster) = held(plan).await;
    let (api, text) = (cluster.api(), "was that accepted");
    // What is sent to a frozen server lies in its buffers: it takes the job in when it goes on.
    cluster.nats.pause();
    let refused = api.send(request(&api, text, 0)).await.expect(503);
    assert_eq!(refused.header("x-should-retry"), "true", "{}", refused.text);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    cluster.nats.resume();
    provider.open(1).await;
    let mut staying = Staying::default();
    staying.call(&api, text, 1);
    cluster.ingress.counts(JOINED, 1).await;
    provider.release();
    staying.answered().await;
    one_call(&provider, text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_that_cannot_be_joined_is_not_to_be_repeated() {
    let plan = |plan: Plan| plan.set("INGRESS__SUBMIT_TIMEOUT", "500ms").set("INGRESS__RETRY_JOIN", "0s");
    let (_provider, cluster) = held(plan).await;
    let api = cluster.api();
    cluster.nats.pause();
    let refused = api.send(request(&api, "once at most", 0)).await.expect(503);
    assert_eq!(refused.header("x-should-retry"), "false", "{}", refused.text);
    let keyed = request(&api, "once by its key", 0).header("idempotency-key", "k");
    let refused = api.send(keyed).await.expect(503);
    assert_eq!(refused.header("x-should-retry"), "true", "{}", refused.text);
    cluster.nats.resume();
}
