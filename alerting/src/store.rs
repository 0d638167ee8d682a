//! What is kept in the bucket INCIDENTS: incidents by fingerprint, silences, the record of calls, the moves of chats; each
//! written by compare-and-set. Whoever leads reads them once and then knows every revision. A refused write means that
//! somebody else leads.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::jetstream::kv::{Entry, EntryError, HistoryError, Store, UpdateError, UpdateErrorKind, WatcherError};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::envelope::{self, EnvelopeError};

use crate::chats::Chats;
use crate::incidents::{Book, Incident, SILENCE_PREFIX, Silence};
use crate::outbox::Outbox;

/// Where the moves of chats are kept.
pub(crate) const CHATS: &str = "chats";
/// Where calls and their pace are on record.
pub(crate) const OUTBOX: &str = "outbox";
/// Digits of a fingerprint, the key of an incident.
const FINGERPRINT: usize = 16;
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
    /// Keys whose values are empty: to be removed.
    emptied: BTreeSet<String>,
}

/// The revision of a value, and the bytes of writes since whose outcome is unknown.
#[derive(Debug, Clone, Default)]
struct Known {
    revision: u64,
    attempted: Vec<Bytes>,
    /// Its removal was tried.
    swept: bool,
}

impl Known {
    const fn at(revision: u64) -> Self {
        Self { revision, attempted: Vec::new(), swept: false }
    }

    fn attempted(&mut self, value: Bytes) {
        if !self.attempted.contains(&value) {
            self.attempted.push(value);
        }
    }
}

/// What is kept, besides the moves of chats.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) incidents: BTreeMap<String, Incident>,
    pub(crate) silences: BTreeMap<String, Silence>,
    pub(crate) outbox: Outbox,
}

/// What is to be kept.
#[derive(Clone, Copy)]
pub(crate) struct Keeping<'a> {
    pub(crate) book: &'a Book,
    pub(crate) chats: &'a Chats,
    pub(crate) outbox: &'a Outbox,
}

impl Keeping<'_> {
    /// The value under `key`; empty when it is not to be kept any more.
    fn encode(&self, key: &str) -> Result<Bytes, EnvelopeError> {
        if let Some(id) = key.strip_prefix(SILENCE_PREFIX) {
            return self.book.silences.get(id).map(envelope::encode).transpose().map(Option::unwrap_or_default);
        }
        match key {
            CHATS => self.chats.encode_moves().map(Bytes::from),
            OUTBOX => envelope::encode(self.outbox),
            _ => self.book.incidents.get(key).map(envelope::encode).transpose().map(Option::unwrap_or_default),
        }
    }
}

impl Incidents {
    /// Reads everything that is kept, the moves of chats too. A value that cannot be decoded is left alone and logged.
    pub(crate) async fn load(bucket: Store, chats: &mut Chats) -> Result<(Self, Contents), StoreError> {
        let keys: Vec<String> = bucket.keys().await?.try_collect().await?;
        let read = keys.into_iter().filter(|key| is_ours(key)).map(|key| bucket.entry(key));
        let entries: Vec<Option<Entry>> = stream::iter(read).buffer_unordered(PARALLEL).try_collect().await?;
        let (mut known, mut emptied) = (BTreeMap::new(), BTreeSet::new());
        let mut contents = Contents::default();
        for entry in entries.into_iter().flatten() {
            known.insert(entry.key.clone(), Known::at(entry.revision));
            if entry.value.is_empty() {
                emptied.insert(entry.key);
                continue;
            }
            if let Err(error) = contents.take_in(&entry, chats) {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, kv.key = entry.key, "kept value unreadable");
            }
        }
        Ok((Self { bucket, known, emptied }, contents))
    }

    /// Writes the values of `keys` as they are now; what is not to be kept any more is emptied. Returns the keys that could
    /// not be written, with one of the errors; to be tried again.
    pub(crate) async fn save(
        &mut self,
        keys: &BTreeSet<String>,
        keeping: Keeping<'_>,
    ) -> Result<(), (BTreeSet<String>, StoreError)> {
        let values: Result<Vec<_>, _> = keys.iter().map(|key| Ok((key, keeping.encode(key)?))).collect();
        let values = values.map_err(|error| (keys.clone(), StoreError::Envelope(error)))?;
        let (bucket, mut writes) = (&self.bucket, Vec::with_capacity(values.len()));
        for (key, value) in values {
            let known = self.known.remove(key).unwrap_or_default();
            if value.is_empty() {
                self.emptied.insert(key.clone())
            } else {
                self.emptied.remove(key)
            };
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

    /// Removes some of the keys whose values are empty. A failure only leaves one for the next time.
    pub(crate) async fn sweep(&mut self) {
        let some: Vec<String> = self.emptied.iter().take(PARALLEL).cloned().collect();
        let purges = some.into_iter().filter_map(|key| Some((self.known.get(&key)?.revision, key)));
        let purges: Vec<_> = purges.map(|(revision, key)| purge(&self.bucket, revision, key)).collect();
        for (key, removed) in futures::future::join_all(purges).await {
            if removed {
                self.known.remove(&key);
                self.emptied.remove(&key);
            } else if let Some(known) = self.known.get_mut(&key) {
                known.swept = true;
            }
        }
    }
}

impl Contents {
    fn take_in(&mut self, entry: &Entry, chats: &mut Chats) -> Result<(), EnvelopeError> {
        if let Some(id) = entry.key.strip_prefix(SILENCE_PREFIX) {
            self.silences.insert(id.to_owned(), envelope::decode(&entry.value)?);
            return Ok(());
        }
        match entry.key.as_str() {
            CHATS => chats.decode_moves(&entry.value)?,
            OUTBOX => self.outbox = envelope::decode(&entry.value)?,
            key => {
                self.incidents.insert(key.to_owned(), envelope::decode(&entry.value)?);
            }
        }
        Ok(())
    }
}

/// Others keep things in the bucket too.
fn is_ours(key: &str) -> bool {
    let fingerprint = key.len() == FINGERPRINT && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    fingerprint || [CHATS, OUTBOX].contains(&key) || key.starts_with(SILENCE_PREFIX)
}

/// Removes a key that was emptied at `revision`; whatever was written since stays. Tells whether it is gone.
async fn purge(bucket: &Store, revision: u64, key: String) -> (String, bool) {
    let subject = format!("{}{key}", bucket.prefix);
    let outcome = bucket.stream.purge().filter(subject).sequence(revision + 1).await;
    let removed = outcome.inspect_err(|error| tracing::debug!(%error, "an emptied key was not removed")).is_ok();
    (key, removed)
}

/// One write over the revision that we know. An empty value stands for none: it is removed later, since a deletion would
/// not tell the revision to write over. When the outcome of an earlier write or removal is unknown and ours is refused,
/// what is kept tells.
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
                Ok(None) if known.swept => known = Known::at(0),
                Ok(_) => break Err(StoreError::Deposed),
                Err(error) => break Err(StoreError::Read(error)),
            },
        }
    };
    (known, outcome)
}
