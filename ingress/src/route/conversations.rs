//! `/v1/conversations`: OpenAI's Conversations API. A conversation is a session of that name.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use broker::Created;
use runtime::clock;
use schemas::chat::Message;
use schemas::dialect::openai_responses;
use schemas::error::{ErrorCode, Failure};
use schemas::id::JobId;
use schemas::session::{History, TurnFault};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::error::ApiError;
use crate::session::bounded;
use crate::submit::{is_session_name, parse_metadata};

/// `POST`: a new conversation, with the messages it begins with.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    body: Option<JsonBody>,
) -> Result<Json<Value>, ApiError> {
    let (mut object, _hold) = body.map(|body| (body.object, body.hold)).unwrap_or_default();
    let (metadata, messages) = (metadata(&mut object)?, items(&mut object)?);
    let name = JobId::new(clock::now(), clock::random_bits()).prefixed("conv_");
    let created = app.sessions.create(&caller.tenant, &name, metadata.unwrap_or_default(), messages);
    match bounded(&app, created).await? {
        Created::Now(history) => Ok(shown(&name, &history)),
        Created::Fault(fault) => Err(unfit(&fault).into()),
    }
}

/// `GET`: the conversation, without its items.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(shown(&name, &find(&app, &caller, &name).await?))
}

/// `POST .../{id}`: replaces its metadata.
pub(crate) async fn update(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    mut body: JsonBody,
) -> Result<Json<Value>, ApiError> {
    let metadata = metadata(&mut body.object)?.unwrap_or_default();
    let labelled = bounded(&app, app.sessions.label(&caller.tenant, &name, &metadata)).await?;
    Ok(shown(&name, &labelled.ok_or_else(unknown)?))
}

/// `DELETE`: forgets it.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    if !bounded(&app, app.sessions.delete(&caller.tenant, &name)).await? {
        return Err(unknown());
    }
    Ok(Json(json!({"id": name, "object": "conversation.deleted", "deleted": true})))
}

/// Refuses a response whose conversation there is not.
pub(crate) async fn known(app: &App, caller: &Caller, name: &str) -> Result<(), ApiError> {
    let known = match is_session_name(name) {
        true => bounded(app, app.sessions.history(&caller.tenant, name)).await?.is_some(),
        false => false,
    };
    if known { Ok(()) } else { Err(unknown()) }
}

/// The conversation, with every turn that has ended.
pub(super) async fn find(app: &App, caller: &Caller, name: &str) -> Result<History, ApiError> {
    let seen = bounded(app, app.sessions.read(&caller.tenant, name)).await?.ok_or_else(unknown)?;
    seen.history.ok_or_else(unknown)
}

/// The messages of `items`.
pub(super) fn items(object: &mut Map<String, Value>) -> Result<Vec<Message>, Failure> {
    match object.remove("items").filter(|items| !items.is_null()) {
        Some(items @ Value::Array(_)) => Ok(openai_responses::decode_items(items, "items")?.0),
        Some(_) => Err(Failure::invalid("items", "expected an array of items")),
        None => Ok(Vec::new()),
    }
}

/// The refusal of messages that cannot be kept.
pub(super) fn unfit(fault: &TurnFault) -> Failure {
    Failure::invalid("items", fault)
}

/// The refusal of a conversation that there is not.
pub(super) fn unknown() -> ApiError {
    let message = "there is no such conversation";
    Failure { param: Some("conversation".to_owned()), ..Failure::new(ErrorCode::NotFound, message) }.into()
}

fn metadata(object: &mut Map<String, Value>) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let metadata = object.remove("metadata").filter(|metadata| !metadata.is_null());
    metadata.map(|metadata| parse_metadata(&metadata)).transpose()
}

fn shown(name: &str, history: &History) -> Json<Value> {
    let created_at = history.created_at.as_secs();
    Json(json!({"id": name, "object": "conversation", "created_at": created_at, "metadata": history.metadata}))
}
