//! What is kept of a response's request: while its job lives in the job's own message, afterwards in the result.

use schemas::chat::ChatRequest;
use schemas::dialect::openai_responses::{ClientOptions, NAME};
use schemas::envelope;
use schemas::error::ErrorCode;
use schemas::id::JobId;
use schemas::job::{Job, Payload, Surface};
use tokio::time::timeout;

use crate::app::App;
use crate::body::Holds;
use crate::error::ApiError;
use crate::lookup::Found;
use crate::stored;

/// What a client asked for, beyond what the model is asked.
pub(crate) type Options = ClientOptions;

/// How a job of these options is shown later on.
pub(crate) fn surface(options: &Options) -> Result<Surface, ApiError> {
    let echo = serde_json::to_value(options)
        .map_err(|_| ApiError::new(ErrorCode::Internal, "the request could not be stored"))?;
    Ok(Surface { dialect: NAME.to_owned(), echo, stored_echo: None, store: options.store })
}

/// The options of a job; the defaults for one that came through another API, or of which nothing is kept any more.
pub(crate) async fn options(app: &App, id: JobId, found: &Found) -> Result<Options, ApiError> {
    let surface = match found {
        Found::Waiting { job, .. } => job.surface.clone(),
        Found::Recorded(record) => match record.state.result.as_ref().and_then(|result| result.kept.as_ref()) {
            Some(kept) => kept.surface.clone(),
            None => app.broker.submitted(id).await?.and_then(|job| job.surface),
        },
    };
    let Some(surface) = surface.filter(|surface| surface.dialect == NAME) else { return Ok(Options::default()) };
    let told = match &surface.stored_echo {
        None => serde_json::from_value(surface.echo).ok(),
        Some(object) => stored_options(app, object).await?,
    };
    Ok(told.unwrap_or_else(|| Options { store: surface.store, ..Options::default() }))
}

/// Options that were too large to be carried along; `None` past their retention.
async fn stored_options(app: &App, object: &str) -> Result<Option<Options>, ApiError> {
    // As MessagePack they are smaller than as the JSON that was let in.
    let limit = app.config.ingress.max_body_bytes.saturating_mul(2);
    let bytes = timeout(app.config.ingress.body_timeout, app.broker.body(object, limit)).await;
    let bytes = bytes.map_err(|_| ApiError::unavailable("the object store does not answer; try again"))??;
    Ok(bytes.and_then(|bytes| envelope::decode(&bytes).ok()))
}

/// The request of a job, and the memory set aside for it.
///
/// # Errors
/// When it was not kept, is past its retention, or is a conversation that has grown larger than a request may be.
pub(crate) async fn request(app: &App, id: JobId, found: &Found) -> Result<(Box<ChatRequest>, Holds), ApiError> {
    let payload = match found {
        Found::Waiting { job, .. } => Some(job.request.clone()),
        Found::Recorded(record) => match record.state.result.as_ref().and_then(|result| result.kept.as_ref()) {
            Some(kept) => kept.request.clone(),
            None => app.broker.submitted(id).await?.map(|job: Job| job.request),
        },
    };
    let gone = || ApiError::new(ErrorCode::NotFound, "the input of this response is not kept any more");
    let payload = payload.ok_or_else(gone)?;
    check_size(&payload, app.config.ingress.max_body_bytes)?;
    let fetch = async |object: String, limit| app.broker.body(&object, limit).await;
    stored::request(app, payload, fetch).await?.ok_or_else(gone)
}

/// Each response that goes on from another keeps the whole conversation: it must not grow without end.
fn check_size(payload: &Payload, limit: usize) -> Result<(), ApiError> {
    match payload {
        Payload::Stored { bytes, .. } if *bytes > limit as u64 => {
            let message = format!("the conversation has grown to {bytes} bytes, more than {limit}: begin a new one");
            Err(ApiError::new(ErrorCode::PayloadTooLarge, message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_bounded() {
        let stored = |bytes| Payload::Stored { object: "o".to_owned(), bytes };
        assert!(check_size(&stored(10), 10).is_ok() && check_size(&Payload::Inline(Box::default()), 0).is_ok());
        let refused = check_size(&stored(11), 10).unwrap_err();
        assert_eq!(refused.failure().code, ErrorCode::PayloadTooLarge);
    }
}
