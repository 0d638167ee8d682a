//! Cancelling a job (X1, X2), racing with its completion: one terminal record, and the caller is told which.

use schemas::id::JobId;
use schemas::job::JobHead;
use schemas::state::{Carrier, Nonce};
use schemas::subject;

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::find::Sighting;
use crate::protocol::Record;
use crate::protocol::cancel::{Cancel, NotCancelled};
use crate::protocol::cas::Ended;
use crate::store::From;

/// What cancelling came to.
#[derive(Debug, Clone)]
pub enum Cancelled {
    /// The job is cancelled, by this call.
    Now(Record),
    /// It had ended already: this is how.
    Already(Record),
    /// There is no such job, or its record is past retention.
    Absent,
}

impl Broker {
    /// Ends a job that has not ended.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked; the job may or may not be cancelled then.
    pub async fn cancel(&self, id: JobId) -> Result<Cancelled, BrokerError> {
        if let Some(outcome) = self.try_cancel(id, None).await? {
            return Ok(outcome);
        }
        if let Some((head, carrier)) = self.waiting_carrier(id).await? {
            let outcome = self.try_cancel(id, Some((&head, &carrier))).await?;
            return Ok(outcome.unwrap_or(Cancelled::Absent));
        }
        Ok(self.try_cancel(id, None).await?.unwrap_or(Cancelled::Absent))
    }

    async fn try_cancel(
        &self,
        id: JobId,
        waiting: Option<(&JobHead, &Carrier)>,
    ) -> Result<Option<Cancelled>, BrokerError> {
        let nonce = Self::nonce();
        let cancel = Cancel { waiting, nonce: &nonce, holder: self.instance() };
        match self.run(id, "cancel", cancel, From::Reading).await? {
            Ended::Stored(seq, state) => {
                self.hint(subject::done(id)).await;
                self.hint(subject::cancel(id)).await;
                Ok(Some(Cancelled::Now(Record { seq, state, written_at: self.now() })))
            }
            Ended::Settled(NotCancelled::Ended(record)) if record.state.nonce == nonce => {
                self.hint(subject::done(id)).await;
                self.hint(subject::cancel(id)).await;
                Ok(Some(Cancelled::Now(record)))
            }
            Ended::Settled(NotCancelled::Ended(record)) => Ok(Some(Cancelled::Already(record))),
            Ended::Settled(NotCancelled::NoRecord) => Ok(None),
        }
    }

    async fn waiting_carrier(&self, id: JobId) -> Result<Option<(JobHead, Carrier)>, BrokerError> {
        Ok(match self.find_waiting(id).await? {
            Some(Sighting::Queued(job)) => {
                let stream = subject::jobs_stream(job.head.lane).to_owned();
                Some((job.head, Carrier::Stream(stream)))
            }
            Some(Sighting::Delayed(job)) => Some((job.head, Carrier::Due(Nonce::from(id.to_string().as_str())))),
            _ => None,
        })
    }

    /// Publishes a hint. It may be lost: whoever waits for it reads STATE now and then anyway.
    pub(crate) async fn hint(&self, subject: String) {
        if let Err(error) = self.0.client.publish(subject, bytes::Bytes::new()).await {
            tracing::debug!(error = %error, "hint not sent");
        }
    }
}
