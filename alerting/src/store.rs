//! Incidents in the bucket INCIDENTS, one value for each fingerprint, written by compare-and-set: whoever leads reads them
//! once and then knows every revision. A refused write means that somebody else leads.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::jetstream::kv::{Entry, EntryError, HistoryError, Store, UpdateError, UpdateErrorKind, WatcherError};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::envelope::{self, EnvelopeError};

use crate::chats::Chats;
use crate::incident::Incident;
use crate::rules::ledger;
use crate::{leader, webhook};

/// Where the moves of chats are kept.
const CHATS: &str = "chats";
/// Keys that others keep in the bucket.
const OTHERS: [&str; 3] = [leader::KEY, ledger::KEY, webhook::KEY];
/// Reads or writes under way at once.
const PARALLEL: usize = 32;

/// Why the bucket could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Another replica wrote: it leads.
    #[error("another replica writes incidents")]
    Deposed,
    /// The keys could not be listed.
    #[error("the incidents cannot be listed")]
    List(#[from] HistoryError),
    /// The listing broke off.
    #[error("the listing of incidents broke off")]
    Listing(#[from] WatcherError),
    /// A value could not be read.
    #[error("an incident cannot be read")]
    Read(#[from] EntryError),
    /// A value could not be written; whether it was is unknown.
    #[error("an incident cannot be written")]
    Write(#[source] UpdateError),
    /// A value is not what we write.
    #[error("a kept value cannot be decoded or encoded")]
    Envelope(#[from] EnvelopeError),
}

/// The bucket, and what we know of it.
#[derive(Debug)]
pub(crate) struct Incidents {
    bucket: Store,
    known: BTreeMap<String, Known>,
}

/// The revision of a value, and the bytes of writes since whose outcome is unknown.
#[derive(Debug, Clone, Default)]
struct Known {
    revision: u64,
    attempted: Vec<Bytes>,
}

impl Known {
    const fn at(revision: u64) -> Self {
        Self { revision, attempted: Vec::new() }
    }

    fn attempted(&mut self, value: Bytes) {
        if !self.attempted.contains(&value) {
            self.attempted.push(value);
        }
    }
}

impl Incidents {
    /// Reads everything that is kept, the moves of chats too. A value that cannot be decoded is left alone and logged.
    pub(crate) async fn load(
        bucket: Store,
        chats: &mut Chats,
    ) -> Result<(Self, BTreeMap<String, Incident>), StoreError> {
        let keys: Vec<String> = bucket.keys().await?.try_collect().await?;
        let read = keys.into_iter().filter(|key| !OTHERS.contains(&key.as_str())).map(|key| bucket.entry(key));
        let entries: Vec<Option<Entry>> = stream::iter(read).buffer_unordered(PARALLEL).try_collect().await?;
        let mut known = BTreeMap::new();
        let mut incidents = BTreeMap::new();
        for entry in entries.into_iter().flatten() {
            if entry.value.is_empty() {
                sweep(&bucket, &entry).await;
                continue;
            }
            known.insert(entry.key.clone(), Known::at(entry.revision));
            let decoded = match entry.key.as_str() {
                CHATS => chats.decode_moves(&entry.value),
                _ => envelope::decode(&entry.value).map(|incident| {
                    incidents.insert(entry.key.clone(), incident);
                }),
            };
            if let Err(error) = decoded {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    kv.key = entry.key,
                    "kept incident unreadable"
                );
            }
        }
        Ok((Self { bucket, known }, incidents))
    }

    /// Writes the incidents of `keys` as they are in `book`; those not in it are removed. Returns the keys that could not
    /// be written, with one of the errors; to be tried again.
    pub(crate) async fn save(
        &mut self,
        keys: &BTreeSet<String>,
        book: &BTreeMap<String, Incident>,
    ) -> Result<(), (BTreeSet<String>, StoreError)> {
        let bucket = &self.bucket;
        let mut writes = Vec::with_capacity(keys.len());
        for key in keys {
            let value = book.get(key).map(envelope::encode).transpose();
            let value = value.map_err(|error| (keys.clone(), StoreError::Envelope(error)))?.unwrap_or_default();
            let known = self.known.remove(key).unwrap_or_default();
            writes.push(async move { (key.clone(), write(bucket, key, value, known).await) });
        }
        let written: Vec<_> = stream::iter(writes).buffer_unordered(PARALLEL).collect().await;
        let mut failed = BTreeSet::new();
        let mut cause = None;
        for (key, (known, outcome)) in written {
            if let Err(error) = outcome {
                failed.insert(key.clone());
                cause = if matches!(cause, Some(StoreError::Deposed)) { cause } else { Some(error) };
            }
            self.known.insert(key, known);
        }
        cause.map_or(Ok(()), |cause| Err((failed, cause)))
    }

    /// Keeps where chats moved to.
    pub(crate) async fn save_moves(&mut self, chats: &Chats) -> Result<(), StoreError> {
        let value = chats.encode_moves()?.into();
        let known = self.known.remove(CHATS).unwrap_or_default();
        let (known, outcome) = write(&self.bucket, CHATS, value, known).await;
        self.known.insert(CHATS.to_owned(), known);
        outcome
    }
}

/// Removes what an earlier leader emptied; whatever was written since stays. A failure only leaves it for the next time.
async fn sweep(bucket: &Store, entry: &Entry) {
    let subject = format!("{}{}", bucket.prefix, entry.key);
    if let Err(error) = bucket.stream.purge().filter(subject).sequence(entry.revision + 1).await {
        tracing::debug!(error = %error, "an emptied incident was not removed");
    }
}

/// One write over the revision that we know. An empty value stands for none: it is removed when incidents are next
/// loaded, since a deletion would not tell the revision to write over. When an earlier write's outcome is unknown and ours is refused, the kept value tells.
async fn write(bucket: &Store, key: &str, value: Bytes, mut known: Known) -> (Known, Result<(), StoreError>) {
    let outcome = loop {
        match bucket.update(key, value.clone(), known.revision).await {
            Ok(revision) => {
                known = Known::at(revision);
                break Ok(());
            }
            Err(error) if error.kind() != UpdateErrorKind::WrongLastRevision => {
                known.attempted(value);
                break Err(StoreError::Write(error));
            }
            Err(_) => match bucket.entry(key).await {
                Ok(Some(entry)) if known.attempted.contains(&entry.value) => {
                    known = Known::at(entry.revision);
                }
                Ok(_) => break Err(StoreError::Deposed),
                Err(error) => break Err(StoreError::Read(error)),
            },
        }
    };
    (known, outcome)
}
