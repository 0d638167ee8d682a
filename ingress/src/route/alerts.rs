//! `POST /v1/alerts/test`: one alert through the whole path, for whoever sets up Telegram.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use schemas::alert::AlertEvent;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::app::App;
use crate::error::ApiError;
use crate::request_id::RequestId;

/// Raises an alert of kind `test`. Each is one of its own, so that none is folded into an earlier one.
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    Extension(request_id): Extension<RequestId>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let event = AlertEvent::test(&request_id.to_string(), app.broker.instance(), app.broker.now());
    let told = timeout(app.config.ingress.submit_timeout, app.broker.alert(&event)).await;
    told.map_err(|_| ApiError::unavailable("the broker does not answer; try again"))??;
    Ok((StatusCode::ACCEPTED, Json(json!({"object": "alert", "fingerprint": event.fingerprint(), "kind": "test"}))))
}
