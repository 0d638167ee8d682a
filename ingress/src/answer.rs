//! What a synchronous caller gets of an ended job: the answer, or the failure that took its place.

use broker::Record;
use schemas::chat::{ChatResponse, Extra, FinishReason, Message, Role};
use schemas::dialect::anthropic;
use schemas::error::{ErrorCode, Failure};
use schemas::state::{Aside, JobResult, JobState, Phase};

use crate::app::App;
use crate::error::ApiError;
use crate::lookup;

/// The answer of an ended job, fetched from where it is.
///
/// # Errors
/// The job's own failure, as a refusal; and an open one when the answer is there but cannot be fetched now.
pub(crate) async fn of_record(app: &App, record: &Record) -> Result<ChatResponse, ApiError> {
    let mut response = of_state(&record.state).map_err(ApiError::from)?;
    let Some(result) = &record.state.result else { return Ok(response) };
    if let Some(object) = &result.stored_output {
        response.message = lookup::stored_value(app, object).await.map_err(ApiError::open)?;
    }
    if let Some(object) = &result.stored_aside {
        let Aside { logprobs, extra } = lookup::stored_value(app, object).await.map_err(ApiError::open)?;
        (response.logprobs, response.extra) = (logprobs, told(extra, result));
    }
    Ok(response)
}

fn of_state(state: &JobState) -> Result<ChatResponse, Failure> {
    let nothing = JobResult::default();
    let result = state.result.as_deref().unwrap_or(&nothing);
    match state.phase {
        Phase::Completed | Phase::Incomplete => Ok(response(state, result)),
        phase => Err(result.error.clone().unwrap_or_else(|| failure(phase))),
    }
}

fn response(state: &JobState, result: &JobResult) -> ChatResponse {
    let cut = if state.phase == Phase::Incomplete { FinishReason::Length } else { FinishReason::Stop };
    ChatResponse {
        id: result.response_id.clone(),
        model: result.model.clone().unwrap_or_else(|| state.head.model.clone()),
        message: result.output.clone().unwrap_or_else(|| Message::text(Role::Assistant, "")),
        finish: result.finish.unwrap_or(cut),
        usage: result.usage,
        logprobs: result.logprobs.clone(),
        extra: told(result.extra.clone(), result),
    }
}

/// With what pruning did, where an API tells it.
fn told(mut extra: Extra, result: &JobResult) -> Extra {
    if let Some(report) = &result.context {
        anthropic::tell_cleared(&mut extra, report);
    }
    extra
}

/// For a record that does not say why.
fn failure(phase: Phase) -> Failure {
    let (code, message) = match phase {
        Phase::Cancelled => (ErrorCode::Cancelled, "the job was cancelled"),
        Phase::Expired => (ErrorCode::Expired, "the deadline passed before there was an answer"),
        _ => (ErrorCode::Internal, "the job failed"),
    };
    Failure::new(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::state::{Carrier, ContextReport, Nonce};
    use serde_json::json;

    fn state(phase: Phase, result: Option<JobResult>) -> JobState {
        JobState {
            phase,
            nonce: Nonce::new(1),
            holder: String::new(),
            attempts: Vec::new(),
            carrier: Carrier::Stream(String::new()),
            until: None,
            reason: None,
            head: serde_json::from_value(json!({"tenant": "t", "model": "m", "created_at": 0, "body_hash": ""}))
                .unwrap(),
            started_at: None,
            finished_at: None,
            result: result.map(Box::new),
        }
    }

    #[test]
    fn an_answer_that_was_cut_says_so() {
        let cut = of_state(&state(Phase::Incomplete, Some(JobResult::default()))).unwrap();
        assert_eq!((cut.finish, cut.model.as_str()), (FinishReason::Length, "m"));
        let filtered = JobResult { finish: Some(FinishReason::ContentFilter), ..JobResult::default() };
        let filtered = of_state(&state(Phase::Incomplete, Some(filtered))).unwrap();
        assert_eq!(filtered.finish, FinishReason::ContentFilter);
    }

    #[test]
    fn a_client_of_anthropics_api_hears_which_tool_results_were_cleared() {
        let context = ContextReport { tool_results_cleared: 2, tokens_cleared: 700, ..ContextReport::default() };
        let told = |context| of_state(&state(Phase::Completed, Some(JobResult { context, ..JobResult::default() })));
        let answer = told(Some(context)).unwrap();
        let reply = anthropic::Reply { id: "msg_1".to_owned(), model: "m".to_owned(), input_tokens: 0 };
        let edit = json!({"type": "clear_tool_uses_20250919", "cleared_tool_uses": 2, "cleared_input_tokens": 700});
        let body = anthropic::encode_response(&answer, &reply);
        assert_eq!(body["context_management"], json!({"applied_edits": [edit]}));
        assert!(told(Some(ContextReport::default())).unwrap().extra.is_empty());
    }

    #[test]
    fn every_other_end_is_a_failure() {
        let code = |phase| of_state(&state(phase, None)).unwrap_err().code;
        assert_eq!(code(Phase::Cancelled), ErrorCode::Cancelled);
        assert_eq!(code(Phase::Expired), ErrorCode::Expired);
        assert_eq!(code(Phase::Failed), ErrorCode::Internal);
        let error = Failure::new(ErrorCode::ProviderRejected, "no");
        let told = JobResult { error: Some(error.clone()), ..JobResult::default() };
        assert_eq!(of_state(&state(Phase::Failed, Some(told))), Err(error));
    }
}
