//! How far the webhook has been told, kept in the bucket INCIDENTS and written by revision before every batch and after
//! every post: after a crash the same batch is read again, so that one post at most is repeated, under the id that it had
//! and with the same count.

use async_nats::jetstream::kv::{EntryError, Store, UpdateError};
use broker::{Broker, BrokerError};
use schemas::envelope::{self, EnvelopeError};
use serde::{Deserialize, Serialize};

/// Its key.
const KEY: &str = "webhook";

/// Why it could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CursorError {
    /// The stream cannot be asked.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// It cannot be read.
    #[error("the webhook's place cannot be read")]
    Read(#[from] EntryError),
    /// It cannot be written, or another replica wrote it.
    #[error("the webhook's place cannot be written")]
    Write(#[from] UpdateError),
    /// It is not what we write.
    #[error("the webhook's place cannot be decoded")]
    Envelope(#[from] EnvelopeError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Everything up to this sequence of ALERTS is told.
    seq: u64,
    /// Of the batch under way, which begins behind that, the last event; no more than `seq` when there is none.
    #[serde(default)]
    last: u64,
    /// So many runs of that batch are told, or held back.
    #[serde(default)]
    runs: usize,
}

impl Place {
    const fn at(seq: u64) -> Self {
        Self { seq, last: seq, runs: 0 }
    }
}

/// How far the webhook has been told.
#[derive(Debug)]
pub(crate) struct Cursor {
    bucket: Store,
    revision: u64,
    place: Place,
}

impl Cursor {
    /// Where it was left; at the end of the stream when it was never there, which is written down at once: whatever comes
    /// from now on is told.
    pub(crate) async fn load(broker: &Broker, bucket: Store) -> Result<Self, CursorError> {
        let entry = bucket.entry(KEY).await?;
        let end = broker.last_alert().await?;
        let revision = entry.as_ref().map_or(0, |entry| entry.revision);
        let Some(entry) = entry.filter(|entry| !entry.value.is_empty()) else {
            let mut cursor = Self { bucket, revision, place: Place::at(0) };
            cursor.write(Place::at(end)).await?;
            return Ok(cursor);
        };
        let place: Place = envelope::decode(&entry.value)?;
        // Beyond the end: the stream was made anew.
        let place = if place.seq.max(place.last) > end { Place::at(0) } else { place };
        Ok(Self { bucket, revision, place })
    }

    /// Everything up to this is told.
    pub(crate) const fn seq(&self) -> u64 {
        self.place.seq
    }

    /// The last event of a batch that a crash interrupted, and how many of its runs are told.
    pub(crate) fn interrupted(&self) -> Option<(u64, usize)> {
        (self.place.last > self.place.seq).then_some((self.place.last, self.place.runs))
    }

    /// A batch begins that ends with `last`.
    pub(crate) async fn begin(&mut self, last: u64) -> Result<(), CursorError> {
        self.write(Place { last, runs: 0, ..self.place }).await
    }

    /// So many runs of the batch are told.
    pub(crate) async fn told(&mut self, runs: usize) -> Result<(), CursorError> {
        self.write(Place { runs, ..self.place }).await
    }

    /// The batch is told.
    pub(crate) async fn end(&mut self, last: u64) -> Result<(), CursorError> {
        self.write(Place::at(last)).await
    }

    async fn write(&mut self, place: Place) -> Result<(), CursorError> {
        self.revision = self.bucket.update(KEY, envelope::encode(&place)?, self.revision).await?;
        self.place = place;
        Ok(())
    }
}
