//! The history of jobs on real servers: both databases pass one suite, come late and go, and are told what the broker says.

pub(crate) mod fixture;
mod suite;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use broker::{Broker, Repeat};
use harness::nats::Nats;
use harness::postgres::Postgres;
use harness::wait;
use ingress::record::{Filter, RecorderMetrics, Store, StoreError, recorder};
use runtime::metrics::Metrics;
use schemas::id::JobId;
use schemas::view::Status;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use fixture::{NOON, entry, job, open, submitted};
use suite::{outlives_its_process, record_suite};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_history() {
    let folder = tempfile::tempdir().unwrap();
    let store = open("", folder.path());
    record_suite(&store).await;
    store.close().await;
    outlives_its_process(&open("", folder.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_history() {
    let server = Postgres::start().await;
    let store = open(&server.url(), Path::new("unused"));
    record_suite(&store).await;
    store.close().await;
    outlives_its_process(&open(&server.url(), Path::new("unused"))).await;
}

#[tokio::test]
async fn postgres_may_come_late_and_go() {
    let mut server = Postgres::start().await;
    server.stop().await;
    let store = open(&server.url(), Path::new("unused"));
    let entry = entry("late", 1, job(1, NOON));
    assert!(matches!(store.upsert(std::slice::from_ref(&entry)).await, Err(StoreError::Unavailable(_))));

    server.resurrect().await;
    assert_eq!(store.upsert(std::slice::from_ref(&entry)).await.unwrap(), 1);

    server.stop().await;
    let lost = store.ping().await.unwrap_err();
    assert!(lost.is_transient(), "{lost:?}");

    server.resurrect().await;
    store.ping().await.unwrap();
    assert_eq!(store.get("late", entry.view.id).await.unwrap(), Some(entry.view));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_make_the_tables_together() {
    let server = Postgres::start().await;
    let stores: Vec<Store> = (0..4).map(|_| open(&server.url(), Path::new("unused"))).collect();
    for outcome in futures::future::join_all(stores.iter().map(Store::ping)).await {
        outcome.unwrap();
    }
}

/// Two replicas record what one broker says, through one durable consumer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorders_fold_what_the_broker_says() {
    let (nats, folder) = (Nats::start().await, tempfile::tempdir().unwrap());
    let environment = BTreeMap::from([("PORTBROKER_NATS__URL".to_owned(), nats.url())]);
    let config = runtime::config::load(None, &environment).unwrap();
    let broker = Broker::connect(&config, "test", &Metrics::new().unwrap().registry).await.unwrap();
    let store = open("", folder.path());

    let shutdown = CancellationToken::new();
    let mut recorders = JoinSet::new();
    for _ in 0..2 {
        let (broker, store, shutdown) = (broker.clone(), store.clone(), shutdown.clone());
        let metrics = RecorderMetrics::register(&Metrics::new().unwrap().registry).unwrap();
        let database = config.database.clone();
        recorders.spawn(async move { recorder::run(broker, store, &database, metrics, shutdown).await });
    }

    let now = broker.now();
    let ids: Vec<JobId> = (0..20).map(|number| JobId::new(now, number)).collect();
    for id in &ids {
        broker.submit(&submitted(*id, now), Repeat::Fresh, Duration::from_secs(10)).await.unwrap();
    }
    listed(&store, &[Status::Queued], &ids).await;

    let (kept, cancelled) = ids.split_at(10);
    for id in cancelled {
        broker.cancel(*id).await.unwrap();
    }
    listed(&store, &[Status::Cancelled], cancelled).await;
    listed(&store, &[Status::Queued], kept).await;
    let days = store.usage("acme", "2000-01-01", "9999-12-31").await.unwrap();
    assert_eq!(days.iter().map(|day| day.jobs).sum::<i64>(), 10);

    shutdown.cancel();
    while let Some(ended) = recorders.join_next().await {
        ended.unwrap();
    }
}

/// Waits until exactly these jobs are listed, newest first.
async fn listed(store: &Store, status: &[Status], ids: &[JobId]) {
    let filter = Filter { status: status.to_vec(), ..Filter::default() };
    let newest_first: Vec<JobId> = ids.iter().rev().copied().collect();
    wait::until("history", Duration::from_secs(60), async || {
        let page = store.list("acme", &filter, None, 100).await.map_err(|error| error.to_string())?;
        let found: Vec<JobId> = page.jobs.iter().map(|job| job.id).collect();
        wait::check(found == newest_first, format!("{found:?}"))
    })
    .await;
}
