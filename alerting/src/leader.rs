//! Of several alerting replicas one leads: a key in the bucket INCIDENTS, renewed every few seconds. When its lease is over
//! by the server's clock another takes it. Writes of incidents are fenced by their revisions on top of that.

use std::time::Duration;

use async_nats::jetstream::kv::{EntryError, Store, UpdateError, UpdateErrorKind};
use broker::Broker;
use schemas::envelope::{self, EnvelopeError};
use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The key that the leader holds.
pub(crate) const KEY: &str = "leader";
/// It is renewed, and others look whether it is free, so many times a lease.
const RENEWALS: u32 = 3;
/// We hold our own lease for over earlier than others do, by this part of it.
const MARGIN: u32 = 5;
/// The lease of a holder that does not say.
const FORMER_LEASE: u64 = 10_000;

/// How often a lease is renewed, and how often others look whether it is free.
pub(crate) fn renew_every(lease: Duration) -> Duration {
    lease / RENEWALS
}

/// Why the key could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaderError {
    /// It cannot be read.
    #[error("the leader's key cannot be read")]
    Read(#[from] EntryError),
    /// It cannot be written.
    #[error("the leader's key cannot be written")]
    Write(#[from] UpdateError),
    /// Its value is not what we write.
    #[error("the leader's key cannot be decoded")]
    Envelope(#[from] EnvelopeError),
}

/// What the key holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    /// Random bits of one term; empty when the key is free.
    term: String,
    /// The process, for people who look.
    #[serde(default)]
    instance: String,
    /// How long it holds without renewal, in milliseconds.
    #[serde(default = "former_lease")]
    lease_ms: u64,
}

const fn former_lease() -> u64 {
    FORMER_LEASE
}

/// We lead until the lease is over.
#[derive(Debug)]
pub(crate) struct Leadership {
    bucket: Store,
    holder: Holder,
    revision: u64,
    renewed: Instant,
}

/// What became of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewed {
    /// We lead on.
    Held,
    /// Another took over.
    Deposed,
}

impl Leadership {
    /// Tries once to take the key; nothing when another holds it.
    pub(crate) async fn contend(broker: &Broker, bucket: Store, lease: Duration) -> Result<Option<Self>, LeaderError> {
        let renewed = Instant::now();
        let entry = bucket.entry(KEY).await?;
        let revision = entry.as_ref().map_or(0, |entry| entry.revision);
        if let Some(entry) = entry.filter(|entry| !entry.value.is_empty()) {
            let holder: Holder = envelope::decode(&entry.value)?;
            if is_held(&holder, Timestamp::from(entry.created), broker.now()) {
                return Ok(None);
            }
        }
        let term = format!("{:032x}", runtime::clock::random_bits());
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(FORMER_LEASE);
        let holder = Holder { term, instance: broker.instance().to_owned(), lease_ms };
        match bucket.update(KEY, envelope::encode(&holder)?, revision).await {
            Ok(revision) => Ok(Some(Self { bucket, holder, revision, renewed })),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether nobody else can have taken over yet.
    pub(crate) fn is_valid(&self, now: Instant) -> bool {
        let lease = self.holder.lease();
        now.duration_since(self.renewed) < lease - lease / MARGIN
    }

    /// Whether it is time to renew.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now.duration_since(self.renewed) >= renew_every(self.holder.lease())
    }

    /// Renews the lease. While the broker is away it lapses, and can be renewed after if nobody took it.
    pub(crate) async fn renew(&mut self) -> Result<Renewed, LeaderError> {
        let started = Instant::now();
        let value = envelope::encode(&self.holder)?;
        match self.bucket.update(KEY, value, self.revision).await {
            Ok(revision) => self.revision = revision,
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {
                // A renewal of ours whose answer was lost, or another leader.
                let entry = self.bucket.entry(KEY).await?;
                let ours = entry.filter(|entry| {
                    envelope::decode::<Holder>(&entry.value).is_ok_and(|holder| holder.term == self.holder.term)
                });
                let Some(entry) = ours else { return Ok(Renewed::Deposed) };
                self.revision = entry.revision;
                // When it was written is the server's to know: the next renewal counts.
                return Box::pin(self.renew()).await;
            }
            Err(error) => return Err(error.into()),
        }
        self.renewed = started;
        Ok(Renewed::Held)
    }

    /// Frees the key, so that another need not wait for the lease to end.
    pub(crate) async fn release(self) -> Result<(), LeaderError> {
        let free = Holder { term: String::new(), ..self.holder };
        self.bucket.update(KEY, envelope::encode(&free)?, self.revision).await?;
        Ok(())
    }
}

/// Whether this process is the one that leads, as everybody sees it. When that cannot be told it is not.
pub(crate) async fn is_held_by(bucket: &Store, instance: &str, now: Timestamp) -> bool {
    let Ok(Some(entry)) = bucket.entry(KEY).await else { return false };
    let Ok(holder) = envelope::decode::<Holder>(&entry.value) else { return false };
    holder.instance == instance && is_held(&holder, Timestamp::from(entry.created), now)
}

impl Holder {
    const fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}

fn is_held(holder: &Holder, written: Timestamp, now: Timestamp) -> bool {
    !holder.term.is_empty() && now.since(written) < holder.lease()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::NOON;

    #[test]
    fn a_key_is_held_until_its_lease_is_over_or_it_is_freed() {
        let lease = Duration::from_secs(4);
        let mut holder = Holder { term: "a".to_owned(), instance: String::new(), lease_ms: 4000 };
        assert!(is_held(&holder, NOON, NOON));
        assert!(is_held(&holder, NOON, NOON.before(Duration::from_secs(1))), "clocks may be a little apart");
        assert!(!is_held(&holder, NOON, NOON.after(lease)));
        holder.term.clear();
        assert!(!is_held(&holder, NOON, NOON));
    }
}
