//! `GET /health/queue/status`: the queue as last seen. No key is asked for: it shows counts only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use runtime::queue::QueueStatus;
use tokio::time::timeout;

use crate::app::App;
use crate::error::ApiError;

/// The queue as last seen; right after a start it waits for the first look.
pub(crate) async fn status(State(app): State<Arc<App>>) -> Result<Json<QueueStatus>, ApiError> {
    let mut queue = app.queue.clone();
    let seen = timeout(app.config.ingress.submit_timeout, queue.wait_for(Option::is_some)).await;
    let status = seen.ok().and_then(Result::ok).and_then(|status| status.clone());
    status.map(Json).ok_or_else(|| ApiError::unavailable("the queue has not been seen yet: the broker does not answer"))
}
