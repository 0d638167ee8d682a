//! Sessions, as submits and routes see them.

use std::time::Duration;

use broker::SessionError;
use schemas::error::ErrorCode;
use schemas::job::Job;
use tokio::time::timeout;

use crate::app::App;
use crate::error::{ApiError, chain};

/// When the broker is asked again that did not take a turn into its line.
const AGAIN: Duration = Duration::from_millis(100);

/// Refuses a turn of `session` that too many others would come before.
pub(crate) async fn has_room(app: &App, tenant: &str, session: &str) -> Result<(), ApiError> {
    let waiting = within(app.config.ingress.submit_timeout, app.sessions.waiting(tenant, session)).await?;
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
    if job.head.session.is_none() || job.head.is_delayed() {
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
