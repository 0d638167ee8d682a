//! `GET /v1/jobs/{id}/events`: the job as server-sent events.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use futures::stream::{self, BoxStream, StreamExt};
use http::{HeaderMap, HeaderName};
use schemas::id::JobId;
use tokio::sync::Notify;

use super::{Counted, about};
use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::lookup::{self, Found};
use crate::stream::follow::{self, Input, Position};
use crate::stream::{inputs, sse};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Statuses, deltas and the end, as they happen.
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = lookup::id_of(path)?;
    let watch = app.broker.watch(id);
    let found = lookup::find(&app, &caller.tenant, id).await?;
    let streams = found.head().stream;
    let first = match &found {
        Found::Recorded(record) if found.is_terminal() => inputs::ended(&app, id, record).await,
        _ => Input::View(Box::new(lookup::view(&app, id, &found).await?)),
    };
    let ended = Arc::new(Notify::new());
    let tell = Arc::clone(&ended);
    let statuses = inputs::statuses(Arc::clone(&app), Arc::clone(&caller.tenant), id, watch);
    let statuses = stream::once(async { first }).chain(statuses).inspect(move |input| {
        if matches!(input, Input::Ended(_, None)) {
            tell.notify_one();
        }
    });
    let inputs = stream::select(statuses.boxed(), frames(&app, id, streams, ended).await?).boxed();
    let present = (Counted::new(app.metrics.clients.waiting.with_label_values(&["events"])), app.waiters.join(id));
    let events = follow::events(until(&app, inputs), streams, last_event(&headers));
    let events = events.inspect(move |_| {
        // Held for as long as the stream is.
        let _ = &present;
    });
    Ok(about(id, sse::response(events, app.config.ingress.keepalive)))
}

/// The job's deltas. A job that makes none has none, for ever.
async fn frames(
    app: &App,
    id: JobId,
    streams: bool,
    ended: Arc<Notify>,
) -> Result<BoxStream<'static, Input>, ApiError> {
    if !streams {
        return Ok(stream::pending().boxed());
    }
    let mut frames = app.broker.frames(id).await?;
    frames.catch_up().await;
    Ok(inputs::frames(frames, ended).map(Input::Frame).boxed())
}

/// Ends with the service.
fn until(app: &App, inputs: BoxStream<'static, Input>) -> BoxStream<'static, Input> {
    inputs.take_until(app.shutdown.clone().cancelled_owned()).boxed()
}

/// Where the client was. One that cannot be read begins at the beginning.
fn last_event(headers: &HeaderMap) -> Option<Position> {
    headers.get(LAST_EVENT_ID)?.to_str().ok()?.parse().ok()
}
