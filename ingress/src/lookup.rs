//! Where a job is: STATE, its waiting message, STATE again, else history. Another tenant's job is no job.

use axum::extract::Path;
use broker::{Record, Sighting};
use schemas::envelope;
use schemas::error::ErrorCode;
use schemas::id::JobId;
use schemas::job::{Job, JobHead};
use schemas::state::Phase;
use schemas::view::{JobView, Status};
use tokio::time::timeout;

use crate::app::App;
use crate::error::{ApiError, chain};

/// A job that the broker still has.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// Its record.
    Recorded(Box<Record>),
    /// No worker has touched it.
    Waiting {
        /// The job as submitted.
        job: Box<Job>,
        /// It waits for its time.
        delayed: bool,
    },
}

impl Found {
    /// What it is.
    pub(crate) fn head(&self) -> &JobHead {
        match self {
            Self::Recorded(record) => &record.state.head,
            Self::Waiting { job, .. } => &job.head,
        }
    }

    /// Whether it has ended.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Recorded(record) if record.state.phase.is_terminal())
    }
}

/// The id in a path.
pub(crate) fn id_of(Path(text): Path<String>) -> Result<JobId, ApiError> {
    text.parse().map_err(|_| unknown())
}

/// The job `id` of `tenant`.
pub(crate) async fn find(app: &App, tenant: &str, id: JobId) -> Result<Found, ApiError> {
    let found = match sight(app, id).await? {
        Sighting::Recorded(record) => Found::Recorded(Box::new(record)),
        Sighting::Queued(job) => Found::Waiting { job: Box::new(job), delayed: false },
        Sighting::Delayed(job) => Found::Waiting { job: Box::new(job), delayed: true },
        Sighting::Absent => return Err(past(app, tenant, id).await?),
    };
    if found.head().tenant == tenant && !is_hidden(app, id, &found).await? { Ok(found) } else { Err(unknown()) }
}

/// Whether its client deleted the job.
async fn is_hidden(app: &App, id: JobId, found: &Found) -> Result<bool, ApiError> {
    if !can_be_hidden(found) {
        return Ok(false);
    }
    let hidden = timeout(app.config.ingress.submit_timeout, app.broker.is_hidden(id)).await;
    Ok(hidden.map_err(|_| ApiError::unavailable("the broker does not answer; try again"))??)
}

/// Only responses can be deleted, and they are ended first. What an answered one keeps tells it from other jobs, which are
/// not asked for; other ends may have kept nothing.
fn can_be_hidden(found: &Found) -> bool {
    let Found::Recorded(record) = found else { return false };
    let kept = record.state.result.as_ref().and_then(|result| result.kept.as_ref());
    match record.state.phase {
        Phase::Completed | Phase::Incomplete => kept.is_some_and(|kept| kept.surface.is_some()),
        phase => phase.is_terminal(),
    }
}

/// A job as its client reads it.
pub(crate) async fn view(app: &App, id: JobId, found: &Found) -> Result<JobView, ApiError> {
    match found {
        Found::Waiting { job, delayed } => Ok(JobView::queued(job, *delayed)),
        Found::Recorded(record) => recorded(app, id, record).await,
    }
}

/// A record as its client reads it, its output fetched when it lies elsewhere.
pub(crate) async fn recorded(app: &App, id: JobId, record: &Record) -> Result<JobView, ApiError> {
    let mut view = JobView::of_state(id, &record.state);
    let stored = record.state.result.as_ref().and_then(|result| result.stored_output.as_deref());
    if let Some(object) = stored {
        view.output = Some(stored_value(app, object).await?);
    }
    Ok(view)
}

/// A value of the object store.
pub(crate) async fn stored_value<T: serde::de::DeserializeOwned>(app: &App, object: &str) -> Result<T, ApiError> {
    // The stored form of an answer is somewhat larger than the answer was.
    let limit = app.config.worker.max_answer_bytes.saturating_mul(2);
    let bytes = timeout(app.config.ingress.body_timeout, app.broker.body(object, limit)).await;
    let bytes = bytes.map_err(|_| ApiError::unavailable("the object store does not answer; try again"))??;
    let bytes = bytes.ok_or_else(|| ApiError::new(ErrorCode::Gone, "the job's output is past its retention"))?;
    envelope::decode(&bytes).map_err(|error| {
        tracing::error!(error = chain(&error), "stored output cannot be read");
        ApiError::new(ErrorCode::Internal, "the job's output cannot be read")
    })
}

async fn sight(app: &App, id: JobId) -> Result<Sighting, ApiError> {
    let sighting = timeout(app.config.ingress.submit_timeout, app.broker.find(id)).await;
    Ok(sighting.map_err(|_| ApiError::unavailable("the broker does not answer; try again"))??)
}

/// The answer for an id that the broker does not know: gone when history remembers it, else unknown.
async fn past(app: &App, tenant: &str, id: JobId) -> Result<ApiError, ApiError> {
    let Some(view) = app.store.get(tenant, id).await.map_err(history_away)? else { return Ok(unknown()) };
    // A job that never ended within its retention was expired there; history may not have heard of it.
    let status = if view.status.is_terminal() { view.status } else { Status::Expired };
    let message = format!("the job ended {status}; it is past its retention and only history knows it");
    Ok(ApiError::new(ErrorCode::Gone, message).with_ended(status))
}

/// The refusal while SQL is away.
pub(crate) fn history_away(error: crate::record::StoreError) -> ApiError {
    // The causes of any other error may quote a record.
    let text = if error.is_transient() { chain(&error) } else { error.to_string() };
    tracing::warn!(error = text, "history failed a request");
    ApiError::unavailable("history is not available; try again")
}

fn unknown() -> ApiError {
    ApiError::not_found("no such job")
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::state::JobState;
    use schemas::timestamp::Timestamp;
    use serde_json::json;

    fn found(phase: &str, result: &serde_json::Value) -> Found {
        let state = json!({
            "phase": phase, "nonce": "n", "holder": "", "attempts": [], "carrier": {"stream": ""}, "result": result,
            "head": {"tenant": "t", "model": "m", "created_at": 0, "body_hash": ""},
        });
        let state: JobState = serde_json::from_value(state).unwrap();
        Found::Recorded(Box::new(Record { seq: 1, state: Box::new(state), written_at: Timestamp::default() }))
    }

    #[test]
    fn only_what_may_have_been_deleted_is_asked_for() {
        let surface = json!({"kept": {"surface": {"dialect": "openai_responses", "echo": {}, "store": true}}});
        let nothing = json!({});
        for (phase, result, asked) in [
            ("completed", &surface, true),
            ("incomplete", &surface, true),
            ("completed", &nothing, false),
            ("cancelled", &nothing, true),
            ("failed", &nothing, true),
            ("running", &nothing, false),
        ] {
            assert_eq!(can_be_hidden(&found(phase, result)), asked, "{phase} {result}");
        }
    }
}
