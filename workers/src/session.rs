//! Turns of sessions in a worker: whose turn it is, what a turn goes on from, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerError, CountTokens, Gate, SessionError};
use context::{Counter, Tokenizer};
use schemas::chat::ChatRequest;
use schemas::error::Failure;
use schemas::job::{Job, JobHead};
use schemas::session::{History, prompt};

use crate::fit;
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

/// The request of a job as its model is asked, and its number among the turns of its session, if it has one.
pub(crate) async fn load(worker: &Worker, job: &Job) -> Result<(Arc<ChatRequest>, Option<u64>), Failure> {
    let request = fit::load(worker, job).await?;
    let Some(name) = &job.head.session else { return Ok((request, None)) };
    let history = history(worker, &job.head.tenant, name).await?;
    let number = history.as_ref().map_or(1, History::next_number);
    let Some(history) = history else { return Ok((request, Some(number))) };
    let mut request = Arc::unwrap_or_clone(request);
    request.messages = prompt(history.messages(), request.messages);
    Ok((Arc::new(request), Some(number)))
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

/// Settles what has ended at the head of a job's line. Undone, it is done before the next turn.
pub(crate) async fn settle(worker: &Worker, head: &JobHead) {
    let Some(name) = &head.session else { return };
    if let Err(error) = worker.sessions.settle(&head.tenant, name).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a turn is not settled yet: whoever looks next will");
    }
}

/// Counts as the tokenizer of a model's name does.
pub(crate) fn count(counter: &Counter) -> CountTokens {
    let counter = counter.clone();
    Arc::new(move |model, messages| {
        let meter = counter.meter(Tokenizer::of_name(model));
        messages.iter().map(|message| meter.message(message)).sum()
    })
}
