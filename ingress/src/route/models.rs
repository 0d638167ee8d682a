//! `GET /v1/models` and `GET /v1/models/{id}`, as OpenAI's SDKs read them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use schemas::error::{ErrorCode, Failure};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::models;

/// Models by name. `patterns` beside them tells under which further names models are served.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let data: Vec<Value> = models::named(&app.catalog).into_iter().map(|(name, owner)| model(name, &owner)).collect();
    Json(json!({"object": "list", "data": data, "patterns": models::patterns(&app.catalog)}))
}

/// One model, if anyone serves it under this name.
pub(crate) async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    match models::owner(&app.catalog, &name) {
        Some(owner) => Ok(Json(model(&name, &owner))),
        None => {
            let message = format!("no provider serves this model; there are: {}", models::summary(&app.catalog));
            Err(Failure { code: ErrorCode::NotFound, message, param: Some("model".to_owned()) }.into())
        }
    }
}

/// Nobody tells us when a model was made.
fn model(name: &str, owner: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": owner})
}
