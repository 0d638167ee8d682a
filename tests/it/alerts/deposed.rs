//! A leader that does not know yet that another took over: what it takes in meanwhile is the other's to take in as well.

use std::time::Duration;

use async_nats::jetstream::{self, consumer::pull};
use harness::telegram::Telegram;
use schemas::{envelope, subject};
use serde::Serialize;

use super::{event, plan, publish};

/// A lease that nobody renews while the test runs.
const LEASE: Duration = Duration::from_secs(600);

/// Somebody who leads.
#[derive(Serialize)]
struct Holder {
    term: &'static str,
    lease_ms: u128,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_deposed_acknowledges_nothing() {
    let telegram = Telegram::start().await;
    // Renewed every 20 s: until then it takes itself for the leader.
    let cluster = plan(&telegram).set("ALERTS__HOLD", "1h").set("ALERTS__LEASE", "60s").start().await;
    let alerting = cluster.alerting.as_ref().unwrap();
    alerting.counts("portbroker_alerts_leader", 1).await;
    let context = jetstream::new(cluster.nats.client().await);
    let bucket = context.get_key_value(subject::INCIDENTS).await.unwrap();
    let holder = Holder { term: "another", lease_ms: LEASE.as_millis() };
    bucket.put("leader", envelope::encode(&holder).unwrap()).await.unwrap();
    publish(&cluster, [event(1)]).await;
    alerting.counts("portbroker_alerts_leader", 0).await;
    let stream = context.get_stream(subject::ALERTS).await.unwrap();
    let mut consumer = stream.get_consumer::<pull::Config>(subject::ALERTING).await.unwrap();
    let info = consumer.info().await.unwrap();
    assert_eq!(info.num_pending + info.num_ack_pending as u64, 1, "{info:?}");
    assert_eq!(telegram.messages().len(), 0, "whoever leads tells it");
}
