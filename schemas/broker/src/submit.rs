//! Making a job durable (S1-S4): its message is the acceptance, and one id is one job.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID};
use schemas::envelope;
use schemas::error::{ErrorCode, Failure};
use schemas::job::{Job, JobHead};
use schemas::state::Nonce;
use schemas::subject;
use schemas::timestamp::Timestamp;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::find::Sighting;
use crate::publisher::{Outgoing, Published};
use crate::store::Backoff;

/// Carries the job's head beside its message, so that the queue can be listed without reading bodies.
pub(crate) const HEAD_HEADER: &str = "Portbroker-Head";
const PER_SUBJECT: u64 = 10_077;

/// Whether the id may have been used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Drawn at random for this submit.
    Fresh,
    /// Derived from an idempotency key.
    Keyed,
}

/// A job is durable.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Its head as first accepted: on a repeat, the original's.
    pub head: JobHead,
    /// This id had been accepted before, with the same body.
    pub replayed: bool,
}

/// Why a submit was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The same idempotency key came with another body.
    #[error("this idempotency key was used with another body")]
    Conflict,
    /// The lane is full.
    #[error("the queue is full")]
    LaneFull,
    /// The job is larger than a message may be.
    #[error("the job is larger than the broker takes")]
    TooLarge,
    /// The broker did not answer in time. The job may exist; the same key finds it.
    #[error("the broker is not available")]
    Unavailable,
    /// A fault of ours.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl From<&SubmitError> for Failure {
    fn from(error: &SubmitError) -> Self {
        let code = match error {
            SubmitError::Conflict => ErrorCode::Conflict,
            SubmitError::TooLarge => ErrorCode::PayloadTooLarge,
            SubmitError::LaneFull | SubmitError::Unavailable => ErrorCode::Unavailable,
            SubmitError::Broker(_) => ErrorCode::Internal,
        };
        let message = match error {
            SubmitError::Broker(_) => "the job could not be stored".to_owned(),
            known => known.to_string(),
        };
        Self::new(code, message)
    }
}

impl Broker {
    /// Makes `job` durable and answers once it is. Retries for `patience` while the broker does not answer.
    ///
    /// # Errors
    /// Every variant of [`SubmitError`]; only after `Ok` is the job promised to run.
    pub async fn submit(&self, job: &Job, repeat: Repeat, patience: Duration) -> Result<Accepted, SubmitError> {
        let deadline = Instant::now() + patience;
        let submit = self.submit_once(job, repeat, deadline);
        tokio::time::timeout_at(deadline, submit).await.map_err(|_| SubmitError::Unavailable)?
    }

    async fn submit_once(&self, job: &Job, repeat: Repeat, deadline: Instant) -> Result<Accepted, SubmitError> {
        if repeat == Repeat::Keyed
            && let Some(accepted) = self.earlier(job, deadline).await?
        {
            return Ok(accepted);
        }
        let outgoing = self.outgoing(job)?;
        if outgoing.payload.len() + 4096 > self.0.client.server_info().max_payload {
            return Err(SubmitError::TooLarge);
        }
        let mut wait = Backoff::default();
        loop {
            match self.send(job, outgoing.clone()).await {
                Published::Stored { duplicate: false, .. } => {
                    return Ok(Accepted { head: job.head.clone(), replayed: false });
                }
                Published::Stored { duplicate: true, .. } => {
                    if let Some(accepted) = self.earlier(job, deadline).await? {
                        return Ok(accepted);
                    }
                }
                Published::Refused { code, description } => {
                    if let Some(accepted) = self.refused(job, code, &description, deadline).await? {
                        return Ok(accepted);
                    }
                }
                Published::Unknown => {}
            }
            wait.pause().await;
        }
    }

    fn outgoing(&self, job: &Job) -> Result<Outgoing, BrokerError> {
        let mut headers = HeaderMap::new();
        let head = serde_json::to_string(&job.head).map_err(BrokerError::other("the job's head cannot be encoded"))?;
        headers.insert(HEAD_HEADER, head.as_str());
        let payload = envelope::encode(job)?;
        let JobHead { lane, tenant, .. } = &job.head;
        match job.head.not_before.filter(|moment| *moment > self.now()) {
            None => {
                headers.insert(NATS_MESSAGE_ID, job.id.to_string().as_str());
                Ok(Outgoing { subject: subject::jobs(*lane, tenant, job.id), headers, payload })
            }
            Some(moment) => {
                let nonce = Nonce::from(job.id.to_string().as_str());
                headers.insert("Nats-Schedule", format!("@at {moment}").as_str());
                headers.insert("Nats-Schedule-Target", subject::due(*lane, tenant, job.id, &nonce).as_str());
                headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
                Ok(Outgoing { subject: subject::delayed(*lane, tenant, job.id, &nonce), headers, payload })
            }
        }
    }

    async fn send(&self, job: &Job, outgoing: Outgoing) -> Published {
        if outgoing.subject.starts_with("jobs.") {
            self.lane(job.head.lane).publish(outgoing).await
        } else {
            self.0.plain.publish(outgoing).await
        }
    }

    /// The job that this id stands for already, if there is one; a different body is a conflict.
    async fn earlier(&self, job: &Job, deadline: Instant) -> Result<Option<Accepted>, SubmitError> {
        let mut wait = Backoff::default();
        let sighting = loop {
            match self.find(job.id).await {
                Ok(sighting) => break sighting,
                Err(BrokerError::Away(_) | BrokerError::TimedOut) if Instant::now() < deadline => wait.pause().await,
                Err(error) => return Err(error.into()),
            }
        };
        let head = match sighting {
            Sighting::Recorded(record) => record.state.head,
            Sighting::Queued(job) | Sighting::Delayed(job) => job.head,
            Sighting::Absent => return Ok(None),
        };
        if head.body_hash != job.head.body_hash {
            return Err(SubmitError::Conflict);
        }
        Ok(Some(Accepted { head, replayed: true }))
    }

    /// S4. The subject is taken: by the same job, or by a message that outlived its record and will never run.
    async fn refused(
        &self,
        job: &Job,
        code: u64,
        description: &str,
        deadline: Instant,
    ) -> Result<Option<Accepted>, SubmitError> {
        let taken = (code == PER_SUBJECT && description.contains("per subject")) || code == 10_071 || code == 10_164;
        if !taken && code == PER_SUBJECT {
            return Err(SubmitError::LaneFull);
        }
        if !taken {
            return Err(BrokerError::Refused { code, description: description.to_owned() }.into());
        }
        if self.state(job.id).await?.is_none() && self.remove_outlived(job).await? {
            return Ok(None);
        }
        self.earlier(job, deadline).await
    }

    /// Deletes the job's own old message when it is past retention. Returns whether it did.
    async fn remove_outlived(&self, job: &Job) -> Result<bool, BrokerError> {
        let (stream, filter) =
            (subject::jobs_stream(job.head.lane), subject::jobs(job.head.lane, &job.head.tenant, job.id));
        let Some(message) = self.last(stream, &filter).await? else { return Ok(false) };
        if self.now().since(Timestamp::from(message.time)) < self.0.policy.retention {
            return Ok(false);
        }
        let stream = self.0.js.get_stream(stream).await.map_err(BrokerError::other("a stream cannot be reached"))?;
        let deleted = stream.delete_message(message.sequence).await;
        deleted.map_err(BrokerError::other("an outlived message cannot be deleted"))
    }
}
