//! Jobs that their client deleted: the record stays, since its end must never be written twice, and is not shown.

use async_nats::HeaderMap;
use bytes::Bytes;
use schemas::id::JobId;
use schemas::subject;

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::publisher::{Outgoing, Published};

impl Broker {
    /// Notes that `id` is not to be shown any more, for as long as its record is kept.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot take the note; it may have.
    pub async fn hide(&self, id: JobId) -> Result<(), BrokerError> {
        let note = Outgoing { subject: subject::hidden(id), headers: HeaderMap::new(), payload: Bytes::new() };
        match self.0.plain.publish(note).await {
            Published::Stored { .. } => Ok(()),
            Published::Refused { code, description } => Err(BrokerError::Refused { code, description }),
            Published::Unknown => Err(BrokerError::TimedOut),
        }
    }

    /// Whether `id` is not to be shown.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked.
    pub async fn is_hidden(&self, id: JobId) -> Result<bool, BrokerError> {
        Ok(self.last(subject::HIDDEN, &subject::hidden(id)).await?.is_some())
    }
}
