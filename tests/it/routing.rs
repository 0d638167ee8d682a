//! Several providers of one model: who is asked, who next, and what a race leaves behind.

use std::time::Duration;

use harness::api::{Api, outcomes, prompt};
use harness::cluster::Cluster;
use harness::provider::{Act, Ending, Provider};
use serde_json::{Value, json};

/// Two providers of the model `shared`, these fields added at each.
async fn pair(one: &str, two: &str) -> [Provider; 2] {
    let model = |fields: &str| format!("name = \"shared\"\n{fields}");
    [Provider::start("one").await.serving(&model(one)), Provider::start("two").await.serving(&model(two))]
}

async fn cluster(providers: &[Provider; 2], settings: &[(&str, &str)]) -> Cluster {
    let plan = providers.iter().fold(Cluster::plan().short_leases(), |plan, provider| plan.provider(provider));
    settings.iter().fold(plan, |plan, (name, value)| plan.set(name, value)).start().await
}

async fn completed(api: &Api, text: &str) -> Value {
    let job = api.run(&prompt("shared", text)).await;
    assert_eq!(job["status"], "completed", "{job}");
    job
}

fn asked(job: &Value) -> Vec<&str> {
    let attempts = job["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
    attempts.iter().filter_map(|attempt| attempt["provider"].as_str()).collect()
}

async fn ending(provider: &Provider, expected: Ending) {
    harness::wait::until("the end of the call", Duration::from_secs(30), async || {
        let calls = provider.calls_of("shared");
        harness::wait::check(calls.len() == 1 && calls[0].ending == expected, format!("{calls:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_split_the_jobs() {
    let [one, two] = pair("strategy = \"weighted\"", "weight = 1").await;
    let three = Provider::start("three").await.serving("name = \"shared\"\nweight = 0");
    let plan = Cluster::plan().provider(&one).provider(&two).provider(&three);
    let cluster = plan.start().await;
    let api = cluster.api();
    let mut ids = Vec::new();
    for number in 0..60 {
        ids.push(api.submit(&prompt("shared", &format!("job {number}"))).await);
    }
    for id in &ids {
        let job = api.ended(id).await;
        assert_eq!((&job["status"], outcomes(&job)), (&json!("completed"), vec!["ok"]), "{job}");
    }
    let counts = [&one, &two, &three].map(|provider| provider.calls_of("shared").len());
    assert_eq!((counts[0] + counts[1], counts[2]), (60, 0), "{counts:?}");
    // Of a fair coin: once in two hundred million runs.
    assert!(counts[0] >= 9 && counts[1] >= 9, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cheapest_is_asked_and_the_next_one_when_it_fails() {
    let prices = |price: &str| format!("input_price = {price}\noutput_price = {price}");
    let providers = pair(&format!("strategy = \"cheapest\"\n{}", prices("5.0")), &prices("0.5")).await;
    let [dear, cheap] = &providers;
    cheap.script("shared", [Act::Answer, Act::Refuse(500, None), Act::Answer]);
    let cluster = cluster(&providers, &[]).await;
    let api = cluster.api();
    assert_eq!(asked(&completed(&api, "first").await), ["two"]);
    let job = completed(&api, "second").await;
    assert_eq!((asked(&job), outcomes(&job)), (vec!["two", "one"], vec!["failed", "ok"]), "{job}");
    assert_eq!(asked(&completed(&api, "third").await), ["two"]);
    assert_eq!((dear.calls().len(), cheap.calls().len()), (1, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fastest_is_asked_once_both_are_measured() {
    let providers = pair("strategy = \"least_latency\"", "").await;
    providers[0].script("shared", [Act::Slow(Duration::from_secs(3))]);
    let cluster = cluster(&providers, &[]).await;
    let api = cluster.api();
    for (text, provider) in [("first", "one"), ("second", "two"), ("third", "two"), ("fourth", "two")] {
        assert_eq!(asked(&completed(&api, text).await), [provider], "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_is_won_by_who_speaks_first_and_the_other_is_hung_up_on() {
    for streamed in [false, true] {
        let providers = pair("strategy = \"race\"\nhedge_after = \"300ms\"", "").await;
        let [slow, fast] = &providers;
        slow.script("shared", [Act::Hold]);
        let cluster = cluster(&providers, &[]).await;
        let api = cluster.api();
        let mut body = prompt("shared", "who is first");
        body["stream"] = json!(streamed);
        let job = api.run(&body).await;
        assert_eq!((&job["status"], asked(&job)), (&json!("completed"), vec!["one", "two"]), "{job}");
        assert_eq!(outcomes(&job), ["cancelled", "ok"], "{job}");
        assert_eq!((&job["attempts"][0]["hedge"], &job["attempts"][1]["hedge"]), (&Value::Null, &json!(true)), "{job}");
        ending(slow, Ending::Dropped).await;
        ending(fast, Ending::Answered).await;
        let lost = r#"portbroker_wasted_calls_total{model="shared",provider="one",reason="hedge_lost"}"#;
        cluster.workers[0].counts(lost, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_begun_to_speak_has_no_rival() {
    let providers = pair("strategy = \"race\"\nhedge_after = \"2s\"", "").await;
    let [one, two] = &providers;
    one.script("shared", [Act::Trickle(Duration::from_millis(700)), Act::Refuse(500, None)]);
    let cluster = cluster(&providers, &[]).await;
    let api = cluster.api();
    let mut body = prompt("shared", "three words more");
    body["stream"] = json!(true);
    let job = api.run(&body).await;
    assert_eq!((&job["status"], outcomes(&job)), (&json!("completed"), vec!["ok"]), "{job}");
    assert_eq!((one.calls().len(), two.calls().len()), (1, 0));
    // One that fails is followed, not hedged.
    let job = completed(&api, "next").await;
    assert_eq!((asked(&job), outcomes(&job)), (vec!["one", "two"], vec!["failed", "ok"]), "{job}");
    assert_eq!(job["attempts"][1]["hedge"], Value::Null, "{job}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_lost_in_a_race_leaves_two_ambiguous_calls() {
    let providers = pair("strategy = \"race\"\nhedge_after = \"300ms\"", "").await;
    for provider in &providers {
        provider.script("shared", [Act::Hold, Act::Answer]);
    }
    let mut cluster = cluster(&providers, &[("WORKER__MAX_UNRESOLVED", "2")]).await;
    let api = cluster.api();
    let id = api.submit(&prompt("shared", "whose fate is this")).await;
    for provider in &providers {
        provider.open(1).await;
    }
    cluster.workers.remove(0).kill9();
    cluster.add_worker().await;
    let job = api.ended(&id).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(outcomes(&job), ["ambiguous", "ambiguous", "ok"], "{job}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_outlives_the_lease_that_its_hedge_could_not_be_written_in() {
    let providers = pair("strategy = \"race\"\nhedge_after = \"1500ms\"", "").await;
    let [one, two] = &providers;
    one.script("shared", [Act::Slow(Duration::from_millis(2500))]);
    let settings = [("WORKER__LEASE", "12s"), ("WORKER__RENEW_EVERY", "4s")];
    let cluster = cluster(&providers, &settings).await;
    let api = cluster.api();
    let id = api.submit(&prompt("shared", "keep what was paid for")).await;
    one.open(1).await;
    cluster.nats.pause();
    ending(one, Ending::Answered).await;
    cluster.workers[0].counts("portbroker_leases_lost_total", 1).await;
    cluster.nats.resume();
    let job = api.ended(&id).await;
    assert_eq!((&job["status"], outcomes(&job)[0]), (&json!("completed"), "ok"), "{job}");
    assert_eq!((one.calls().len(), two.calls().len()), (1, 0), "{job}");
}
