//! `/v1/conversations/{id}/items`: what was said in a conversation, by pages; and saying something without a response.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use schemas::dialect::openai_responses;
use schemas::error::Failure;
use schemas::session::Turn;
use serde_json::Value;

use super::conversations::{find, items, unfit, unknown};
use super::response_items::Query;
use crate::app::App;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::error::ApiError;
use crate::session::bounded;

/// One page of the items, newest first unless `order=asc`.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let query = Query::parse(query.as_deref().unwrap_or_default())?;
    let history = find(&app, &caller, &name).await?;
    Ok(Json(query.page(history.turns.iter().flat_map(shown).collect())?))
}

/// `POST`: adds items behind the others, and answers them.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    mut body: JsonBody,
) -> Result<Json<Value>, ApiError> {
    let messages = items(&mut body.object)?;
    if messages.is_empty() {
        return Err(Failure::invalid("items", "expected at least one item").into());
    }
    let added = bounded(&app, app.sessions.add(&caller.tenant, &name, messages)).await?.ok_or_else(unknown)?;
    let items = shown(&added.map_err(|fault| unfit(&fault))?);
    Ok(Json(Query::parse("order=asc&limit=100")?.page(items)?))
}

/// The items of a turn, with ids that are the same at every look.
fn shown(turn: &Turn) -> Vec<Value> {
    openai_responses::input_items(&turn.messages, &[], &turn.id.prefixed("resp_"))
}
