//! A response as it is shown: what its job has come to, with what its request said.

use broker::Record;
use schemas::dialect::openai_responses::{self, Reply, Status};
use schemas::error::{ErrorCode, Failure};
use schemas::id::JobId;
use schemas::job::JobHead;
use schemas::state::Phase;
use serde_json::Value;

use super::Known;
use super::kept::Options;
use crate::answer;
use crate::app::App;
use crate::error::ApiError;
use crate::lookup::Found;

/// The object of a response that has not begun.
pub(crate) fn queued(id: JobId, head: &JobHead, options: Options) -> Value {
    openai_responses::encode_without_output(&reply(id, head, options, Status::Queued))
}

/// The object of a response as it is now.
pub(crate) async fn shown(app: &App, known: Known) -> Result<Value, ApiError> {
    let Known { id, found, options } = known;
    let Found::Recorded(record) = found else { return Ok(queued(id, found.head(), options)) };
    let mut reply = reply(id, &record.state.head, options, status(&record));
    if reply.status != Status::Completed {
        return Ok(openai_responses::encode_without_output(&reply));
    }
    reply.completed_at = record.state.finished_at.map(|moment| moment.as_secs());
    let whole = answer::of_record(app, &record).await?;
    Ok(openai_responses::encode_response(&whole, &reply))
}

/// An answer's own fields.
pub(crate) fn reply(id: JobId, head: &JobHead, options: Options, status: Status) -> Reply {
    Reply {
        id: id.prefixed("resp_"),
        created_at: head.created_at.as_secs(),
        completed_at: None,
        model: head.model.clone(),
        status,
        options,
    }
}

fn status(record: &Record) -> Status {
    let state = &record.state;
    let told = state.result.as_ref().and_then(|result| result.error.clone());
    let failed = |code, message: &str| Status::Failed(told.clone().unwrap_or_else(|| Failure::new(code, message)));
    match state.phase {
        Phase::Running => Status::InProgress,
        Phase::Parked if state.attempts.is_empty() => Status::Queued,
        Phase::Parked => Status::InProgress,
        Phase::Completed | Phase::Incomplete => Status::Completed,
        Phase::Cancelled => Status::Cancelled,
        Phase::Failed => failed(ErrorCode::Internal, "the job failed"),
        Phase::Expired => failed(ErrorCode::Expired, "the deadline passed before there was an answer"),
    }
}
