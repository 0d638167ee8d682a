//! What every request has in common: its id, its line in the log, its metrics, and the body of a refusal.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{Method, StatusCode};
use tracing::Instrument;

use crate::app::App;
use crate::error::{self, Surface};
use crate::request_id::{self, RequestId};
use crate::route::{About, Counted};

/// The route of a path that none matches.
const NO_ROUTE: &str = "none";

/// Answers a request under its id, and tells the log and the metrics about it.
pub(crate) async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let request_id = RequestId::of(request.headers(), runtime::clock::random_bits);
    let surface = Surface::of(request.uri().path());
    let mut line = Line::begin(Arc::clone(&app), &request, request_id.clone());
    request.extensions_mut().insert(request_id.clone());
    let _in_flight = Counted::new(app.metrics.http.in_flight.clone());
    let span = tracing::info_span!("request", request_id = request_id.as_str());
    let response = next.run(request).instrument(span).await;
    let mut response = error::render(response, surface, request_id.as_str());
    if let Some(value) = request_id.header() {
        if surface == Surface::Anthropic {
            response.headers_mut().insert(request_id::ANTHROPIC_HEADER, value.clone());
        }
        response.headers_mut().insert(request_id::HEADER, value);
    }
    line.end(&response);
    response
}

/// One line of the access log. Dropped without an answer, it says that the client left.
struct Line {
    app: Arc<App>,
    request_id: RequestId,
    method: &'static str,
    route: String,
    started: Instant,
    answered: bool,
}

impl Line {
    fn begin(app: Arc<App>, request: &Request, request_id: RequestId) -> Self {
        let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
        let method = known(request.method());
        Self { app, request_id, method, route, started: Instant::now(), answered: false }
    }

    fn end(&mut self, response: &Response) {
        self.answered = true;
        let (status, seconds) = (response.status(), self.started.elapsed().as_secs_f64());
        let about = response.extensions().get::<About>().copied();
        let job_id = about.map(|About(id)| id.job());
        tracing::info!(
            request_id = self.request_id.as_str(),
            http.method = self.method,
            http.route = self.route,
            http.status = status.as_u16(),
            duration_ms = self.started.elapsed().as_millis() as u64,
            job_id,
            "request answered"
        );
        let http = &self.app.metrics.http;
        http.requests.with_label_values(&[self.route.as_str(), self.method, status.as_str()]).inc();
        http.request_seconds.with_label_values(&[self.route.as_str()]).observe(seconds);
        http.body_memory_bytes.set(i64::try_from(self.app.memory.used()).unwrap_or(i64::MAX));
        self.count_chat(about.is_some(), status, seconds);
    }

    /// The series that dashboards are built on. What became a job is counted by the worker that ends it, so that each
    /// chat request counts once; what was refused is counted here.
    fn count_chat(&self, job: bool, status: StatusCode, seconds: f64) {
        let Some(operation) = operation(self.method, &self.route) else { return };
        self.app.chat.request_duration_seconds.with_label_values(&[operation]).observe(seconds);
        if matches!(operation, "submit" | "replay" | "chat" | "responses" | "messages") && !job && !status.is_success()
        {
            self.app.chat.requests_total.with_label_values(&["error"]).inc();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        self.app.metrics.http.departed.inc();
        tracing::info!(
            request_id = self.request_id.as_str(),
            http.method = self.method,
            http.route = self.route,
            duration_ms = self.started.elapsed().as_millis() as u64,
            "client left before its answer"
        );
    }
}

/// What a route does, in a word.
fn operation(method: &str, route: &str) -> Option<&'static str> {
    match (method, route) {
        ("POST", "/v1/jobs") => Some("submit"),
        ("POST", "/v1/dead/{id}/replay") => Some("replay"),
        ("GET", "/v1/jobs") => Some("list"),
        ("GET", "/v1/jobs/{id}") => Some("get"),
        ("GET", "/v1/jobs/{id}/events") => Some("events"),
        ("POST", "/v1/jobs/{id}/cancel") => Some("cancel"),
        ("POST", "/v1/chat/completions") => Some("chat"),
        ("POST", "/v1/responses") => Some("responses"),
        ("POST", "/v1/messages" | "/api/anthropic/v1/messages") => Some("messages"),
        _ => None,
    }
}

/// A method as a label: clients may send any word.
fn known(method: &Method) -> &'static str {
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    methods.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}
