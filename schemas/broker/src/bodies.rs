//! Bodies too large for a message, in the object store; those of dead jobs in one of their own, which keeps them for as
//! long as DEAD keeps its entries.

use std::time::Duration;

use async_nats::jetstream::object_store::{DeleteErrorKind, GetErrorKind, Object, ObjectStore};
use bytes::Bytes;
use schemas::chat::ChatRequest;
use schemas::id::JobId;
use schemas::job::{Job, Kept, Payload};
use schemas::state::Phase;
use schemas::{envelope, subject};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use crate::backoff::Backoff;
use crate::broker::Broker;
use crate::error::BrokerError;

/// How long an object store that answers, but takes nothing, is tried with what must not be lost.
const PATIENCE: Duration = Duration::from_secs(60);

impl Broker {
    /// Stores a value that is too large for a message. The same name again replaces it.
    ///
    /// # Errors
    /// [`BrokerError`] when the object store cannot take it.
    pub async fn put_body(&self, name: &str, body: Bytes) -> Result<(), BrokerError> {
        let store = self.bodies(subject::BODIES).await?;
        let mut reader = body.as_ref();
        store.put(name, &mut reader).await.map_err(BrokerError::other("a large body cannot be stored"))?;
        Ok(())
    }

    /// Reads a stored value, refusing more than `limit` bytes; `None` when it is past retention.
    ///
    /// # Errors
    /// [`BrokerError`] when the object store cannot be read, or the body is larger than `limit`.
    pub async fn body(&self, name: &str, limit: usize) -> Result<Option<Bytes>, BrokerError> {
        match open(&self.bodies(subject::BODIES).await?, name).await? {
            Some(object) => read(object, limit).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads the stored request of a dead job: the copy that DEAD keeps, else the body as submitted; `None` when both
    /// are past retention.
    ///
    /// # Errors
    /// As [`Broker::body`].
    pub async fn dead_body(&self, id: JobId, name: &str, limit: usize) -> Result<Option<Bytes>, BrokerError> {
        match open(&self.bodies(subject::DEAD_BODIES).await?, &id.to_string()).await? {
            Some(object) => read(object, limit).await.map(Some),
            None => self.body(name, limit).await,
        }
    }

    /// Copies a job's stored request to where DEAD keeps its own. A dead job whose body cannot be kept is laid aside all
    /// the same, replayable for as long as the body as submitted is there.
    pub(crate) async fn keep_dead_body(&self, job: &Job) -> Result<(), BrokerError> {
        let Payload::Stored { object, .. } = &job.request else { return Ok(()) };
        let copied = timeout(self.0.config.ingress.body_timeout, self.copy_dead_body(job.id, object)).await;
        match copied.map_err(|_| BrokerError::TimedOut)? {
            Err(error) if self.connected() => {
                tracing::error!(job_id = %job.id.job(), error = &error as &dyn std::error::Error, "a dead job's body is not kept");
                Ok(())
            }
            Err(error) => Err(BrokerError::Away(error.into())),
            Ok(()) => Ok(()),
        }
    }

    async fn copy_dead_body(&self, id: JobId, name: &str) -> Result<(), BrokerError> {
        let Some(mut object) = open(&self.bodies(subject::BODIES).await?, name).await? else { return Ok(()) };
        let kept = self.bodies(subject::DEAD_BODIES).await?;
        let copied = kept.put(id.to_string().as_str(), &mut object).await;
        copied.map(drop).map_err(BrokerError::other("a large body cannot be copied"))
    }

    /// Drops the copy that DEAD keeps of a stored request, if there is one.
    pub(crate) async fn drop_dead_body(&self, id: JobId) -> Result<(), BrokerError> {
        let Err(error) = self.bodies(subject::DEAD_BODIES).await?.delete(id.to_string()).await else { return Ok(()) };
        match error.kind() {
            DeleteErrorKind::NotFound => Ok(()),
            _ => Err(BrokerError::Other { what: "a large body cannot be deleted", source: error.into() }),
        }
    }

    async fn bodies(&self, bucket: &str) -> Result<ObjectStore, BrokerError> {
        let store = self.0.js.get_object_store(bucket).await;
        store.map_err(BrokerError::other("the object store cannot be reached"))
    }

    /// What the result of `job` keeps of its request: what its API shows of it, and what its session takes of a turn that
    /// was answered. A large one goes to the object store, so that the record stays small.
    pub(crate) async fn keep_request(&self, job: &Job, phase: Phase) -> Result<Option<Box<Kept>>, BrokerError> {
        let surface = job.surface.clone();
        let stored = surface.as_ref().is_some_and(|surface| surface.store);
        let answered = matches!(phase, Phase::Completed | Phase::Incomplete);
        let turn = answered && job.head.session.is_some();
        let summarize = job.context.summarize.filter(|_| turn);
        let request = match &job.request {
            _ if !stored && !turn => None,
            elsewhere @ Payload::Stored { .. } => Some(elsewhere.clone()),
            Payload::Inline(request) if stored => Some(self.keep_inline(job.id, request).await?),
            Payload::Inline(request) => {
                let messages = ChatRequest { messages: request.messages.clone(), ..ChatRequest::default() };
                Some(self.keep_inline(job.id, &messages).await?)
            }
        };
        Ok((surface.is_some() || request.is_some()).then(|| Box::new(Kept { surface, request, summarize })))
    }

    async fn keep_inline(&self, id: JobId, request: &ChatRequest) -> Result<Payload, BrokerError> {
        let body = envelope::encode(request)?;
        if body.len() <= self.0.config.ingress.inline_max_bytes / 8 {
            return Ok(Payload::Inline(Box::new(request.clone())));
        }
        let (object, bytes) = (format!("{id}.request"), body.len() as u64);
        self.put_at_last(&object, body).await?;
        Ok(Payload::Stored { object, bytes })
    }

    /// Stores a value that an ended call left, which is not to be lost with a server that is away for a while.
    pub(crate) async fn put_at_last(&self, name: &str, body: Bytes) -> Result<(), BrokerError> {
        let (mut wait, began) = (Backoff::default(), Instant::now());
        loop {
            match self.put_body(name, body.clone()).await {
                Err(error) if error.may_pass() && (!self.connected() || began.elapsed() < PATIENCE) => {
                    tracing::debug!(name, error = &error as &dyn std::error::Error, "a body is not stored yet");
                    wait.pause().await;
                }
                put => return put,
            }
        }
    }
}

async fn open(store: &ObjectStore, name: &str) -> Result<Option<Box<Object>>, BrokerError> {
    match store.get(name).await {
        Ok(object) => Ok(Some(Box::new(object))),
        Err(error) if error.kind() == GetErrorKind::NotFound => Ok(None),
        Err(error) => Err(BrokerError::Other { what: "a large body cannot be read", source: error.into() }),
    }
}

async fn read(mut object: Box<Object>, limit: usize) -> Result<Bytes, BrokerError> {
    if object.info().size > limit {
        return Err(BrokerError::Settings(format!("a stored body is larger than {limit} bytes")));
    }
    let mut body = Vec::with_capacity(object.info().size);
    object.read_to_end(&mut body).await.map_err(BrokerError::other("a large body cannot be read"))?;
    Ok(body.into())
}
