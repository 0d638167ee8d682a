//! Every stream, bucket and consumer with its settings; set up idempotently at start. JETSTREAM's traps are behind most
//! of these lines: change one only with a measurement.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config as Stream, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, kv, object_store};
use runtime::config::{Config, StreamsConfig};
use schemas::job::Lane;
use schemas::subject;
use strum::IntoEnumIterator;

use crate::error::BrokerError;

/// A breaker that nothing changed for so long is forgotten: clients may make up names of models, one breaker each.
const BREAKERS_KEPT: Duration = Duration::from_secs(6 * 3600);

/// Creates what is missing and brings what is there up to these settings.
pub(crate) async fn set_up(js: &Context, config: &Config) -> Result<(), BrokerError> {
    let limits = &config.streams;
    for lane in Lane::iter() {
        ensure(js, jobs(lane, limits)).await?;
    }
    for stream in [state(limits), delayed(limits), deltas(limits), dead(limits), hidden(limits), alerts(limits)] {
        ensure(js, stream).await?;
    }
    if !config.ingress.retry_join.is_zero() {
        ensure(js, retries(config)).await?;
    }
    let breakers_kept = BREAKERS_KEPT.max(config.breaker.open_for.saturating_mul(2));
    ensure_bucket(js, subject::BREAKERS, breakers_kept, limits).await?;
    ensure_bucket(js, subject::INCIDENTS, Duration::ZERO, limits).await?;
    ensure_bucket(js, subject::SESSIONS, config.sessions.idle_expiry, limits).await?;
    ensure_objects(js, subject::BODIES, limits.retention, -1, limits).await?;
    ensure_objects(js, subject::DEAD_BODIES, limits.dead_max_age, limits.dead_max_bytes, limits).await?;
    ensure_consumers(js, config).await
}

async fn ensure(js: &Context, stream: Stream) -> Result<(), BrokerError> {
    js.create_or_update_stream(stream).await.map_err(BrokerError::other("a stream cannot be set up"))?;
    Ok(())
}

/// Limits, not a work queue: there each acknowledgement would cost an fsync. No age limit: an accepted job never expires
/// unrun.
fn jobs(lane: Lane, limits: &StreamsConfig) -> Stream {
    Stream {
        subjects: vec![subject::jobs_filter(lane)],
        max_bytes: limits.jobs_max_bytes,
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        allow_atomic_publish: true,
        duplicate_window: Duration::from_secs(120),
        ..file(subject::jobs_stream(lane), limits)
    }
}

/// No `max_bytes`: discarding old records would delete live jobs. The disk watermark refuses submits instead.
fn state(limits: &StreamsConfig) -> Stream {
    Stream {
        subjects: vec!["state.*".to_owned()],
        max_messages_per_subject: 1,
        max_age: limits.retention,
        allow_atomic_publish: true,
        ..file(subject::STATE, limits)
    }
}

/// Schedules exclude discard-new, and their target must lie in their own stream.
fn delayed(limits: &StreamsConfig) -> Stream {
    Stream {
        subjects: vec!["delayed.>".to_owned(), "due.>".to_owned()],
        max_messages_per_subject: 1,
        allow_message_schedules: true,
        allow_message_ttl: true,
        ..file(subject::DELAYED, limits)
    }
}

fn deltas(limits: &StreamsConfig) -> Stream {
    Stream {
        subjects: vec!["deltas.*".to_owned()],
        storage: StorageType::Memory,
        max_age: limits.deltas_max_age,
        max_bytes: limits.deltas_max_bytes,
        ..file(subject::DELTAS, limits)
    }
}

/// In memory: a client that retries does so within seconds, and its ingress notes again what a restarted server forgot
/// before it was written.
fn retries(config: &Config) -> Stream {
    Stream {
        subjects: vec!["retries.*".to_owned()],
        storage: StorageType::Memory,
        max_messages_per_subject: 1,
        max_age: config.ingress.retry_join,
        ..file(subject::RETRIES, &config.streams)
    }
}

/// Full, it forgets its oldest: refusing the newest would hold up the end of jobs.
fn hidden(limits: &StreamsConfig) -> Stream {
    Stream {
        subjects: vec!["hidden.*".to_owned()],
        max_messages_per_subject: 1,
        max_age: limits.retention,
        ..file(subject::HIDDEN, limits)
    }
}

fn dead(limits: &StreamsConfig) -> Stream {
    Stream {
        subjects: vec!["dead.>".to_owned(), "replays.>".to_owned()],
        max_messages_per_subject: 1,
        max_age: limits.dead_max_age,
        max_bytes: limits.dead_max_bytes,
        discard: DiscardPolicy::Old,
        ..file(subject::DEAD, limits)
    }
}

fn alerts(limits: &StreamsConfig) -> Stream {
    Stream { subjects: vec!["alerts.>".to_owned()], max_age: limits.alerts_max_age, ..file(subject::ALERTS, limits) }
}

fn file(name: &str, limits: &StreamsConfig) -> Stream {
    Stream {
        name: name.to_owned(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: limits.replicas,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        allow_direct: true,
        ..Stream::default()
    }
}

/// What was not changed for `max_age` goes; zero keeps all.
async fn ensure_bucket(
    js: &Context,
    bucket: &str,
    max_age: Duration,
    limits: &StreamsConfig,
) -> Result<(), BrokerError> {
    let config = kv::Config {
        bucket: bucket.to_owned(),
        history: 1,
        max_age,
        num_replicas: limits.replicas,
        ..kv::Config::default()
    };
    js.create_or_update_key_value(config).await.map_err(BrokerError::other("a bucket cannot be set up"))?;
    Ok(())
}

async fn ensure_objects(
    js: &Context,
    bucket: &str,
    max_age: Duration,
    max_bytes: i64,
    limits: &StreamsConfig,
) -> Result<(), BrokerError> {
    if js.get_object_store(bucket).await.is_ok() {
        return Ok(());
    }
    let config = object_store::Config {
        bucket: bucket.to_owned(),
        max_age,
        max_bytes,
        num_replicas: limits.replicas,
        ..object_store::Config::default()
    };
    js.create_object_store(config).await.map_err(BrokerError::other("the object store cannot be set up"))?;
    Ok(())
}

async fn ensure_consumers(js: &Context, config: &Config) -> Result<(), BrokerError> {
    for lane in Lane::iter() {
        let stream = subject::jobs_stream(lane);
        consumer(js, stream, workers(config, subject::jobs_filter(lane))).await?;
        consumer(js, stream, recorder(subject::jobs_filter(lane), true)).await?;
        consumer(js, subject::DELAYED, counter(&format!("delayed_{lane}"), format!("delayed.{lane}.>"))).await?;
        consumer(js, subject::DEAD, counter(&format!("dead_{lane}"), format!("dead.{lane}.>"))).await?;
    }
    consumer(js, subject::DELAYED, workers(config, "due.>".to_owned())).await?;
    consumer(js, subject::DELAYED, recorder("delayed.>".to_owned(), true)).await?;
    consumer(js, subject::STATE, recorder("state.*".to_owned(), false)).await?;
    consumer(js, subject::STATE, sweeper()).await?;
    let alerting = pull::Config {
        durable_name: Some(subject::ALERTING.to_owned()),
        ack_wait: Duration::from_secs(30),
        max_ack_pending: 16_384,
        ..recorder("alerts.>".to_owned(), false)
    };
    consumer(js, subject::ALERTS, alerting).await
}

/// Explicit acks, deliveries without end (poison is counted in the ledger), a redelivery after one lease.
fn workers(config: &Config, filter: String) -> pull::Config {
    pull::Config {
        durable_name: Some(subject::WORKERS.to_owned()),
        filter_subject: filter,
        ack_policy: AckPolicy::Explicit,
        ack_wait: config.worker.lease,
        max_deliver: -1,
        max_ack_pending: config.streams.max_ack_pending,
        max_waiting: 4096,
        ..pull::Config::default()
    }
}

fn recorder(filter: String, headers_only: bool) -> pull::Config {
    pull::Config {
        durable_name: Some(subject::RECORDER.to_owned()),
        filter_subject: filter,
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(30),
        max_deliver: -1,
        max_ack_pending: 4096,
        headers_only,
        ..pull::Config::default()
    }
}

/// Records that have not ended are put off again and again, and count as unacknowledged meanwhile.
fn sweeper() -> pull::Config {
    pull::Config {
        durable_name: Some(subject::SWEEPER.to_owned()),
        max_ack_pending: 65_536,
        ..recorder("state.*".to_owned(), true)
    }
}

/// Never pulled from: its `num_pending` is the number of messages under the filter, at no cost.
fn counter(name: &str, filter: String) -> pull::Config {
    pull::Config {
        durable_name: Some(name.to_owned()),
        filter_subject: filter,
        ack_policy: AckPolicy::None,
        ..pull::Config::default()
    }
}

async fn consumer(js: &Context, stream: &str, config: pull::Config) -> Result<(), BrokerError> {
    js.create_consumer_on_stream(config, stream).await.map_err(BrokerError::other("a consumer cannot be set up"))?;
    Ok(())
}
