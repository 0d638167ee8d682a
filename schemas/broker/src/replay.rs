//! Dead jobs as far as they count: whoever meets an entry whose job ended otherwise purges it. And one of them once more,
//! as a new job that names it as its parent.

use std::time::Duration;

use schemas::id::JobId;
use schemas::job::{Job, Payload, Surface};
use schemas::state::JobState;
use schemas::view::JobView;
use tokio::time::timeout;

use crate::broker::Broker;
use crate::dead::DeadJob;
use crate::dead_entries::DeadEntry;
use crate::error::BrokerError;
use crate::protocol::dead::Standing;
use crate::submit::{Accepted, Repeat, SubmitError};

/// What an entry in DEAD turned out to be.
#[derive(Debug)]
pub enum Judged {
    /// Its job failed for good, and ended so.
    Counts(Box<JobState>),
    /// Its job has not ended, or ended otherwise and the entry is purged, or the entry is gone.
    Nothing,
    /// STATE has forgotten the job: see [`Broker::judge_forgotten`].
    Forgotten(Box<DeadJob>),
}

/// Why a dead job was not submitted anew.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Its stored request is past retention.
    #[error("the job's request is past its retention: it cannot be replayed")]
    Gone,
    /// Its stored request cannot be read or written.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The new job was not accepted.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl Broker {
    /// Judges an entry, purging a stray one. `held` is what it holds, where that is known.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked, or the entry not be read.
    pub async fn judge_dead(&self, entry: DeadEntry, held: Option<&DeadJob>) -> Result<Judged, BrokerError> {
        let record = self.state(entry.id).await?;
        match (self.standing(entry, record.as_ref()), record) {
            (Standing::Counts, Some(record)) => Ok(Judged::Counts(record.state)),
            (Standing::Early, _) => Ok(Judged::Nothing),
            (Standing::Stray, _) => self.purge_stray(entry).await,
            (Standing::Forgotten | Standing::Counts, _) => {
                let job = match held {
                    Some(job) => Some(job.clone()),
                    None => self.dead_job_at(entry).await?,
                };
                Ok(job.map_or(Judged::Nothing, |job| Judged::Forgotten(Box::new(job))))
            }
        }
    }

    /// How a job ended that STATE has forgotten, by what history says of it, if the entry counts; a stray one is purged.
    /// While history is away, what it would say is not known, and the entry counts.
    ///
    /// # Errors
    /// [`BrokerError`] when a stray entry cannot be purged.
    pub async fn judge_forgotten(
        &self,
        entry: DeadEntry,
        job: &DeadJob,
        history: Option<&JobView>,
    ) -> Result<Option<JobState>, BrokerError> {
        match self.outlived(entry, history) {
            Standing::Stray => self.purge_stray(entry).await.map(|_| None),
            _ => Ok(Some(job.ended(entry.stored_at))),
        }
    }

    async fn purge_stray(&self, entry: DeadEntry) -> Result<Judged, BrokerError> {
        self.delete_dead(entry).await?;
        tracing::info!(job_id = %entry.id.job(), "an entry in DEAD is purged: its job ended otherwise");
        Ok(Judged::Nothing)
    }

    /// Submits a dead job anew as the job `child`, once however often it is called with that id. What it asks for stays,
    /// but for its times and the provider it may have been pinned to; the entry stays too: it is history.
    ///
    /// # Errors
    /// Every variant of [`ReplayError`].
    pub async fn replay(&self, parent: &Job, child: JobId, trace_id: &str) -> Result<Accepted, ReplayError> {
        let config = &self.0.config.ingress;
        let request = timeout(config.body_timeout, self.request_again(parent, child)).await;
        let request = request.map_err(|_| BrokerError::TimedOut)??.ok_or(ReplayError::Gone)?;
        let surface = timeout(config.body_timeout, self.surface_again(parent.surface.clone(), child)).await;
        let surface = surface.map_err(|_| BrokerError::TimedOut)??;
        let job = Job { request, surface, ..parent.again(child, self.now(), trace_id) };
        let accepted = self.submit(&job, Repeat::Keyed, config.submit_timeout).await?;
        self.note_replayed(parent.id, child, config.submit_timeout).await;
        Ok(accepted)
    }

    /// Writes down what became of an entry, within `patience`. The child names its parent whether or not this succeeds.
    pub async fn note_replayed(&self, parent: JobId, child: JobId, patience: Duration) {
        let noted = timeout(patience, self.note_replay(parent, child)).await;
        if let Err(error) = noted.unwrap_or(Err(BrokerError::TimedOut)) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(job_id = %parent.job(), error, "a replay is not noted in DEAD");
        }
    }

    /// What a parent shows of its request, for the child: a stored echo is stored again, since the child may outlive it. One
    /// past its retention stays away.
    ///
    /// # Errors
    /// [`BrokerError`] when the object store cannot be used.
    pub async fn surface_again(&self, surface: Option<Surface>, child: JobId) -> Result<Option<Surface>, BrokerError> {
        let Some(echo) = surface.as_ref().and_then(|surface| surface.stored_echo.as_ref()) else { return Ok(surface) };
        let limit = self.0.config.ingress.max_body_bytes.saturating_mul(2);
        let Some(body) = self.body(echo, limit).await? else { return Ok(surface) };
        let object = format!("{child}.echo");
        self.put_body(&object, body).await?;
        Ok(surface.map(|surface| Surface { stored_echo: Some(object), ..surface }))
    }

    /// The parent's request for the child: a stored one is stored again, since the child may outlive it.
    async fn request_again(&self, parent: &Job, child: JobId) -> Result<Option<Payload>, BrokerError> {
        let Payload::Stored { object, bytes } = &parent.request else { return Ok(Some(parent.request.clone())) };
        // As MessagePack a request is smaller than twice the JSON that was let in.
        let limit = self.0.config.ingress.max_body_bytes.saturating_mul(2);
        let Some(body) = self.dead_body(parent.id, object, limit).await? else { return Ok(None) };
        let object = format!("{child}-replay");
        self.put_body(&object, body).await?;
        Ok(Some(Payload::Stored { object, bytes: *bytes }))
    }
}
