//! `POST /v1/chat/completions`: OpenAI's chat API.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use schemas::dialect::openai_chat;
use schemas::error::Failure;
use serde_json::{Map, Value};

use crate::app::App;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::call::{self, Asked, Incoming, Style};
use crate::error::ApiError;
use crate::request_id::RequestId;
use crate::submit::Submission;

const ROUTE: &str = "/v1/chat/completions";

/// A chat completion, whole or in pieces.
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

fn decode(object: Map<String, Value>) -> Result<Asked, Failure> {
    let decoded = openai_chat::decode_request(Value::Object(object))?;
    let lane = decoded.options.lane.unwrap_or_default();
    let submission = Submission { lane, request: decoded.request, warnings: decoded.warnings, ..Submission::default() };
    Ok(Asked { submission, style: Style::Chat(decoded.options) })
}
