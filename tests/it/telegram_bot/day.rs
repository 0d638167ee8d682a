//! The daily digest: told once, and where nobody can know whether it was, counted.

use std::collections::BTreeMap;

use async_nats::jetstream;
use harness::cluster::Cluster;
use harness::process::{Process, Role};
use harness::telegram::Trouble;
use harness::wait::{check, until};
use runtime::clock;
use runtime::config::hours::{TimeOfDay, UtcOffset};
use schemas::alert::{AlertKind, Severity};
use schemas::{envelope, subject};
use serde::Serialize;

use super::{LIMIT, chatty, event, message, plan, publish};

/// An alert as it is kept, as far as this test is concerned.
#[derive(Serialize)]
struct Kept {
    kind: AlertKind,
    days: BTreeMap<i64, BTreeMap<&'static str, u64>>,
}

/// The record of calls, as far as this test is concerned.
#[derive(Serialize)]
struct Record {
    told_day: Option<i64>,
}

/// Yesterday had 42 events, and nobody was told.
async fn a_day_is_over(cluster: &Cluster) {
    let today = TimeOfDay::MIDNIGHT.day_of(clock::now(), UtcOffset::default());
    let bucket = jetstream::new(cluster.nats.client().await).get_key_value(subject::INCIDENTS).await.unwrap();
    for (key, events) in [("00000000000000aa", 40), ("00000000000000bb", 2)] {
        let days = BTreeMap::from([(today - 1, BTreeMap::from([("events", events), ("warning", 1), ("resolved", 1)]))]);
        let kept = envelope::encode(&Kept { kind: AlertKind::Latency, days }).unwrap();
        bucket.put(key, kept).await.unwrap();
    }
    bucket.put("outbox", envelope::encode(&Record { told_day: Some(today - 2) }).unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_day_is_summed_up_once() {
    let telegram = chatty().await;
    let mut cluster = plan(&telegram).set("TELEGRAM__DAILY_DIGEST", "00:00").start().await;
    cluster.alerting.take().unwrap().stop(LIMIT).await;
    a_day_is_over(&cluster).await;

    let replica = Process::start(Role::Alerting, cluster.environment()).await;
    cluster.start_alerting().await;
    let digest = message(&telegram, &["Daily digest", "Events: 42"], |_| true).await;
    assert!(digest.text().contains("Opened: 2 (0 critical, 2 warning, 0 info)\nResolved: 2\n"), "{}", digest.text());
    assert!(digest.text().contains(": 40 events") && digest.text().contains(": 2 events"), "{}", digest.text());
    for process in [cluster.alerting.take().unwrap(), replica] {
        process.stop(LIMIT).await;
    }
    cluster.start_alerting().await;
    publish(&cluster, &event(AlertKind::Disk, Severity::Warning, "later")).await;
    message(&telegram, &["WARNING: disk"], |_| true).await;
    assert_eq!(telegram.texts().iter().filter(|text| text.contains("Daily digest")).count(), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_have_been_told_twice_is_counted() {
    let telegram = chatty().await;
    let plan = plan(&telegram).set("TELEGRAM__DAILY_DIGEST", "00:00").set("TELEGRAM__ALLOWED_USERS", "[]");
    let mut cluster = plan.start().await;
    cluster.alerting.take().unwrap().stop(LIMIT).await;
    a_day_is_over(&cluster).await;
    telegram.trouble([Trouble::LostAnswer]);
    cluster.start_alerting().await;
    let digests = || telegram.texts().iter().filter(|text| text.contains("Daily digest")).count();
    until("the digest again", LIMIT, async || check(digests() == 2, format!("{:#?}", telegram.texts()))).await;
    cluster.alerting.as_ref().unwrap().counts("portbroker_alerts_possible_duplicates", 1).await;
    cluster.stop().await;
}
