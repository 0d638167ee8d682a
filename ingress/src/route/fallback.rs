//! What is asked for and does not exist.

use http::{Method, StatusCode};
use schemas::error::ErrorCode;

use crate::error::ApiError;

/// No such path.
pub(crate) async fn not_found() -> ApiError {
    ApiError::not_found("no such path: /openapi.json lists what there is")
}

/// A path that knows other methods; the answer's `Allow` names them.
pub(crate) async fn method_not_allowed(method: Method) -> ApiError {
    let known = if method.as_str().len() <= 16 { method.as_str() } else { "this method" };
    ApiError::new(ErrorCode::InvalidRequest, format!("{known} is not allowed here; see the Allow header"))
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
}
