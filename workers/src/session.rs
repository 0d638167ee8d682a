//! Turns of sessions in a worker: whose turn it is, what a turn goes on from, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerError, Gate, SessionError};
use schemas::chat::ChatRequest;
use schemas::error::Failure;
use schemas::id::JobId;
use schemas::job::{Job, JobHead};
use schemas::session::{History, prompt};

use crate::fit;
use crate::told::Told;
use crate::worker::Worker;

/// When a turn is looked at again whose session cannot be asked.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// When a history is read again while the broker is away; the lease ends before this does.
const READ_AGAIN: Duration = Duration::from_millis(200);

/// How long to put a job off that is not the first of its session's line; `None` when it may be claimed.
pub(crate) async fn held_back(worker: &Worker, job: &Job) -> Option<Duration> {
    match worker.sessions.gate(job).await {
        Ok(Gate::Open) => None,
        Ok(Gate::Wait(wait)) => Some(wait),
        Err(error @ SessionError::Broker(_)) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "a session's line cannot be read: put off");
            Some(ASK_AGAIN)
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the turn before cannot be settled: put off");
            Some(ASK_AGAIN)
        }
    }
}

/// What a model is to be asked.
pub(crate) struct Loaded {
    /// All of it, not fitted to any model.
    pub(crate) request: Arc<ChatRequest>,
    /// What may stand in for its beginning.
    pub(crate) told: Arc<Told>,
    /// Its number among the turns of its session, if it has one.
    pub(crate) turn: Option<u64>,
}

/// A job's request, behind what its session holds.
pub(crate) async fn load(worker: &Worker, job: &Job) -> Result<Loaded, Failure> {
    let request = fit::load(worker, job).await?;
    let plain = |request, turn| Loaded { request, told: Arc::default(), turn };
    let Some(name) = &job.head.session else { return Ok(plain(request, None)) };
    let history = history(worker, &job.head.tenant, name).await?;
    let turn = Some(history.as_ref().map_or(1, History::next_number));
    let Some(history) = history else { return Ok(plain(request, turn)) };
    let mut request = Arc::unwrap_or_clone(request);
    request.messages = prompt(history.messages(), request.messages);
    Ok(Loaded { request: Arc::new(request), told: Arc::new(Told::of(&history, &job.context)), turn })
}

/// Waits for the broker: whoever loses the lease meanwhile drops this.
async fn history(worker: &Worker, tenant: &str, name: &str) -> Result<Option<History>, Failure> {
    loop {
        match worker.sessions.history(tenant, name).await {
            Ok(history) => return Ok(history),
            Err(SessionError::Broker(BrokerError::Away(_) | BrokerError::TimedOut)) => {
                tokio::time::sleep(READ_AGAIN).await;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a session's history cannot be read");
                return Err(Failure::from(&error));
            }
        }
    }
}

/// Settles what has ended at the head of a job's line, or takes the summary that the job made. Undone, it is done at the
/// next turn.
pub(crate) async fn settle(worker: &Worker, id: JobId, head: &JobHead) {
    if let Err(error) = worker.sessions.fold(id, head).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a summary is not taken yet: the next turn will");
    }
    let Some(name) = &head.session else { return };
    if let Err(error) = worker.sessions.settle(&head.tenant, name).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a turn is not settled yet: whoever looks next will");
    }
}
