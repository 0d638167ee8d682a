//! How far the webhook has been told, kept in the bucket INCIDENTS and written by revision after every post: a crash
//! repeats one post at most, under the id that it had.

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
}

/// How far the webhook has been told.
#[derive(Debug)]
pub(crate) struct Cursor {
    bucket: Store,
    revision: u64,
    seq: u64,
}

impl Cursor {
    /// Where it was left; at the end of the stream when it was never there, which is written down at once: whatever comes
    /// from now on is told.
    pub(crate) async fn load(broker: &Broker, bucket: Store) -> Result<Self, CursorError> {
        let entry = bucket.entry(KEY).await?;
        let end = broker.last_alert().await?;
        let revision = entry.as_ref().map_or(0, |entry| entry.revision);
        let Some(entry) = entry.filter(|entry| !entry.value.is_empty()) else {
            let mut cursor = Self { bucket, revision, seq: 0 };
            cursor.advance(end).await?;
            return Ok(cursor);
        };
        let Place { seq } = envelope::decode(&entry.value)?;
        // Beyond the end: the stream was made anew.
        let seq = if seq > end { 0 } else { seq };
        Ok(Self { bucket, revision, seq })
    }

    /// Everything up to this is told.
    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }

    /// Everything up to `seq` is told.
    pub(crate) async fn advance(&mut self, seq: u64) -> Result<(), CursorError> {
        self.revision = self.bucket.update(KEY, envelope::encode(&Place { seq })?, self.revision).await?;
        self.seq = seq;
        Ok(())
    }
}
