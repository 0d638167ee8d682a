//! The broker's side of the story, read past all proxies: every version of every record as it passes by, and what STATE,
//! DEAD and SQL hold in the end.

pub(crate) mod sessions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::{self, Context, Message};
use futures::StreamExt;
use schemas::id::JobId;
use schemas::state::JobState;
use schemas::timestamp::Timestamp;
use schemas::{envelope, subject};
use sqlx::{Connection, PgConnection, Row};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::history::{Record, Version};

const PAUSE: Duration = Duration::from_millis(200);
/// How long a scan may hear nothing before it begins anew.
const SILENCE: Duration = Duration::from_secs(10);

type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// A connection that survives every outage.
///
/// # Panics
/// When there is no broker to begin with.
pub(crate) async fn connect(broker: &str) -> Context {
    let urls: Vec<_> = broker.split(',').collect();
    let client = async_nats::ConnectOptions::new().name("chaos").connect(urls).await;
    jetstream::new(client.expect("the broker answers before it is hurt"))
}

/// Follows STATE until `stop`: everything that was seen.
pub(crate) async fn follow(context: Context, stop: CancellationToken) -> BTreeMap<JobId, Vec<Version>> {
    let read = |message: &Message| {
        let (id, seq, written, state) = decode(message)?;
        Ok((id, Version::new(seq, written, state)))
    };
    let mut versions: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, version) in seen(&context, subject::STATE, &stop, read).await {
        versions.entry(id).or_default().push(version);
    }
    versions
}

/// Everything that is written to a stream until `stop`. What was written over while the broker was away is not seen by
/// anybody.
async fn seen<T>(
    context: &Context,
    stream: &str,
    stop: &CancellationToken,
    read: impl Fn(&Message) -> Result<T, Trouble>,
) -> Vec<T> {
    let (mut seen, mut next) = (Vec::new(), 1);
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            // An end of the subscription is an outage: begin again where it broke off.
            _ = seen_from(context, stream, &mut next, &mut seen, &read) => sleep(PAUSE).await,
        }
    }
    seen
}

async fn seen_from<T>(
    context: &Context,
    stream: &str,
    next: &mut u64,
    seen: &mut Vec<T>,
    read: impl Fn(&Message) -> Result<T, Trouble>,
) -> Result<(), Trouble> {
    let stream = context.get_stream(stream).await?;
    let deliver_policy = DeliverPolicy::ByStartSequence { start_sequence: *next };
    let consumer = stream.create_consumer(OrderedConfig { deliver_policy, ..OrderedConfig::default() }).await?;
    let mut messages = consumer.messages().await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        seen.push(read(&message)?);
        *next = message.info()?.stream_sequence + 1;
    }
    Ok(())
}

fn decode(message: &Message) -> Result<(JobId, u64, Timestamp, JobState), Trouble> {
    let id = subject::job_id(&message.subject).ok_or("no job in a subject of STATE")?;
    let info = message.info()?;
    Ok((id, info.stream_sequence, info.published.into(), envelope::decode(&message.payload)?))
}

/// What STATE holds.
pub(crate) async fn records(context: &Context) -> BTreeMap<JobId, Record> {
    let read = |message: &Message| {
        let (id, seq, written, state) = decode(message)?;
        Ok((id, Record::new(seq, written, state)))
    };
    scan(context, subject::STATE, read).await.into_iter().collect()
}

/// What DEAD holds.
pub(crate) async fn dead(context: &Context) -> BTreeSet<JobId> {
    let read =
        |message: &Message| subject::job_id(&message.subject).ok_or_else(|| "no job in a subject of DEAD".into());
    scan(context, subject::DEAD, read).await.into_iter().collect()
}

/// Everything in a stream, tried until it is whole: all faults are over by now.
async fn scan<T>(context: &Context, stream: &str, read: impl Fn(&Message) -> Result<T, Trouble>) -> Vec<T> {
    loop {
        match scan_once(context, stream, &read).await {
            Ok(found) => return found,
            Err(error) => eprintln!("{stream} cannot be read, once more: {error}"),
        }
        sleep(PAUSE).await;
    }
}

async fn scan_once<T>(
    context: &Context,
    stream: &str,
    read: impl Fn(&Message) -> Result<T, Trouble>,
) -> Result<Vec<T>, Trouble> {
    let mut stream = context.get_stream(stream).await?;
    if stream.info().await?.state.messages == 0 {
        return Ok(Vec::new());
    }
    let consumer = stream.create_consumer(OrderedConfig::default()).await?;
    let (mut messages, mut found) = (consumer.messages().await?, Vec::new());
    while let Some(message) = timeout(SILENCE, messages.next()).await? {
        let message = message?;
        found.push(read(&message)?);
        if message.info()?.pending == 0 {
            return Ok(found);
        }
    }
    Err("the stream's messages ended early".into())
}

/// The status of every job in SQL, once it knows `jobs` ended ones or `patience` is over.
pub(crate) async fn rows(url: &str, jobs: usize, patience: Duration) -> BTreeMap<JobId, String> {
    let deadline = Instant::now() + patience;
    loop {
        let rows = rows_now(url).await;
        let over = Instant::now() > deadline;
        match rows {
            Ok(rows) if over || ended(&rows) >= jobs => return rows,
            Err(error) if over => panic!("SQL cannot be read: {error}"),
            _ => sleep(PAUSE * 5).await,
        }
    }
}

fn ended(rows: &BTreeMap<JobId, String>) -> usize {
    rows.values().filter(|status| !matches!(status.as_str(), "queued" | "running")).count()
}

async fn rows_now(url: &str) -> Result<BTreeMap<JobId, String>, Trouble> {
    let mut connection = PgConnection::connect(url).await?;
    let rows = sqlx::query("SELECT id, status FROM jobs").fetch_all(&mut connection).await?;
    rows.iter().map(|row| Ok((row.try_get::<String, _>(0)?.parse()?, row.try_get(1)?))).collect()
}
