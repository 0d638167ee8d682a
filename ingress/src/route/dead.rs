//! One dead job: read it with its whole history, submit it anew, delete it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use broker::BrokerError;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use runtime::clock;
use schemas::chat::ChatRequest;
use schemas::error::ErrorCode;
use schemas::id::JobId;
use schemas::job::Surface;
use serde::Serialize;
use serde_json::Map;
use tokio::time::timeout;

use super::{about, jobs};
use crate::app::App;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::dead::{self, Dead, DeadView};
use crate::error::ApiError;
use crate::lookup::id_of;
use crate::request_id::RequestId;
use crate::submit::{self, Identity, Origin, identity, replay as replaying};

/// One entry with everything that is known of it.
#[derive(Debug, Serialize)]
struct Detail {
    #[serde(flatten)]
    view: DeadView,
    /// Null when it is past its retention.
    request: Option<Box<ChatRequest>>,
    /// The first hundred jobs that this one was replayed as.
    replayed_as: Vec<JobId>,
}

/// `GET /v1/dead/{id}`: the job with every attempt, its request, and what it was replayed as.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
) -> Result<Response, ApiError> {
    let id = id_of(path)?;
    let Dead { entry, job, state } = dead::find(&app, &caller, id).await?;
    let replayed_as = bounded(&app, app.broker.replays(id)).await?;
    let found = dead::request(&app, id, job.job.request).await?;
    let (request, _hold) = found.unzip();
    Ok(about(id, Json(Detail { view: DeadView::new(entry, &state), request, replayed_as })))
}

/// `POST /v1/dead/{id}/replay`: a new job that names this one as its parent, of the same tenant. The entry stays: it is
/// history.
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Extension(request_id): Extension<RequestId>,
    path: Path<String>,
    headers: HeaderMap,
    body: Option<JsonBody>,
) -> Result<Response, ApiError> {
    let id = id_of(path)?;
    let (bytes, object, _hold) = body.map_or_else(nothing, |body| (body.bytes, body.object, body.hold));
    let changes = replaying::decode(&object)?;
    let parent = dead::find(&app, &caller, id).await?.job.job;
    let owner = Caller { tenant: parent.head.tenant.as_str().into(), admin: false, ..caller.clone() };
    let identity = Identity::of(&owner.tenant, &headers, clock::now(), clock::random_bits())?;
    let body_hash = identity::body_hash(&format!("/v1/dead/{id}/replay"), &bytes);
    let gone = || ApiError::new(ErrorCode::Gone, "the job's request is past its retention: it cannot be replayed");
    let (request, _request_hold) = dead::request(&app, id, parent.request.clone()).await?.ok_or_else(gone)?;
    let mut submission = replaying::submission(parent, *request, changes);
    submission.surface = surface_again(&app, submission.surface, identity.id).await?;
    let origin = Origin { caller: &owner, request_id: &request_id, identity, body_hash, body_bytes: usize::MAX };
    let submitted = submit::submit(&app, origin, submission).await?;
    note(&app, &caller, id, submitted.job.id).await;
    Ok(jobs::accepted(&submitted))
}

/// `DELETE /v1/dead/{id}`: forgets the entry. The job's record stays for its own retention.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
) -> Result<Response, ApiError> {
    let id = id_of(path)?;
    let Dead { entry, .. } = dead::find(&app, &caller, id).await?;
    bounded(&app, app.broker.delete_dead(entry)).await?;
    tracing::info!(job_id = %id.job(), caller.tenant = %caller.tenant, "dead job deleted");
    Ok(about(id, StatusCode::NO_CONTENT.into_response()))
}

/// What the parent shows of its request, where the child will find it.
async fn surface_again(app: &App, surface: Option<Surface>, child: JobId) -> Result<Option<Surface>, ApiError> {
    let again = timeout(app.config.ingress.body_timeout, app.broker.surface_again(surface, child)).await;
    again.map_err(|_| ApiError::unavailable("the object store does not answer; try again"))?.map_err(ApiError::from)
}

/// Writes down what became of the entry. The child names its parent whether or not this succeeds.
async fn note(app: &App, caller: &Caller, parent: JobId, child: JobId) {
    tracing::info!(job_id = %parent.job(), replay = %child.job(), caller.tenant = %caller.tenant, "dead job replayed");
    app.broker.note_replayed(parent, child, app.config.ingress.submit_timeout).await;
}

fn nothing() -> (Bytes, Map<String, serde_json::Value>, crate::body::Holds) {
    (Bytes::new(), Map::new(), Vec::new())
}

async fn bounded<T>(app: &App, asked: impl Future<Output = Result<T, BrokerError>>) -> Result<T, ApiError> {
    Ok(timeout(app.config.ingress.submit_timeout, asked).await.map_err(|_| dead::silent())??)
}
