//! `previous_response_id`: the new request goes on from the input and the output of an earlier response.

use schemas::chat::{ChatRequest, Message};
use schemas::dialect::openai_responses;
use schemas::error::{ErrorCode, Failure};
use schemas::state::Phase;

use super::kept::{self, Options};
use crate::answer;
use crate::app::App;
use crate::auth::Caller;
use crate::body::Holds;
use crate::error::ApiError;
use crate::lookup::Found;

const PARAM: &str = "previous_response_id";

/// Puts what `options` go on from before the messages of `request`. Returns the memory set aside for it, if there was
/// anything.
pub(crate) async fn extend(
    app: &App,
    caller: &Caller,
    options: &Options,
    request: &mut ChatRequest,
) -> Result<Option<Holds>, ApiError> {
    let Some(previous) = options.previous_response_id.as_deref() else { return Ok(None) };
    let (mut history, hold) = history(app, caller, previous).await?;
    let own = usize::from(options.instructions.is_some()).min(request.messages.len());
    let new = request.messages.split_off(own);
    history.extend(new);
    request.messages.extend(history);
    Ok(Some(hold))
}

/// The conversation up to and with the answer of `previous`. Its instructions were for that request alone.
async fn history(app: &App, caller: &Caller, previous: &str) -> Result<(Vec<Message>, Holds), ApiError> {
    let missing = || Failure::invalid(PARAM, "there is no such response, or it was not stored");
    let id = previous.parse().map_err(|_| missing())?;
    let known = super::known(app, caller, id).await.map_err(|error| match error.failure().code {
        ErrorCode::NotFound | ErrorCode::Gone => missing().into(),
        _ => error,
    })?;
    let Found::Recorded(record) = &known.found else { return Err(unfinished().into()) };
    if !matches!(record.state.phase, Phase::Completed | Phase::Incomplete) {
        return Err(unfinished().into());
    }
    let answer = answer::of_record(app, record).await?;
    let (request, hold) = kept::request(app, id, &known.found).await?;
    let mut messages = openai_responses::without_instructions(&request.messages, &known.options).to_vec();
    messages.push(answer.message);
    Ok((messages, hold))
}

fn unfinished() -> Failure {
    Failure::invalid(
        PARAM,
        "that response has no answer (yet): only one that is completed or incomplete can be gone on from",
    )
}
