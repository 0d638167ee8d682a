//! `POST /v1/alerts/test`: one alert through the whole path, for whoever sets up Telegram.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
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
    let event = AlertEvent {
        kind: AlertKind::Test,
        severity: Severity::Info,
        state: AlertState::Firing,
        labels: BTreeMap::from([("request".to_owned(), request_id.to_string())]),
        summary: "Test alert: the path from PortBroker to this chat works.".to_owned(),
        value: None,
        threshold: None,
        at: app.broker.now(),
        source: app.broker.instance().to_owned(),
    };
    let told = timeout(app.config.ingress.submit_timeout, app.broker.alert(&event)).await;
    told.map_err(|_| ApiError::unavailable("the broker does not answer; try again"))??;
    Ok((StatusCode::ACCEPTED, Json(json!({"object": "alert", "fingerprint": event.fingerprint(), "kind": "test"}))))
}
