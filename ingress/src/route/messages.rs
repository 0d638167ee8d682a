//! `POST /v1/messages` and `POST /v1/messages/count_tokens`: Anthropic's API, at the root and under `/api/anthropic`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::HeaderMap;
use schemas::dialect::anthropic;
use schemas::error::Failure;
use serde_json::{Map, Value};

use crate::app::App;
use crate::auth::Caller;
use crate::body::{JsonBody, offload};
use crate::call::{self, Asked, Incoming, Style};
use crate::error::ApiError;
use crate::request_id::RequestId;
use crate::submit::Submission;

const ROUTE: &str = "/v1/messages";

/// A message, whole or in pieces.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let (asked, body) = call::read(ROUTE, decode, body).await?;
    call::answer(Incoming { app, caller, request_id, headers }, asked, body).await
}

/// How many tokens a request would be billed for, as far as can be told without its provider.
pub(crate) async fn count_tokens(State(app): State<Arc<App>>, body: JsonBody) -> Result<Response, ApiError> {
    let JsonBody { bytes, object, hold } = body;
    let size = bytes.len();
    let work = move || anthropic::decode_count_request(Value::Object(object));
    let (decoded, hold) = offload(size, hold, work).await?;
    let decoded = decoded?;
    // Tokenizing takes far longer than parsing: never on the threads that serve connections.
    let (tokens, _hold) = offload(usize::MAX, hold, move || app.count_tokens(&decoded.request)).await?;
    Ok(Json(anthropic::encode_count(tokens)).into_response())
}

fn decode(object: Map<String, Value>) -> Result<Asked, Failure> {
    let decoded = anthropic::decode_request(Value::Object(object))?;
    let anthropic::Decoded { request, context, warnings, .. } = decoded;
    let submission = Submission { request, context, warnings, ..Submission::default() };
    Ok(Asked { submission, style: Style::Messages })
}
