//! Alerts on their way to Telegram: a storm becomes few messages whose counts add up, and nothing is lost or hurried.

mod crashes;
mod deposed;
mod storm;

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream;
use futures::future::try_join_all;
use harness::api::prompt;
use harness::cluster::{Cluster, KEY_ADMIN, Plan};
use harness::provider::{Act, Provider};
use harness::telegram::{Chat, GROUP, Telegram, Trouble};
use harness::wait::{check, until};
use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use schemas::timestamp::Timestamp;
use schemas::{envelope, subject};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(240);
const EVENTS: u64 = 2000;
const FINGERPRINTS: u64 = 40;

fn event(number: u64) -> AlertEvent {
    AlertEvent {
        kind: AlertKind::DeadLetter,
        severity: Severity::Warning,
        state: AlertState::Firing,
        labels: BTreeMap::from([("model".to_owned(), format!("model<{}>&", number % FINGERPRINTS))]),
        summary: "a job failed for good & was laid aside".to_owned(),
        value: None,
        threshold: None,
        at: Timestamp::from_millis(1_770_000_000_000),
        source: "test".to_owned(),
    }
}

/// As every role does: enveloped, on the stream's subject, acknowledged.
async fn publish(cluster: &Cluster, events: impl IntoIterator<Item = AlertEvent>) {
    let stream = jetstream::new(cluster.nats.client().await);
    let acks = events.into_iter().map(async |event| {
        let subject = subject::alert(event.severity, event.kind);
        stream.publish(subject, envelope::encode(&event).unwrap()).await?.await
    });
    try_join_all(acks).await.unwrap();
}

/// How many events the messages speak of: `Count: 50` of one alert, `40 alerts, 2000 events` of a digest.
fn told(telegram: &Telegram) -> u64 {
    let number_after = |text: &str, word: &str| {
        let rest = &text[text.find(word)? + word.len()..];
        rest.split(|symbol: char| !symbol.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    let texts = telegram.texts();
    texts.iter().filter_map(|text| number_after(text, " alerts, ").or_else(|| number_after(text, "Count: "))).sum()
}

fn nothing_was_hurried(telegram: &Telegram) {
    let early: Vec<_> = telegram.calls().into_iter().filter(|call| call.early).collect();
    assert!(early.is_empty(), "called before retry_after had passed: {early:#?}");
}

/// The whole of a test, which takes its time, is asked for by `PORTBROKER_TEST_LONG=1`.
fn is_long() -> bool {
    std::env::var_os("PORTBROKER_TEST_LONG").is_some_and(|value| value == "1")
}

fn plan(telegram: &Telegram) -> Plan {
    Cluster::plan().workers(0).telegram(telegram).set("TELEGRAM__GROUP_WAIT", "500ms")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_becomes_few_messages_that_add_up() {
    let telegram = Telegram::start().await;
    // No worker runs: let the rules wait, so that the storm is all there is to tell.
    let mut cluster = plan(&telegram).set("ALERTS__HOLD", "1h").start().await;
    publish(&cluster, (0..EVENTS / 2).map(event)).await;
    cluster.alerting.take().unwrap().kill9();
    publish(&cluster, (EVENTS / 2..EVENTS).map(event)).await;
    cluster.start_alerting().await;
    until("counts that add up", LIMIT, async || check(told(&telegram) == EVENTS, format!("{:#?}", telegram.texts())))
        .await;
    let messages = telegram.messages();
    assert!(messages.len() as u64 <= FINGERPRINTS, "{} messages", messages.len());
    nothing_was_hurried(&telegram);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_troubled_telegram_loses_nothing() {
    let telegram = Telegram::start().await;
    let supergroup = GROUP - 1;
    telegram.set_chat(supergroup, Chat::Group);
    telegram.set_chat(GROUP, Chat::MovedTo(supergroup));
    telegram.trouble([Trouble::Fail(502), Trouble::Reset]);
    let plan = plan(&telegram).set("ALERTS__HOLD", "1h").set("TELEGRAM__TIMEOUT", "2s");
    let mut cluster = plan.start().await;
    telegram.trouble([Trouble::Hang]);
    publish(&cluster, [event(1), event(1), event(2)]).await;
    until("three events told", LIMIT, async || check(told(&telegram) == 3, format!("{:#?}", telegram.texts()))).await;
    assert!(telegram.messages().iter().all(|message| message.chat == supergroup));
    // A restart remembers what it told and where the group went.
    cluster.alerting.take().unwrap().stop(LIMIT).await;
    cluster.start_alerting().await;
    publish(&cluster, [event(1)]).await;
    until("four events told", LIMIT, async || check(told(&telegram) == 4, format!("{:#?}", telegram.texts()))).await;
    nothing_was_hurried(&telegram);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_hear_of_what_goes_wrong() {
    let telegram = Telegram::start().await;
    let provider = Provider::start("fake").await;
    provider.script("fake-500", [Act::Refuse(500, None)]);
    provider.script("fake-401", [Act::TellCredential]);
    let plan = plan(&telegram).workers(1).provider(&provider).set("RETRY__INITIAL", "20ms");
    let plan = plan.set("ALERTS__HOLD", "1s").set("ALERTS__INTERVAL", "500ms").set("BREAKER__FAILURES", "3");
    let mut cluster = plan.set("ALERTS__RULES__QUEUE_BACKLOG__THRESHOLD", "20").start().await;
    let api = cluster.api();
    cluster.api_of(KEY_ADMIN).post("/v1/alerts/test", &json!({})).await.expect(202);
    telegram.says(&["test"], LIMIT).await;
    // The other way round the breaker would be taken for a symptom.
    api.submit(&prompt("fake-500", "x")).await;
    telegram.says(&["breaker_open", "fake-500"], LIMIT).await;
    assert_eq!(api.run(&prompt("fake-401", "x")).await["status"], "failed");
    telegram.says(&["provider_auth", "fake"], LIMIT).await;

    cluster.workers.remove(0).kill9();
    for _ in 0..30 {
        api.submit(&prompt("echo", "waiting")).await;
    }
    telegram.says(&["no_worker"], LIMIT).await;
    telegram.says(&["queue_backlog"], LIMIT).await;
    cluster.add_worker().await;
    telegram.says(&["resolved", "no_worker"], LIMIT).await;
    telegram.says(&["resolved", "queue_backlog"], LIMIT).await;
    nothing_was_hurried(&telegram);
    assert!(telegram.texts().iter().all(|text| !text.contains(provider.credential())));
}
