//! Every route on one screen, and what they all go through.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::StatusCode;
use prometheus::IntCounter;
use schemas::error::ErrorCode;
use tower_http::catch_panic::{CatchPanicLayer, ResponseForPanic};

use crate::app::App;
use crate::error::ApiError;
use crate::guard::{require_admin, require_key};
use crate::linger::linger;
use crate::observe::observe;
use crate::route::{
    alertmanager, alerts, chat_completions, conversation_items, conversations, dead, dead_list, fallback, job_events,
    job_list, jobs, messages, models, openapi, queue_status, response_items, responses, sessions,
};

/// Most bytes of a path with its query.
const LONGEST_TARGET: usize = 8 * 1024;
/// Most bytes of all headers together.
const LARGEST_HEADERS: usize = 32 * 1024;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everyone.
    Open,
    /// Every key.
    Key,
    /// Admin keys.
    Admin,
}

/// One path.
pub(crate) struct Route {
    /// As it is matched.
    pub(crate) path: &'static str,
    /// Who may use it.
    pub(crate) access: Access,
    /// Its methods, for the document.
    #[cfg_attr(not(test), expect(dead_code, reason = "the test of the OpenAPI document reads it"))]
    pub(crate) methods: &'static [&'static str],
    handler: fn() -> MethodRouter<Arc<App>>,
}

/// Every route but health and metrics, which `runtime::ops` has for all roles.
#[rustfmt::skip]
pub(crate) const ROUTES: &[Route] = &[
    route("/v1/jobs", Access::Key, &["GET", "POST"], || get(job_list::list).post(jobs::create)),
    route("/v1/jobs/{id}", Access::Key, &["GET"], || get(jobs::get)),
    route("/v1/jobs/{id}/events", Access::Key, &["GET"], || get(job_events::events)),
    route("/v1/jobs/{id}/cancel", Access::Key, &["POST"], || post(jobs::cancel)),
    route("/v1/dead", Access::Key, &["GET"], || get(dead_list::list)),
    route("/v1/dead/{id}", Access::Key, &["GET", "DELETE"], || get(dead::get).delete(dead::delete)),
    route("/v1/dead/{id}/replay", Access::Key, &["POST"], || post(dead::replay)),
    route("/v1/sessions/{id}", Access::Key, &["DELETE", "GET"], || get(sessions::get).delete(sessions::delete)),
    route("/v1/sessions/{id}/clear", Access::Key, &["POST"], || post(sessions::clear)),
    route("/v1/conversations", Access::Key, &["POST"], || post(conversations::create)),
    route("/v1/conversations/{id}", Access::Key, &["DELETE", "GET", "POST"], || {
        get(conversations::get).post(conversations::update).delete(conversations::delete)
    }),
    route("/v1/conversations/{id}/items", Access::Key, &["GET", "POST"], || {
        get(conversation_items::list).post(conversation_items::create)
    }),
    route("/v1/chat/completions", Access::Key, &["POST"], || post(chat_completions::create)),
    route("/v1/responses", Access::Key, &["POST"], || post(responses::create)),
    route("/v1/responses/{id}", Access::Key, &["DELETE", "GET"], || get(responses::get).delete(responses::delete)),
    route("/v1/responses/{id}/cancel", Access::Key, &["POST"], || post(responses::cancel)),
    route("/v1/responses/{id}/input_items", Access::Key, &["GET"], || get(response_items::list)),
    route("/v1/messages", Access::Key, &["POST"], || post(messages::create)),
    route("/v1/messages/count_tokens", Access::Key, &["POST"], || post(messages::count_tokens)),
    route("/api/anthropic/v1/messages", Access::Key, &["POST"], || post(messages::create)),
    route("/api/anthropic/v1/messages/count_tokens", Access::Key, &["POST"], || post(messages::count_tokens)),
    route("/v1/models", Access::Key, &["GET"], || get(models::list)),
    route("/v1/models/{*id}", Access::Key, &["GET"], || get(models::get)),
    route("/v1/alerts/alertmanager", Access::Admin, &["POST"], || post(alertmanager::receive)),
    route("/v1/alerts/test", Access::Admin, &["POST"], || post(alerts::test)),
    route("/health/queue/status", Access::Open, &["GET"], || get(queue_status::status)),
    route("/api/v1/health/queue/status", Access::Open, &["GET"], || get(queue_status::status)),
    route("/openapi.json", Access::Open, &["GET"], || get(openapi::document)),
];

const fn route(
    path: &'static str,
    access: Access,
    methods: &'static [&'static str],
    handler: fn() -> MethodRouter<Arc<App>>,
) -> Route {
    Route { path, access, methods, handler }
}

/// The whole service. `ops` has health and metrics.
pub(crate) fn router(app: &Arc<App>, ops: Router) -> Router {
    let service = ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, guarded(app, route)));
    service
        .with_state(Arc::clone(app))
        .merge(ops.clone())
        .nest("/api/v1", ops)
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(from_fn(bounded_head))
        .layer(from_fn_with_state(Arc::clone(app), linger))
        .layer(panic_layer(app.metrics.http.panics.clone()))
        .layer(from_fn_with_state(Arc::clone(app), observe))
}

fn guarded(app: &Arc<App>, route: &Route) -> MethodRouter<Arc<App>> {
    let handler = (route.handler)();
    let keyed = from_fn_with_state(Arc::clone(app), require_key);
    match route.access {
        Access::Open => handler,
        Access::Key => handler.route_layer(keyed),
        Access::Admin => handler.route_layer(from_fn(require_admin)).route_layer(keyed),
    }
}

/// Refuses what is longer than any honest head. The connection itself cuts off what is longer still.
async fn bounded_head(request: Request, next: Next) -> Result<Response, ApiError> {
    let invalid = |message: &str, status| ApiError::new(ErrorCode::InvalidRequest, message).with_status(status);
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > LONGEST_TARGET {
        return Err(invalid("the path and query are too long", StatusCode::URI_TOO_LONG));
    }
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > LARGEST_HEADERS {
        return Err(invalid("the headers are too large", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    Ok(next.run(request).await)
}

/// Answers for a handler that panicked, which the panic hook has logged. The process lives on.
fn panic_layer(panics: IntCounter) -> CatchPanicLayer<impl ResponseForPanic<ResponseBody = Body> + Send + Sync> {
    CatchPanicLayer::custom(move |_: Box<dyn Any + Send>| {
        panics.inc();
        ApiError::new(ErrorCode::Internal, "an internal error; the trace_id finds it in the logs").into_response()
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::error::{self, Surface};

    async fn asked(router: Router, path: &str, header: &str) -> (StatusCode, serde_json::Value) {
        let request = Request::get(path).header("x-long", header).body(Body::empty()).unwrap();
        let response = error::render(router.oneshot(request).await.unwrap(), Surface::Native, "req_1");
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_an_internal_error() {
        async fn broken() {
            panic!("a secret of the inside");
        }
        let panics = IntCounter::new("panics", "panics").unwrap();
        let router = Router::new().route("/", get(broken)).layer(panic_layer(panics.clone()));
        let (status, body) = asked(router, "/", "").await;
        assert_eq!((status.as_u16(), &body["code"], &body["trace_id"]), (500, &"internal".into(), &"req_1".into()));
        assert!(!body.to_string().contains("secret"));
        assert_eq!(panics.get(), 1);
    }

    #[tokio::test]
    async fn heads_are_bounded() {
        let router = || Router::new().route("/{path}", get(|| async {})).layer(from_fn(bounded_head));
        assert_eq!(asked(router(), "/x", &"h".repeat(40_000)).await.0, 431);
        assert_eq!(asked(router(), &format!("/{}", "p".repeat(9000)), "").await.0, 414);
    }

    #[test]
    fn every_path_below_v1_asks_for_a_key() {
        for route in ROUTES.iter().filter(|route| route.path.starts_with("/v1/")) {
            assert_ne!(route.access, Access::Open, "{}", route.path);
        }
    }
}
