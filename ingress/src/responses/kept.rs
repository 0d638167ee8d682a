//! What is kept of a response's request: while its job lives in the job's own message, afterwards in the result.

use schemas::chat::ChatRequest;
use schemas::dialect::openai_responses::{ClientOptions, NAME};
use schemas::error::ErrorCode;
use schemas::id::JobId;
use schemas::job::{Job, Payload, Surface};

use crate::app::App;
use crate::dead;
use crate::error::ApiError;
use crate::lookup::Found;

/// What a client asked for, beyond what the model is asked.
pub(crate) type Options = ClientOptions;

/// How a job of these options is shown later on.
pub(crate) fn surface(options: &Options) -> Result<Surface, ApiError> {
    let echo = serde_json::to_value(options)
        .map_err(|_| ApiError::new(ErrorCode::Internal, "the request could not be stored"))?;
    Ok(Surface { dialect: NAME.to_owned(), echo, store: options.store })
}

/// The options of a job; the defaults for one that came through another API, or of which nothing is kept any more.
pub(crate) async fn options(app: &App, id: JobId, found: &Found) -> Result<Options, ApiError> {
    let surface = match found {
        Found::Waiting { job, .. } => job.surface.clone(),
        Found::Recorded(record) => match record.state.result.as_ref().and_then(|result| result.kept.as_ref()) {
            Some(kept) => Some(kept.surface.clone()),
            None => app.broker.submitted(id).await?.and_then(|job| job.surface),
        },
    };
    let own = surface.filter(|surface| surface.dialect == NAME);
    Ok(own.and_then(|surface| serde_json::from_value(surface.echo).ok()).unwrap_or_default())
}

/// The request of a job.
///
/// # Errors
/// When it was not kept, or is past its retention.
pub(crate) async fn request(app: &App, id: JobId, found: &Found) -> Result<Box<ChatRequest>, ApiError> {
    let payload = match found {
        Found::Waiting { job, .. } => Some(job.request.clone()),
        Found::Recorded(record) => match record.state.result.as_ref().and_then(|result| result.kept.as_ref()) {
            Some(kept) => kept.request.clone(),
            None => app.broker.submitted(id).await?.map(|job: Job| job.request),
        },
    };
    let gone = || ApiError::new(ErrorCode::NotFound, "the input of this response is not kept any more");
    read(app, id, payload.ok_or_else(gone)?).await?.ok_or_else(gone)
}

async fn read(app: &App, id: JobId, payload: Payload) -> Result<Option<Box<ChatRequest>>, ApiError> {
    Ok(dead::request(app, id, payload).await?.map(|(request, _hold)| request))
}
