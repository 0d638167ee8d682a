//! Requests that lie in the object store, read within the budget of memory that bodies share.

use broker::BrokerError;
use bytes::Bytes;
use schemas::chat::ChatRequest;
use schemas::envelope;
use schemas::error::ErrorCode;
use schemas::job::Payload;
use tokio::time::timeout;

use crate::app::App;
use crate::body::{Holds, within};
use crate::error::{ApiError, chain};

/// The request of a job, and the memory set aside for it, to be held for as long as the request is; `None` past its
/// retention. `fetch` reads the named object, up to a limit of bytes.
pub(crate) async fn request<F>(
    app: &App,
    payload: Payload,
    fetch: impl FnOnce(String, usize) -> F,
) -> Result<Option<(Box<ChatRequest>, Holds)>, ApiError>
where
    F: Future<Output = Result<Option<Bytes>, BrokerError>>,
{
    let (object, bytes) = match payload {
        Payload::Inline(request) => return Ok(Some((request, Vec::new()))),
        Payload::Stored { object, bytes } => (object, usize::try_from(bytes).unwrap_or(usize::MAX)),
    };
    let patience = app.config.ingress.body_timeout;
    let hold =
        vec![within(patience, app.memory.hold(bytes)).await?, within(patience, app.memory.hold_built(bytes)).await?];
    // As MessagePack a request is smaller than as the JSON that was let in.
    let limit = app.config.ingress.max_body_bytes.saturating_mul(2);
    let body = timeout(patience, fetch(object, limit)).await;
    let Some(body) = body.map_err(|_| ApiError::unavailable("the object store does not answer; try again"))?? else {
        return Ok(None);
    };
    let request = envelope::decode(&body).map_err(|error| {
        tracing::error!(error = chain(&error), "stored request cannot be read");
        ApiError::new(ErrorCode::Internal, "the job's request cannot be read")
    })?;
    Ok(Some((request, hold)))
}
