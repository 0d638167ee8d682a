//! Copies of a job: to DEAD when it failed for good, to DELAYED when it must wait long.

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use schemas::job::Job;
use schemas::state::{JobResult, JobState, Nonce, Phase};
use schemas::timestamp::Timestamp;
use schemas::{envelope, subject};
use serde::{Deserialize, Serialize};

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::protocol::machine::Published;
use crate::publisher::{Outgoing, Published as Sent};
use crate::submit::HEAD_HEADER;

/// What DEAD holds: the job, its whole history, and why it failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadJob {
    /// The job as submitted.
    pub job: Job,
    /// Its last record, with every attempt.
    pub state: JobState,
    /// How it failed.
    pub result: JobResult,
}

impl DeadJob {
    /// The job's record as it ended, `at` the moment at which it was laid aside, should STATE have forgotten it.
    #[must_use]
    pub fn ended(&self, at: Timestamp) -> JobState {
        JobState {
            phase: Phase::Failed,
            until: None,
            reason: None,
            finished_at: Some(at),
            result: Some(Box::new(self.result.clone())),
            ..self.state.clone()
        }
    }
}

impl Broker {
    /// Publishes to DEAD once; an entry that is there already counts as done.
    pub(crate) async fn publish_dead(
        &self,
        job: &Job,
        state: &JobState,
        result: &JobResult,
    ) -> Result<Published, BrokerError> {
        Box::pin(self.keep_dead_body(job)).await?;
        // What is kept of the request for its API is in the job itself.
        let result = JobResult { kept: None, ..result.clone() };
        let entry = DeadJob { job: job.clone(), state: state.clone(), result };
        let subject = subject::dead(job.head.lane, &job.head.tenant, job.id);
        self.publish_once(Outgoing { subject, headers: HeaderMap::new(), payload: envelope::encode(&entry)? }).await
    }

    /// Publishes the copy that wakes a long-parked job at `until`.
    pub(crate) async fn schedule(&self, job: &Job, nonce: &Nonce, until: Timestamp) -> Result<Published, BrokerError> {
        let (lane, tenant) = (job.head.lane, job.head.tenant.as_str());
        let mut headers = HeaderMap::new();
        let head = serde_json::to_string(&job.head).map_err(BrokerError::other("the job's head cannot be encoded"))?;
        headers.insert(HEAD_HEADER, head.as_str());
        headers.insert("Nats-Schedule", format!("@at {until}").as_str());
        headers.insert("Nats-Schedule-Target", subject::due(lane, tenant, job.id, nonce).as_str());
        let subject = subject::delayed(lane, tenant, job.id, nonce);
        self.publish_once(Outgoing { subject, headers, payload: envelope::encode(job)? }).await
    }

    /// Publishes with an expected sequence of 0: refused means it is there.
    async fn publish_once(&self, mut message: Outgoing) -> Result<Published, BrokerError> {
        message.headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
        match self.0.plain.publish(message).await {
            Sent::Stored { .. } => Ok(Published::Stored),
            Sent::Refused { code: 10_071 | 10_164, .. } => Ok(Published::There),
            Sent::Refused { code, description } => Err(BrokerError::Refused { code, description }),
            Sent::Unknown => Ok(Published::Unknown),
        }
    }
}
