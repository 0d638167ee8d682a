//! What lets requests through to their routes: everyone with a key, or admins alone.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use schemas::error::ErrorCode;

use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;

/// Lets only callers in, and tells handlers who they are.
pub(crate) async fn require_key(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = app.keys.admit(request.headers()).inspect_err(|denied| {
        app.metrics.http.denied.with_label_values(&[denied.reason()]).inc();
    })?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Lets only admins in; behind [`require_key`].
pub(crate) async fn require_admin(request: Request, next: Next) -> Result<Response, ApiError> {
    match request.extensions().get::<Caller>() {
        Some(caller) if caller.admin => Ok(next.run(request).await),
        _ => Err(ApiError::new(ErrorCode::Forbidden, "this needs an admin key")),
    }
}
