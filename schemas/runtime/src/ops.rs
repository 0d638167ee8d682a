//! The health and metrics endpoints that every role serves: ingress among its own routes, the others by themselves.

use std::io;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::ListenerExt;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::health::{Health, HealthReport, Status};
use crate::metrics::Metrics;

/// What open connections get to finish their answers once we shut down.
const FAREWELL: Duration = Duration::from_secs(2);

/// `/health`, `/health/detailed`, `/health/ready`, `/health/live`, `/health/metrics`, and the aliases `/healthz` and
/// `/metrics`. No key is asked for and no secret shown.
pub fn router(metrics: Metrics, health: Health) -> Router {
    let metrics =
        Router::new().route("/health/metrics", get(render)).route("/metrics", get(render)).with_state(metrics);
    Router::new()
        .route("/health", get(summary))
        .route("/healthz", get(summary))
        .route("/health/detailed", get(detailed))
        .route("/health/ready", get(ready))
        .route("/health/live", get(live))
        .with_state(health)
        .merge(metrics)
}

/// Serves `router` until `shutdown`, then for as long as open answers take, two seconds at most.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Only costs latency.
        let _ = stream.set_nodelay(true);
    });
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        served = server.into_future() => served,
        () = overdue => Ok(()),
    }
}

async fn summary(State(health): State<Health>) -> impl IntoResponse {
    let report = health.report().await;
    (code(report.status), Json(head(&health, &report)))
}

async fn detailed(State(health): State<Health>) -> impl IntoResponse {
    let report = health.report().await;
    let mut body = head(&health, &report);
    body["components"] = json!(report.components);
    (code(report.status), Json(body))
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    if health.leaving() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "shutting_down"})));
    }
    match health.report().await.status {
        Status::Unhealthy => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "not_ready"}))),
        Status::Healthy | Status::Degraded => (StatusCode::OK, Json(json!({"status": "ready"}))),
    }
}

/// The process answers: whatever else is down, restarting it would not help.
async fn live() -> Json<Value> {
    Json(json!({"status": "live"}))
}

async fn render(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], metrics.render())
}

fn head(health: &Health, report: &HealthReport) -> Value {
    json!({
        "status": report.status,
        "version": env!("CARGO_PKG_VERSION"),
        "role": health.role(),
        "uptime_seconds": health.uptime().as_secs(),
    })
}

fn code(status: Status) -> StatusCode {
    match status {
        Status::Healthy | Status::Degraded => StatusCode::OK,
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use futures::FutureExt;
    use http::Request;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tower::ServiceExt;

    use super::*;

    /// A role whose components are up or down: `(name, required, up)`.
    fn role(components: &[(&'static str, bool, bool)]) -> (Router, Health) {
        let metrics = Metrics::new().unwrap();
        let limit = Duration::from_secs(1);
        let health = Health::of_role("worker", limit, limit, &metrics.registry).unwrap();
        for &(name, required, up) in components {
            let finding = if up { Ok("fine".to_owned()) } else { Err("refused".to_owned()) };
            health.register(name, required, move || std::future::ready(finding.clone()).boxed());
        }
        (router(metrics, health.clone()), health)
    }

    async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_degraded_role_serves_on() {
        let (router, _) = role(&[("nats", true, true), ("redis", false, false)]);
        let (status, body) = ask(&router, "/health").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body, json!({"status": "degraded", "version": "0.1.0", "role": "worker", "uptime_seconds": 0}));
        let (_, detailed) = ask(&router, "/health/detailed").await;
        let detailed: Value = serde_json::from_str(&detailed).unwrap();
        assert_eq!(detailed["components"]["nats"]["status"], "up");
        assert_eq!(detailed["components"]["nats"]["detail"], "fine");
        assert_eq!(detailed["components"]["redis"]["status"], "down");
        assert_eq!(detailed["components"]["redis"]["reason"], "refused");
        assert_eq!(detailed["components"]["redis"]["required"], false);
        assert!(detailed["components"]["redis"]["since"].is_string());
        assert_eq!(ask(&router, "/health/ready").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn an_unhealthy_role_lives_but_is_not_ready() {
        let (router, _) = role(&[("nats", true, false)]);
        for path in ["/health", "/healthz", "/health/detailed", "/health/ready"] {
            assert_eq!(ask(&router, path).await.0, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        }
        assert_eq!(ask(&router, "/health/live").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn a_leaving_role_is_not_ready() {
        let (router, health) = role(&[("nats", true, true)]);
        assert_eq!(ask(&router, "/health/ready").await.0, StatusCode::OK);
        health.leave();
        let (status, body) = ask(&router, "/health/ready").await;
        assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"shutting_down"}"#));
        assert_eq!(ask(&router, "/health").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_served_under_both_names() {
        let (router, _) = role(&[("nats", true, true)]);
        ask(&router, "/health").await;
        for path in ["/metrics", "/health/metrics"] {
            let (status, body) = ask(&router, path).await;
            assert_eq!(status, StatusCode::OK);
            assert!(body.contains("portbroker_component_up{component=\"nats\",role=\"worker\"} 1"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_silent_connection_does_not_hold_shutdown_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let (router, _) = role(&[]);
        let scenario = async {
            let mut silent = TcpStream::connect(address).await.unwrap();
            silent.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(r#"{"status":"live"}"#), "{answer}");
            tokio::time::pause();
            shutdown.cancel();
            silent
        };
        let (served, _silent) = tokio::join!(serve(listener, router, shutdown.clone()), scenario);
        served.unwrap();
    }
}
