//! `/v1/sessions/{id}`: what is kept of a conversation, and forgetting it. Another tenant's session is no session.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use broker::Seen;
use http::StatusCode;
use schemas::chat::Message;
use schemas::id::JobId;
use schemas::session::{History, Statistics, Summary};
use schemas::timestamp::Timestamp;
use serde::Serialize;

use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::session::bounded;

/// A session as its client reads it.
#[derive(Debug, Serialize)]
pub(crate) struct SessionView {
    id: String,
    object: &'static str,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    messages: Vec<Said>,
    summary: Option<Summary>,
    statistics: Counts,
    metadata: BTreeMap<String, String>,
}

/// A message and the turn it belongs to; of no turn when no job made it.
#[derive(Debug, Serialize)]
struct Said {
    turn: Option<u64>,
    job: Option<JobId>,
    #[serde(flatten)]
    message: Message,
}

#[derive(Debug, Serialize)]
struct Counts {
    #[serde(flatten)]
    kept: Statistics,
    waiting: usize,
}

impl SessionView {
    fn new(id: String, Seen { history, waiting }: Seen) -> Self {
        let kept = history.as_ref().map(History::statistics).unwrap_or_default();
        let (created_at, updated_at) = history.as_ref().map(|history| (history.created_at, history.updated_at)).unzip();
        let (turns, summary, metadata) = match history {
            Some(History { turns, summary, metadata, .. }) => (turns, summary, metadata),
            None => Default::default(),
        };
        let messages = turns.into_iter().flat_map(|turn| {
            let (number, job) = (turn.number, turn.number.map(|_| turn.id));
            turn.messages.into_iter().map(move |message| Said { turn: number, job, message })
        });
        Self {
            id,
            object: "session",
            created_at,
            updated_at,
            messages: messages.collect(),
            summary,
            statistics: Counts { kept, waiting },
            metadata,
        }
    }
}

/// `GET`: its messages and statistics, every turn that has ended included.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<SessionView>, ApiError> {
    let seen = bounded(&app, app.sessions.read(&caller.tenant, &name)).await?.ok_or_else(unknown)?;
    Ok(Json(SessionView::new(name, seen)))
}

/// `DELETE`: forgets it. A turn that still waits or runs begins it anew.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let deleted = bounded(&app, app.sessions.delete(&caller.tenant, &name)).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(unknown()) }
}

/// `POST .../clear`: forgets its messages. A turn that runs meanwhile is the first of what follows.
pub(crate) async fn clear(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<SessionView>, ApiError> {
    let cleared = bounded(&app, app.sessions.clear(&caller.tenant, &name)).await?.ok_or_else(unknown)?;
    let waiting = bounded(&app, app.sessions.waiting(&caller.tenant, &name)).await?;
    Ok(Json(SessionView::new(name, Seen { history: Some(cleared), waiting })))
}

fn unknown() -> ApiError {
    ApiError::not_found("no such session")
}
