//! What SQL is told: every change of STATE, and every job that waits. Acknowledged only once it is recorded.

use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{Consumer, pull};
use futures::StreamExt;
use schemas::id::JobId;
use schemas::job::{Job, JobHead, Lane, Payload};
use schemas::state::JobState;
use schemas::view::JobView;
use schemas::{envelope, subject};
use strum::IntoEnumIterator;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::settle::Ticket;
use crate::submit::HEAD_HEADER;

/// Every pull ends by itself: one without a limit waits for ever when its answer is lost. No heartbeats: see `intake`.
const WAIT: Duration = Duration::from_secs(5);
const AFTER_ERROR: Duration = Duration::from_millis(500);
/// Most bytes of one batch in memory.
const MOST_BYTES: usize = 16 << 20;

/// One thing to record.
pub struct Folded {
    /// The job.
    pub id: JobId,
    /// Whose it is.
    pub tenant: String,
    /// The sequence in STATE; 0 for a job that waits. A higher one is newer.
    pub seq: u64,
    /// The job as its client reads it.
    pub view: JobView,
    /// To be given back once it is recorded.
    pub receipt: Receipt,
}

/// Tells the broker that a record need not be delivered again.
pub struct Receipt(Ticket);

impl Receipt {
    /// It is recorded.
    pub async fn ack(self) {
        self.0.ack().await;
    }
}

/// All that is to be recorded. Each source is asked by a task of its own, so that no fetched record is ever dropped.
pub struct RecordFeed {
    batches: mpsc::Receiver<Vec<Folded>>,
    _sources: JoinSet<()>,
}

impl Broker {
    /// What nobody has recorded yet, and what is to come, up to `most` entries at once. Shared by every process that asks.
    ///
    /// # Errors
    /// [`BrokerError`] when the consumers cannot be reached.
    pub async fn recorder(&self, most: usize) -> Result<RecordFeed, BrokerError> {
        let (sender, batches) = mpsc::channel(1);
        let mut sources = JoinSet::new();
        let lanes = Lane::iter().map(subject::jobs_stream);
        for stream in lanes.chain([subject::DELAYED, subject::STATE]) {
            let consumer = self.0.js.get_consumer_from_stream(subject::RECORDER, stream).await;
            let consumer = consumer.map_err(BrokerError::other("the recorder's consumer cannot be reached"))?;
            sources.spawn(follow(consumer, most, sender.clone()));
        }
        Ok(RecordFeed { batches, _sources: sources })
    }
}

impl RecordFeed {
    /// The next entries, all of one source; waits for them.
    pub async fn next_batch(&mut self) -> Vec<Folded> {
        match self.batches.recv().await {
            Some(batch) => batch,
            None => std::future::pending().await,
        }
    }
}

async fn follow(source: Consumer<pull::Config>, most: usize, batches: mpsc::Sender<Vec<Folded>>) {
    loop {
        match next(&source, most).await {
            Ok(batch) if batch.is_empty() => {}
            Ok(batch) => {
                if batches.send(batch).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(error = %error, "records cannot be fetched");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

/// As many as there are, or the next one there will be.
async fn next(source: &Consumer<pull::Config>, most: usize) -> Result<Vec<Folded>, BrokerError> {
    let failed = || BrokerError::other::<async_nats::Error>("records cannot be fetched");
    let fetch = source.fetch().max_messages(most).max_bytes(MOST_BYTES).expires(WAIT).messages().await;
    let there = fold(fetch.map_err(|error| failed()(error.into()))?).await?;
    if !there.is_empty() {
        return Ok(there);
    }
    let poll = source.batch().max_messages(1).expires(WAIT).messages().await;
    fold(poll.map_err(|error| failed()(error.into()))?).await
}

async fn fold(mut batch: pull::Batch) -> Result<Vec<Folded>, BrokerError> {
    let mut folded = Vec::new();
    while let Some(message) = batch.next().await {
        let message = message.map_err(BrokerError::other("records cannot be fetched"))?;
        folded.extend(read(message).await);
    }
    Ok(folded)
}

async fn read(message: Message) -> Option<Folded> {
    let seq = message.info().map_or(0, |info| info.stream_sequence);
    let (message, acker) = message.split();
    let ticket = Ticket::new(acker);
    let id = subject::job_id(&message.subject);
    let recorded = if message.subject.starts_with("state.") {
        envelope::decode::<JobState>(&message.payload)
            .ok()
            .zip(id)
            .map(|(state, id)| (id, state.head.tenant.clone(), seq, JobView::of_state(id, &state)))
    } else {
        let header = message.headers.as_ref().and_then(|headers| headers.get(HEAD_HEADER));
        let head = header.and_then(|header| serde_json::from_str::<JobHead>(header.as_str()).ok());
        head.zip(id).map(|(head, id)| {
            let delayed = message.subject.starts_with("delayed.");
            (id, head.tenant.clone(), 0, waiting_view(id, head, delayed))
        })
    };
    match recorded {
        Some((id, tenant, seq, view)) => Some(Folded { id, tenant, seq, view, receipt: Receipt(ticket) }),
        None => {
            tracing::error!(nats.subject = %message.subject, "a record cannot be read: left out of history");
            ticket.ack().await;
            None
        }
    }
}

fn waiting_view(id: JobId, head: JobHead, delayed: bool) -> JobView {
    let request = Payload::Inline(Box::default());
    JobView::queued(
        &Job {
            id,
            head,
            context: schemas::job::ContextOptions::default(),
            request,
            warnings: Vec::new(),
            surface: None,
        },
        delayed,
    )
}
