//! An operator's end of Alertmanager's webhook.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use harness::wait::until;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(240);

#[derive(Debug)]
pub(super) struct Receiver {
    port: u16,
    heard: Arc<Mutex<Vec<Value>>>,
    _server: JoinSet<()>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        let hear = async |State(heard): State<Arc<Mutex<Vec<Value>>>>, Json(body): Json<Value>| {
            heard.lock().unwrap().extend(body["alerts"].as_array().cloned().unwrap_or_default());
        };
        let router = Router::new().route("/v1/alerts/alertmanager", post(hear)).with_state(Arc::clone(&heard));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, heard, _server: server }
    }

    pub(super) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) async fn hears(&self, name: &str, status: &str, labels: &[(&str, &str)]) {
        until(&format!("{status} {name}"), LIMIT, async || {
            let heard = self.heard.lock().unwrap().clone();
            let fits = |alert: &&Value| {
                alert["status"] == status
                    && alert["labels"]["alertname"] == name
                    && labels.iter().all(|(label, value)| alert["labels"][*label] == **value)
            };
            heard.iter().find(fits).map(|_| ()).ok_or_else(|| format!("{heard:#?}"))
        })
        .await;
    }
}
