//! The native jobs API: submit, read (and wait), cancel.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use broker::Cancelled;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use runtime::clock;
use schemas::id::JobId;
use schemas::view::JobView;
use tokio::time::{Instant, timeout};

use super::{Counted, about};
use crate::app::App;
use crate::auth::Caller;
use crate::body::{JsonBody, offload};
use crate::error::ApiError;
use crate::lookup::{self, Found};
use crate::prefer;
use crate::request_id::RequestId;
use crate::submit::{self, Identity, Origin, Submitted, identity, native};

const ROUTE: &str = "/v1/jobs";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// `POST /v1/jobs`: 202 once the job is durable. Every repeat of one idempotency key has the same body. With
/// `Prefer: wait=N` 200 and the job as it ended, if it ends within N seconds.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let identity = Identity::of(&caller.tenant, &headers, clock::now(), clock::random_bits())?;
    let JsonBody { bytes, object, hold } = body;
    let body_bytes = bytes.len();
    let work = move || (identity::body_hash(ROUTE, &bytes), native::decode(object));
    let ((body_hash, submission), hold) = offload(body_bytes, hold, work).await?;
    let submission = submission?;
    let origin = Origin { caller: &caller, request_id: &request_id, identity, body_hash, body_bytes };
    let submitted = submit::submit(&app, origin, submission).await?;
    drop(hold);
    let Some(wait) = wait_asked(&app, &headers) else { return Ok(accepted(&submitted)) };
    let id = submitted.job.id;
    let mut answer = accepted(&submitted);
    // The job is accepted, whatever becomes of the wait.
    if let Ok(found) = ended_within(&app, &caller, id, wait).await
        && found.is_terminal()
        && let Ok(view) = lookup::view(&app, id, &found).await
    {
        let ended = Json(view).into_response();
        *answer.status_mut() = StatusCode::OK;
        *answer.body_mut() = ended.into_body();
    }
    answer.headers_mut().extend(preference_applied(wait));
    Ok(answer)
}

/// 202 with a job that is durable, and where to read it.
pub(super) fn accepted(submitted: &Submitted) -> Response {
    let id = submitted.job.id;
    let view = JobView::queued(&submitted.job, submitted.job.head.is_delayed());
    let location = HeaderValue::from_str(&format!("{ROUTE}/{}", id.job())).ok();
    let replayed = submitted.replayed.then_some(HeaderValue::from_static("true"));
    let mut answer = (StatusCode::ACCEPTED, Json(view)).into_response();
    answer.headers_mut().extend([(header::LOCATION, location), (REPLAYED, replayed)].into_iter().filter_map(present));
    about(id, answer)
}

/// `GET /v1/jobs/{id}`: the job as it is. With `Prefer: wait=N` as soon as it has ended, at the latest in N seconds.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = lookup::id_of(path)?;
    let wait = wait_asked(&app, &headers);
    let found = match wait {
        None => lookup::find(&app, &caller.tenant, id).await?,
        Some(wait) => ended_within(&app, &caller, id, wait).await?,
    };
    let view = lookup::view(&app, id, &found).await?;
    let mut answer = Json(view).into_response();
    answer.headers_mut().extend(wait.and_then(preference_applied));
    Ok(about(id, answer))
}

/// `POST /v1/jobs/{id}/cancel`: the job as it ended, by this call or before it.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
) -> Result<Response, ApiError> {
    let id = lookup::id_of(path)?;
    let found = lookup::find(&app, &caller.tenant, id).await?;
    if found.is_terminal() {
        return Ok(about(id, Json(lookup::view(&app, id, &found).await?)));
    }
    let cancelled = timeout(app.config.ingress.submit_timeout, app.broker.cancel(id)).await;
    let cancelled = cancelled.map_err(|_| ApiError::unavailable("the broker does not answer; try again"))??;
    let view = match cancelled {
        Cancelled::Now(record) | Cancelled::Already(record) => lookup::recorded(&app, id, &record).await?,
        Cancelled::Absent => return Err(ApiError::not_found("no such job")),
    };
    Ok(about(id, Json(view)))
}

/// How long the client would like the answer to wait, as far as that is granted.
fn wait_asked(app: &App, headers: &HeaderMap) -> Option<Duration> {
    prefer::wait(headers).map(|seconds| Duration::from_secs(seconds).min(app.config.ingress.max_wait))
}

fn preference_applied(wait: Duration) -> Option<(HeaderName, HeaderValue)> {
    present((PREFERENCE_APPLIED, HeaderValue::from_str(&format!("wait={}", wait.as_secs())).ok()))
}

/// The job once it has ended, or as it is when time is up or the service stops.
async fn ended_within(app: &Arc<App>, caller: &Caller, id: JobId, wait: Duration) -> Result<Found, ApiError> {
    let deadline = Instant::now() + wait;
    // Listens before it looks, so that an end in between is not missed.
    let mut watch = app.broker.watch(id);
    let found = lookup::find(app, &caller.tenant, id).await?;
    if found.is_terminal() {
        return Ok(found);
    }
    let _counted = Counted::new(app.metrics.clients.waiting.with_label_values(&["wait"]));
    let waiter = app.waiters.join(id);
    match app.shutdown.run_until_cancelled(watch.ended(deadline, false)).await {
        Some(Ok(Some(record))) => {
            waiter.served();
            Ok(Found::Recorded(Box::new(record)))
        }
        _ => lookup::find(app, &caller.tenant, id).await,
    }
}

fn present<N>((name, value): (N, Option<HeaderValue>)) -> Option<(N, HeaderValue)> {
    value.map(|value| (name, value))
}
