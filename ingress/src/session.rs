//! Sessions, as submits and routes see them.

use std::sync::Arc;
use std::time::Duration;

use broker::{CountTokens, SessionError};
use context::Counter;
use schemas::error::ErrorCode;
use schemas::job::Job;
use tokio::time::timeout;

use crate::app::App;
use crate::error::{ApiError, chain};
use crate::submit::Submission;

/// When the broker is asked again that did not take a turn into its line.
const AGAIN: Duration = Duration::from_millis(100);

/// Counts as the tokenizer of a model's name does.
pub(crate) fn count(counter: &Counter) -> CountTokens {
    let counter = counter.clone();
    Arc::new(move |model, messages| counter.messages(model, messages))
}

/// Refuses a turn that too many others would come before. One whose time has not come is not in line yet.
pub(crate) async fn has_room(app: &App, tenant: &str, submission: &Submission) -> Result<(), ApiError> {
    let later = submission.not_before.is_some_and(|moment| moment > app.broker.now());
    let Some(name) = submission.session.as_deref().filter(|_| !later) else { return Ok(()) };
    let waiting = within(app.config.ingress.submit_timeout, app.sessions.waiting(tenant, name)).await?;
    if waiting < app.config.sessions.max_waiting {
        return Ok(());
    }
    let message = format!("{waiting} turns of this session are waiting already; try again once some have ended");
    Err(ApiError::new(ErrorCode::RateLimited, message))
}

/// Puts an accepted job in its session's line before its client hears of it, so that the turns are in the order of their
/// answers.
///
/// # Errors
/// When the broker does not take it in time. The job runs all the same, in whatever place its worker puts it.
pub(crate) async fn join(app: &App, job: &Job, replayed: bool) -> Result<(), ApiError> {
    let later = job.head.not_before.is_some_and(|moment| moment > job.head.created_at);
    if job.head.session.is_none() || later {
        return Ok(());
    }
    let joined = within(app.config.ingress.submit_timeout, async {
        loop {
            match app.sessions.join(&job.head, job.id, replayed).await {
                Err(SessionError::Broker(_)) => tokio::time::sleep(AGAIN).await,
                joined => return joined,
            }
        }
    });
    joined.await.map_err(ApiError::open)
}

/// What a client asks of its sessions. Settling may count a long turn, and load the model's encoding first: it may take
/// as long as a large body.
pub(crate) async fn bounded<T>(app: &App, asked: impl Future<Output = Result<T, SessionError>>) -> Result<T, ApiError> {
    within(app.config.ingress.body_timeout, asked).await
}

async fn within<T>(patience: Duration, asked: impl Future<Output = Result<T, SessionError>>) -> Result<T, ApiError> {
    let answered = timeout(patience, asked).await;
    let answered = answered.map_err(|_| ApiError::unavailable("the broker does not answer; try again"))?;
    answered
        .inspect_err(|error| tracing::debug!(error = chain(error), "a session cannot be reached"))
        .map_err(Into::into)
}
