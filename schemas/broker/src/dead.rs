//! Copies of a job: to DEAD when it failed for good, to DELAYED when it must wait long, and bodies too large for a message.

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use bytes::Bytes;
use schemas::chat::ChatRequest;
use schemas::id::JobId;
use schemas::job::{Job, Kept, Payload};
use schemas::state::{JobResult, JobState, Nonce};
use schemas::timestamp::Timestamp;
use schemas::{envelope, subject};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;

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

impl Broker {
    /// Publishes to DEAD once; an entry that is there already counts as done.
    pub(crate) async fn publish_dead(
        &self,
        job: &Job,
        state: &JobState,
        result: &JobResult,
    ) -> Result<Published, BrokerError> {
        let entry = DeadJob { job: job.clone(), state: state.clone(), result: result.clone() };
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

    /// Stores a value that is too large for a message. The same name again replaces it.
    ///
    /// # Errors
    /// [`BrokerError`] when the object store cannot take it.
    pub async fn put_body(&self, name: &str, body: Bytes) -> Result<(), BrokerError> {
        let store = self.bodies().await?;
        let mut reader = body.as_ref();
        store.put(name, &mut reader).await.map_err(BrokerError::other("a large body cannot be stored"))?;
        Ok(())
    }

    /// Reads a stored value, refusing more than `limit` bytes; `None` when it is past retention.
    ///
    /// # Errors
    /// [`BrokerError`] when the object store cannot be read, or the body is larger than `limit`.
    pub async fn body(&self, name: &str, limit: usize) -> Result<Option<Bytes>, BrokerError> {
        let store = self.bodies().await?;
        let mut object = match store.get(name).await {
            Ok(object) => object,
            Err(error) if error.kind() == async_nats::jetstream::object_store::GetErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(BrokerError::Other { what: "a large body cannot be read", source: error.into() }),
        };
        if object.info().size > limit {
            return Err(BrokerError::Settings(format!("a stored body is larger than {limit} bytes")));
        }
        let mut body = Vec::with_capacity(object.info().size);
        object.read_to_end(&mut body).await.map_err(BrokerError::other("a large body cannot be read"))?;
        Ok(Some(body.into()))
    }

    async fn bodies(&self) -> Result<async_nats::jetstream::object_store::ObjectStore, BrokerError> {
        let store = self.0.js.get_object_store(subject::BODIES).await;
        store.map_err(BrokerError::other("the object store cannot be reached"))
    }

    /// What the result of `job` keeps of its request. A large one goes to the object store, so that the record stays small.
    pub(crate) async fn keep_request(&self, job: &Job) -> Result<Option<Box<Kept>>, BrokerError> {
        let Some(surface) = job.surface.clone() else { return Ok(None) };
        let request = match &job.request {
            _ if !surface.store => None,
            stored @ Payload::Stored { .. } => Some(stored.clone()),
            Payload::Inline(request) => Some(self.keep_inline(job.id, request).await?),
        };
        Ok(Some(Box::new(Kept { surface, request })))
    }

    async fn keep_inline(&self, id: JobId, request: &ChatRequest) -> Result<Payload, BrokerError> {
        let body = envelope::encode(request)?;
        if body.len() <= self.0.config.ingress.inline_max_bytes / 8 {
            return Ok(Payload::Inline(Box::new(request.clone())));
        }
        let (object, bytes) = (format!("{id}.request"), body.len() as u64);
        self.put_body(&object, body).await?;
        Ok(Payload::Stored { object, bytes })
    }

    /// Moves an output that would not fit into a record to the object store.
    pub(crate) async fn store_large_output(&self, id: JobId, result: &mut JobResult) -> Result<(), BrokerError> {
        let Some(output) = &result.output else { return Ok(()) };
        let body = envelope::encode(output)?;
        if body.len() <= self.0.config.ingress.inline_max_bytes / 2 {
            return Ok(());
        }
        let name = format!("{id}.output");
        self.put_body(&name, body).await?;
        (result.output, result.stored_output) = (None, Some(name));
        Ok(())
    }
}
