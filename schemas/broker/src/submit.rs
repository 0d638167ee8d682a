//! Making a job durable (S1-S4): its message is the acceptance, and one id is one job.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID};
use schemas::envelope;
use schemas::error::{ErrorCode, Failure};
use schemas::job::{Job, JobHead};
use schemas::state::Nonce;
use schemas::subject;

use crate::broker::Broker;
use crate::drive::{Hands, InHand, On};
use crate::error::BrokerError;
use crate::protocol::machine::Published;
use crate::protocol::submitting::{Submitted, Submitting};
use crate::publisher::{Outgoing, Published as Sent};

/// Carries the job's head beside its message, so that the queue can be listed without reading bodies.
pub(crate) const HEAD_HEADER: &str = "Portbroker-Head";
/// JetStream's code for a stream, or a subject, that holds as much as it may.
const LIMIT: u64 = 10_077;

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
        let submit = self.submit_once(job, repeat);
        tokio::time::timeout(patience, submit).await.map_err(|_| SubmitError::Unavailable)?
    }

    async fn submit_once(&self, job: &Job, repeat: Repeat) -> Result<Accepted, SubmitError> {
        let nonce = own_nonce(job);
        let submitting = Submitting::start(job.head.body_hash.clone(), repeat == Repeat::Keyed, self.0.policy);
        let on = On::Job(job, &nonce);
        let mut hands = Hands { broker: self, id: job.id, name: "submit", on, message: InHand::Nothing };
        match hands.run(submitting).await? {
            Submitted::New => Ok(Accepted { head: job.head.clone(), replayed: false }),
            Submitted::Before(head) => Ok(Accepted { head: *head, replayed: true }),
            Submitted::Conflict => Err(SubmitError::Conflict),
            Submitted::Full => Err(SubmitError::LaneFull),
            Submitted::TooLarge => Err(SubmitError::TooLarge),
        }
    }

    /// Publishes the job's own message, once.
    pub(crate) async fn publish_job(&self, job: &Job) -> Result<Published, BrokerError> {
        let outgoing = self.outgoing(job)?;
        if outgoing.payload.len() + 4096 > self.0.client.server_info().max_payload {
            return Ok(Published::TooLarge);
        }
        match self.send(job, outgoing).await {
            Sent::Stored { duplicate: false, .. } => Ok(Published::Stored),
            Sent::Stored { duplicate: true, .. } | Sent::Refused { code: 10_071 | 10_164, .. } => Ok(Published::There),
            Sent::Refused { code: LIMIT, description } if description.contains("per subject") => Ok(Published::There),
            Sent::Refused { code: LIMIT, .. } => Ok(Published::Full),
            Sent::Refused { code, description } => Err(BrokerError::Refused { code, description }),
            Sent::Unknown => Ok(Published::Unknown),
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
                let nonce = own_nonce(job);
                headers.insert("Nats-Schedule", format!("@at {moment}").as_str());
                headers.insert("Nats-Schedule-Target", subject::due(*lane, tenant, job.id, &nonce).as_str());
                headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
                Ok(Outgoing { subject: subject::delayed(*lane, tenant, job.id, &nonce), headers, payload })
            }
        }
    }

    async fn send(&self, job: &Job, outgoing: Outgoing) -> Sent {
        if outgoing.subject.starts_with("jobs.") {
            self.lane(job.head.lane).publish(outgoing).await
        } else {
            self.0.plain.publish(outgoing).await
        }
    }
}

/// A delayed job's own message bears the job's id for a nonce.
fn own_nonce(job: &Job) -> Nonce {
    Nonce::from(job.id.to_string().as_str())
}
