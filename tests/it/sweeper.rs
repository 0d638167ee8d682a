//! Work that the broker will never deliver again: found, and ended one way or the other.

use std::time::Duration;

use async_nats::jetstream::consumer::{Consumer, DeliverPolicy, pull};
use async_nats::jetstream::{self, Context};
use harness::api::{Api, outcomes, prompt};
use harness::cluster::Cluster;
use harness::provider::{Act, Provider};
use harness::wait;
use schemas::subject;

const LANE: &str = "JOBS_NORMAL";

/// A job that waits, by a NAK of its message alone.
async fn parked(provider: &Provider) -> (Cluster, Api, String) {
    provider.script("fake", [Act::Refuse(429, Some(3)), Act::Answer]);
    let plan = Cluster::plan().set("STREAMS__SWEEP_INTERVAL", "500ms").set("STREAMS__SWEEP_PATIENCE", "1s");
    // A consumer that has forgotten also tells the janitor a wrong floor.
    let cluster = plan.set("STREAMS__PURGE_INTERVAL", "1h").provider(provider).start().await;
    let api = cluster.api();
    let id = api.submit(&prompt("fake", "do not forget me")).await;
    wait::until("parked job", Duration::from_secs(30), async || {
        let job = api.job(&id).await;
        wait::check(job["reason"] == "rate_limited", &job)
    })
    .await;
    (cluster, api, id)
}

async fn context(cluster: &Cluster) -> Context {
    jetstream::new(cluster.nats.client().await)
}

/// What an operator may do by mistake, and a server by a fault: the consumer no longer knows what it had delivered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_message_is_delivered_by_the_sweeper() {
    let provider = Provider::start("fake").await;
    let (cluster, api, id) = parked(&provider).await;
    let stream = context(&cluster).await.get_stream(LANE).await.unwrap();
    let consumer: Consumer<pull::Config> = stream.get_consumer(subject::WORKERS).await.unwrap();
    let config = consumer.cached_info().config.clone();
    stream.delete_consumer(subject::WORKERS).await.unwrap();
    let durable_name = Some(subject::WORKERS.to_owned());
    let ack_wait = config.ack_wait;
    let forgetful = pull::Config {
        durable_name,
        ack_wait,
        deliver_policy: DeliverPolicy::New,
        max_ack_pending: config.max_ack_pending,
        filter_subject: config.filter_subject,
        ..pull::Config::default()
    };
    stream.create_consumer(forgetful).await.unwrap();

    let job = api.ended(&id).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(outcomes(&job), ["failed", "ok"], "{job}");
    assert_eq!(provider.calls().len(), 2);
    // The lane works on as before.
    let other = api.run(&prompt("fake", "and me")).await;
    assert_eq!(other["status"], "completed", "{other}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_message_is_gone_fails() {
    let provider = Provider::start("fake").await;
    let (cluster, api, id) = parked(&provider).await;
    let stream = context(&cluster).await.get_stream(LANE).await.unwrap();
    stream.purge().await.unwrap();
    let job = api.ended(&id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&"failed".into(), &"internal".into()), "{job}");
    assert_eq!(provider.calls().len(), 1);
}
