//! Official SDKs, unmodified, against our address.

use std::process::Command;
use std::time::Duration;

use harness::child::Child;
use harness::cluster::{Cluster, KEY_ONE};
use harness::paths;
use harness::provider::{Act, Call, Ending, Provider, Speech};
use serde_json::{Value, json};

const LIMITED_KEY: &str = "a-key-with-a-small-limit";
const LIMIT: Duration = Duration::from_secs(180);

/// A provider whose models misbehave as their names say, behind PortBroker.
async fn started(speech: Speech) -> (Provider, Cluster) {
    let provider = Provider::speaking(speech, "fake").await;
    for (model, acts) in [
        ("fake-limited", vec![Act::Refuse(429, Some(1)), Act::Answer]),
        ("fake-json", vec![Act::Say(r#"{"city": "Paris", "degrees": 21}"#.to_owned())]),
        ("fake-length", vec![Act::Length]),
        ("fake-dies", vec![Act::Die(2)]),
        ("fake-refused", vec![Act::Refuse(400, None)]),
        ("fake-trickle", vec![Act::Trickle(Duration::from_millis(100))]),
        ("fake-held", vec![Act::Hold]),
    ] {
        provider.script(model, acts);
    }
    let keys =
        format!(r#"[{{key="{KEY_ONE}",tenant="one"}},{{key="{LIMITED_KEY}",tenant="two",requests_per_minute=1}}]"#);
    // An open breaker would make later checks wait.
    let plan = Cluster::plan().provider(&provider).set("INGRESS__KEYS", &keys).set("BREAKER__FAILURES", "1000");
    let cluster = plan.set("RETRY__INITIAL", "50ms").set("RETRY__MAX_ATTEMPTS", "2").start().await;
    (provider, cluster)
}

/// Every check of a script passes, and there are at least so many.
async fn passes(script: &str, base: &str, checks: usize) {
    let mut command = Command::new(paths::python());
    command.arg(paths::repository().join("tests/clients").join(script)).env("PORTBROKER_BASE_URL", base);
    command.env("PORTBROKER_KEY", KEY_ONE).env("PORTBROKER_LIMITED_KEY", LIMITED_KEY);
    let child = Child::start(script, &mut command);
    let status = child.end(LIMIT).await;
    let lines = child.lines();
    assert!(status.success(), "{status}:\n{}", lines.join("\n"));
    assert!(lines.iter().filter(|line| line.starts_with("ok ")).count() >= checks, "{lines:#?}");
}

/// Who said what to the provider.
fn said(call: &Call) -> Vec<(&str, String)> {
    let text = |content: &Value| match content {
        Value::String(text) => text.clone(),
        parts => parts.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect(),
    };
    let messages = call.body["messages"].as_array().unwrap().iter();
    messages.map(|message| (message["role"].as_str().unwrap(), text(&message["content"]))).collect()
}

/// The picture reached the provider.
fn pictured(provider: &Provider) {
    let calls = provider.calls_of("fake-image");
    let parts = calls[0].body["messages"][0]["content"].as_array().unwrap();
    let urls = parts.iter().filter_map(|part| part["image_url"]["url"].as_str()).collect::<Vec<_>>();
    assert!(matches!(urls[..], [url] if url.starts_with("data:image/png;base64,iVBOR")), "{urls:?}");
}

/// The schema reached the provider.
fn formatted(provider: &Provider) {
    for call in provider.calls_of("fake-json") {
        let format = &call.body["response_format"];
        assert_eq!(format["json_schema"]["schema"]["required"], json!(["city", "degrees"]), "{format}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_openai_package_works() {
    let (_provider, cluster) = started(Speech::Chat).await;
    passes("openai_sdk.py", &format!("{}/v1", cluster.ingress.base()), 14).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_openai_package_has_responses() {
    let (provider, cluster) = started(Speech::Chat).await;
    passes("openai_responses.py", &format!("{}/v1", cluster.ingress.base()), 27).await;
    let calls = provider.calls_of("fake-chain");
    let talk = ["first", "fake: first", "second", "fake: second", "third"];
    let talk: Vec<_> = ["user", "assistant"].into_iter().cycle().zip(talk.map(str::to_owned)).collect();
    let system = |text: &str| vec![("system", text.to_owned())];
    assert_eq!(said(&calls[0]), [system("be brief"), talk[..1].to_vec()].concat());
    assert_eq!(said(&calls[1]), [system("be long"), talk[..3].to_vec()].concat());
    assert_eq!(said(&calls[2]), talk);
    let calls = provider.calls_of("fake-talk");
    let seed = vec![("user", "zero".to_owned()), ("assistant", "fake: zero".to_owned())];
    assert_eq!(said(&calls[0]), [system("be brief"), seed.clone(), talk[..1].to_vec()].concat());
    assert_eq!(said(&calls[1]), [seed.clone(), talk[..3].to_vec()].concat());
    assert_eq!(said(&calls[2]), [seed, talk].concat());
    let calls = provider.calls_of("fake-tools");
    assert_eq!(calls[0].body["messages"], calls[1].body["messages"], "told by the client, or by its earlier response");
    pictured(&provider);
    formatted(&provider);
    provider.open(0).await;
    assert!(provider.calls_of("fake-held").iter().all(|call| call.ending == Ending::Dropped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_anthropic_package_works() {
    let (provider, cluster) = started(Speech::Chat).await;
    passes("anthropic_sdk.py", cluster.ingress.base(), 20).await;
    for call in provider.calls_of("fake-system") {
        assert_eq!(said(&call)[0], ("system", "be brief".to_owned()));
    }
    let calls = provider.calls_of("fake-system");
    assert_eq!((&calls[1].body["stop"], &calls[1].body["temperature"]), (&json!(["END"]), &json!(0.5)));
    pictured(&provider);
    formatted(&provider);
}

/// Every package against every provider's API; those of chat completions have tests of their own.
async fn all_pass_over(speech: Speech) {
    let (_provider, cluster) = started(speech).await;
    let base = cluster.ingress.base();
    passes("openai_sdk.py", &format!("{base}/v1"), 14).await;
    passes("openai_responses.py", &format!("{base}/v1"), 27).await;
    passes("anthropic_sdk.py", base, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_official_package_works_over_a_provider_of_messages() {
    all_pass_over(Speech::Messages).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_official_package_works_over_a_provider_of_responses() {
    all_pass_over(Speech::Responses).await;
}
