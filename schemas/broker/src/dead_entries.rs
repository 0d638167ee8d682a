//! Reading DEAD: pages of entries at the cost of a page, one entry, its replays; and deleting one.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::message::StreamMessage;
use bytes::Bytes;
use futures::StreamExt;
use schemas::id::JobId;
use schemas::job::Lane;
use schemas::timestamp::Timestamp;
use schemas::view::JobView;
use schemas::{envelope, subject};

use crate::broker::Broker;
use crate::dead::DeadJob;
use crate::error::BrokerError;
use crate::protocol::Record;
use crate::protocol::dead::{self, Standing};
use crate::publisher::{Outgoing, Published};

const FETCH_EXPIRES: Duration = Duration::from_secs(5);
/// A reader that was not deleted is forgotten by the server after this long.
const FORGET_READER: Duration = Duration::from_secs(10);
/// Most replays of one job that are told.
const MOST_REPLAYS: usize = 100;

/// Which entries to read.
#[derive(Debug, Clone, Default)]
pub struct DeadFilter {
    /// Of this tenant; of every one when absent.
    pub tenant: Option<String>,
    /// Of this lane; of every one when absent.
    pub lane: Option<Lane>,
}

/// An entry in DEAD, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadEntry {
    /// The job.
    pub id: JobId,
    /// Its sequence in the stream.
    pub seq: u64,
    /// When it was laid aside, by the server's clock.
    pub stored_at: Timestamp,
}

/// Entries in the order of their place, oldest first.
#[derive(Debug, Clone, Default)]
pub struct DeadEntries {
    /// The entries.
    pub entries: Vec<DeadEntry>,
    /// There are more behind them.
    pub more: bool,
}

impl Broker {
    /// At most `most` entries behind the sequence `after`, oldest first. No body is read.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked.
    pub async fn dead_entries(&self, filter: &DeadFilter, after: u64, most: usize) -> Result<DeadEntries, BrokerError> {
        self.read_dead(subject::dead_filter(filter.lane, filter.tenant.as_deref()), after, most).await
    }

    /// The entry of a job of `tenant`, or of any.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked, or the entry not be read.
    pub async fn dead_job(&self, tenant: Option<&str>, id: JobId) -> Result<Option<(DeadEntry, DeadJob)>, BrokerError> {
        let Some(message) = self.last(subject::DEAD, &subject::dead_any_lane(tenant, id)).await? else {
            return Ok(None);
        };
        let entry = DeadEntry { id, seq: message.sequence, stored_at: message.time.into() };
        Ok(Some((entry, envelope::decode(&message.payload)?)))
    }

    /// What an entry holds; `None` when it is gone by now.
    ///
    /// # Errors
    /// As [`Broker::dead_job`].
    pub async fn dead_job_at(&self, entry: DeadEntry) -> Result<Option<DeadJob>, BrokerError> {
        let found = self.last(subject::DEAD, &subject::dead_any_lane(None, entry.id)).await?;
        let same = |message: &StreamMessage| message.sequence == entry.seq;
        Ok(found.filter(same).map(|message| envelope::decode(&message.payload)).transpose()?)
    }

    /// Whether an entry counts, by the record of its job.
    pub(crate) fn standing(&self, entry: DeadEntry, record: Option<&Record>) -> Standing {
        dead::standing(entry.stored_at, record, &self.0.policy)
    }

    /// Whether an entry counts whose job's record is forgotten, by what history says of the job.
    pub(crate) fn outlived(&self, entry: DeadEntry, history: Option<&JobView>) -> Standing {
        dead::outlived(entry.stored_at, history, &self.0.policy)
    }

    /// Deletes this very entry and what is kept with it; one that is gone already counts as deleted.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked: the entry may still be there, to be deleted again.
    pub async fn delete_dead(&self, entry: DeadEntry) -> Result<(), BrokerError> {
        self.drop_dead_body(entry.id).await?;
        let notes = self.stream(subject::DEAD).await?.purge().filter(subject::replays(entry.id)).await;
        notes.map_err(BrokerError::other("the notes of a dead job's replays cannot be deleted"))?;
        self.delete(subject::DEAD, entry.seq).await
    }

    /// Notes in DEAD that the job `parent` was replayed as `child`. The same note again changes nothing.
    ///
    /// # Errors
    /// [`BrokerError`] when it is not known to be stored: the child names its parent all the same.
    pub async fn note_replay(&self, parent: JobId, child: JobId) -> Result<(), BrokerError> {
        let subject = subject::replay(parent, child);
        match self.0.plain.publish(Outgoing { subject, headers: HeaderMap::new(), payload: Bytes::new() }).await {
            Published::Stored { .. } => Ok(()),
            Published::Refused { code, description } => Err(BrokerError::Refused { code, description }),
            Published::Unknown => Err(BrokerError::TimedOut),
        }
    }

    /// The replays of a dead job, oldest first, the first hundred of them.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked.
    pub async fn replays(&self, parent: JobId) -> Result<Vec<JobId>, BrokerError> {
        let notes = self.read_dead(subject::replays(parent), 0, MOST_REPLAYS).await?;
        Ok(notes.entries.into_iter().map(|note| note.id).collect())
    }

    /// Reads subjects alone, through a consumer of its own: the server skips what the filter leaves out.
    async fn read_dead(&self, filter: String, after: u64, most: usize) -> Result<DeadEntries, BrokerError> {
        let config = pull::Config {
            filter_subject: filter,
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after.saturating_add(1) },
            ack_policy: AckPolicy::None,
            headers_only: true,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: FORGET_READER,
            ..pull::Config::default()
        };
        let stream = self.stream(subject::DEAD).await?;
        let reader = stream.create_consumer(config).await.map_err(BrokerError::other("DEAD cannot be read"))?;
        let read =
            if reader.cached_info().num_pending == 0 { Ok(DeadEntries::default()) } else { fetch(&reader, most).await };
        if let Err(error) = stream.delete_consumer(&reader.cached_info().name).await {
            tracing::debug!(error = %error, "a reader of DEAD is left to the server to forget");
        }
        read
    }
}

async fn fetch(reader: &Consumer<pull::Config>, most: usize) -> Result<DeadEntries, BrokerError> {
    let fetch = reader.fetch().max_messages(most).expires(FETCH_EXPIRES).messages().await;
    let mut batch = fetch.map_err(BrokerError::other("DEAD cannot be read"))?;
    let mut read = DeadEntries::default();
    while let Some(message) = batch.next().await {
        let message = message.map_err(BrokerError::other("DEAD cannot be read"))?;
        let info = message.info().map_err(BrokerError::other("an entry of DEAD cannot be read"))?;
        read.more = info.pending > 0;
        let (seq, stored_at) = (info.stream_sequence, info.published.into());
        read.entries.extend(subject::job_id(&message.subject).map(|id| DeadEntry { id, seq, stored_at }));
    }
    Ok(read)
}
