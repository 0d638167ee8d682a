//! What days cost, kept in the bucket INCIDENTS under a key of its own and written by revision: a replica that was
//! deposed overwrites nothing.

use std::time::Duration;

use async_nats::jetstream::kv::{EntryError, Store, UpdateError};
use schemas::envelope::{self, EnvelopeError};
use tokio::time::Instant;

use super::cost::Costs;

/// Its key.
const KEY: &str = "costs";
/// How often it is written at most: what is not written yet is still in the sums that workers tell.
const EVERY: Duration = Duration::from_secs(60);

/// Why it could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    /// It cannot be read.
    #[error("the costs of days cannot be read")]
    Read(#[from] EntryError),
    /// It cannot be written, or another replica wrote it.
    #[error("the costs of days cannot be written")]
    Write(#[from] UpdateError),
    /// It cannot be encoded.
    #[error("the costs of days cannot be encoded")]
    Envelope(#[from] EnvelopeError),
}

/// Where it is kept, and what of it we know.
#[derive(Debug)]
pub(crate) struct Ledger {
    bucket: Store,
    revision: u64,
    changed: bool,
    saved: Instant,
}

impl Ledger {
    /// What is kept. What cannot be decoded is begun anew.
    pub(crate) async fn load(bucket: Store) -> Result<(Self, Costs), LedgerError> {
        let entry = bucket.entry(KEY).await?;
        let revision = entry.as_ref().map_or(0, |entry| entry.revision);
        let costs = match entry.filter(|entry| !entry.value.is_empty()) {
            Some(entry) => envelope::decode(&entry.value).unwrap_or_else(|error: EnvelopeError| {
                tracing::error!(error = &error as &dyn std::error::Error, "the costs of days cannot be decoded");
                Costs::default()
            }),
            None => Costs::default(),
        };
        Ok((Self { bucket, revision, changed: false, saved: Instant::now() }, costs))
    }

    /// Something was spent.
    pub(crate) const fn spent(&mut self) {
        self.changed = true;
    }

    /// Writes `costs` when they changed and it is time.
    pub(crate) async fn save(&mut self, costs: &Costs) -> Result<(), LedgerError> {
        if !self.changed || self.saved.elapsed() < EVERY {
            return Ok(());
        }
        self.revision = self.bucket.update(KEY, envelope::encode(costs)?, self.revision).await?;
        (self.changed, self.saved) = (false, Instant::now());
        Ok(())
    }
}
