//! The two values of a session: read from the stream's leader, replaced by the sequence that was read.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use bytes::Bytes;
use schemas::session::{History, SessionKey, TurnQueue};
use schemas::timestamp::Timestamp;
use schemas::{envelope, subject};

use super::{SessionError, Sessions, TRIES};
use crate::error::BrokerError;
use crate::rpc::{self, PubAck};

/// Most writes of one change that nobody answers.
const MOST_SILENCES: u32 = 2;
/// The longest pause after a change was refused.
const LONGEST_PAUSE: u64 = 64;

/// A value and where it stands.
pub(super) struct Stored<T> {
    /// Its sequence; 0 while there is none.
    pub(super) seq: u64,
    /// The value.
    pub(super) value: T,
    /// When the server stored it.
    pub(super) written_at: Timestamp,
}

/// What a change makes of a value.
pub(super) enum Change<T, R> {
    /// Replaces it; once it is stored the change has come to this.
    To(Box<T>, R),
    /// Leaves it.
    Nothing(R),
}

impl Sessions {
    /// The line of a session's turns.
    pub(super) async fn queue(&self, key: &SessionKey) -> Result<Stored<TurnQueue>, SessionError> {
        let Stored { seq, value, written_at } = self.raw(&key.queue()).await?;
        let value = value.map_or(Ok(TurnQueue::default()), |bytes| envelope::decode(&bytes))?;
        Ok(Stored { seq, value, written_at })
    }

    /// A session's history, if it ever had one.
    pub(super) async fn stored_history(&self, key: &SessionKey) -> Result<Stored<Option<History>>, SessionError> {
        let Stored { seq, value, written_at } = self.raw(&key.history()).await?;
        let open = |bytes| self.cipher.open(bytes).map_err(|_| SessionError::Locked);
        let value = value.map(open).transpose()?.map(|bytes| envelope::decode(&bytes)).transpose()?;
        Ok(Stored { seq, value, written_at })
    }

    /// Changes the line until the change is stored, or there is none to make.
    pub(super) async fn change_queue(
        &self,
        key: &SessionKey,
        change: impl Fn(&TurnQueue) -> Option<TurnQueue>,
    ) -> Result<(), SessionError> {
        let mut silences = 0;
        for tried in 0..TRIES {
            let queue = self.queue(key).await?;
            let Some(next) = change(&queue.value) else { return Ok(()) };
            let stored = match next.waiting.is_empty() {
                true => self.remove(&key.queue(), queue.seq).await?,
                false => {
                    let line = envelope::encode(&next)?;
                    self.replace(&key.queue(), queue.seq, line, &mut silences).await?.is_some()
                }
            };
            if stored {
                return Ok(());
            }
            pause(tried).await;
        }
        Err(SessionError::Busy)
    }

    /// Changes the history until the change is stored, or there is none to make. What the change came to, and the
    /// sequence of the history then.
    pub(super) async fn change_history<R>(
        &self,
        key: &SessionKey,
        change: impl Fn(Option<History>) -> Change<History, R>,
    ) -> Result<(R, u64), SessionError> {
        let mut silences = 0;
        for tried in 0..TRIES {
            let history = self.stored_history(key).await?;
            let (next, outcome) = match change(history.value) {
                Change::To(next, outcome) => (next, outcome),
                Change::Nothing(outcome) => return Ok((outcome, history.seq)),
            };
            let sealed = self.cipher.seal(envelope::encode(&*next)?);
            if let Some(seq) = self.replace(&key.history(), history.seq, sealed, &mut silences).await? {
                return Ok((outcome, seq));
            }
            pause(tried).await;
        }
        Err(SessionError::Busy)
    }

    /// A value as it is stored. One that was deleted by hand left an empty mark.
    async fn raw(&self, subject: &str) -> Result<Stored<Option<Bytes>>, SessionError> {
        let found = self.broker.last(&stream(), subject).await?;
        Ok(found.map_or(Stored { seq: 0, value: None, written_at: Timestamp::default() }, |message| Stored {
            seq: message.sequence,
            written_at: message.time.into(),
            value: Some(message.payload).filter(|payload| !payload.is_empty()),
        }))
    }

    /// The new sequence; `None` when it is not stored, or nobody knows. A stream that is silent again and again, as one
    /// is whose disk was full, is not waited for: somebody's slot waits here.
    async fn replace(
        &self,
        subject: &str,
        seq: u64,
        payload: Bytes,
        silences: &mut u32,
    ) -> Result<Option<u64>, SessionError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, seq.to_string().as_str());
        let (client, timeout) = (&self.broker.0.client, self.broker.0.config.nats.request_timeout);
        match rpc::request::<PubAck>(client, subject.to_owned(), Some(headers), payload, timeout).await {
            Ok(ack) => Ok(Some(ack.seq)),
            Err(BrokerError::Refused { code: 10_071 | 10_164, .. }) => Ok(None),
            Err(BrokerError::TimedOut) if *silences < MOST_SILENCES => {
                *silences += 1;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a value away unless it was replaced: nothing above its sequence is purged. Whether it is known to be gone.
    async fn remove(&self, subject: &str, seq: u64) -> Result<bool, SessionError> {
        let purge = self.broker.stream(&stream()).await?.purge().filter(subject).sequence(seq + 1).await;
        Ok(purge.map_err(BrokerError::other("a session's line cannot be emptied"))?.purged > 0)
    }
}

/// The stream behind the bucket.
pub(super) fn stream() -> String {
    format!("KV_{}", subject::SESSIONS)
}

/// Lets others go first: they were first.
async fn pause(tried: u32) {
    let longest = (2_u64 << tried.min(5)).min(LONGEST_PAUSE);
    let random = runtime::clock::random_bits() % u128::from(longest);
    tokio::time::sleep(Duration::from_millis(u64::try_from(random).unwrap_or(longest))).await;
}
