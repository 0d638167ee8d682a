//! What is not to be kept any more is removed while a leader lives, and may come again.

use async_nats::jetstream;
use async_nats::jetstream::kv::Store;
use harness::wait::{check, until};
use schemas::alert::{AlertKind, Severity};
use schemas::subject;

use super::{LIMIT, chatty, command, event, message, plan, publish};

async fn is_gone(bucket: &Store, key: &str) {
    until(&format!("no {key}"), LIMIT, async || {
        let entry = bucket.entry(key).await.map_err(|error| error.to_string())?;
        check(entry.is_none(), format!("{entry:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forgotten_is_removed_and_may_come_again() {
    let telegram = chatty().await;
    let mut cluster = plan(&telegram).start().await;
    let bucket = jetstream::new(cluster.nats.client().await).get_key_value(subject::INCIDENTS).await.unwrap();
    cluster.alerting.take().unwrap().stop(LIMIT).await;
    let disk = event(AlertKind::Disk, Severity::Warning, "a");
    bucket.put(disk.fingerprint(), "".into()).await.unwrap();
    cluster.start_alerting().await;
    is_gone(&bucket, &disk.fingerprint()).await;
    publish(&cluster, &disk).await;
    message(&telegram, &["WARNING: disk"], |_| true).await;

    let silenced = command(&telegram, "/silence 1h kind=memory").await;
    let id = silenced.text().split_once("/unsilence ").unwrap().1.split(' ').next().unwrap().to_owned();
    assert_eq!(command(&telegram, &format!("/unsilence {id}")).await.text(), "The silence is over.");
    is_gone(&bucket, &format!("silence.{id}")).await;
    assert_eq!(command(&telegram, "/silences").await.text(), "Nothing is silenced.");
    cluster.stop().await;
}
