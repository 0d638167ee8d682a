//! One client's connection to the ingresses, and the book of what it saw through it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client as Http, RequestBuilder, Response};
use runtime::clock;
use schemas::chat::Message;
use schemas::id::JobId;
use schemas::view::JobView;
use serde_json::Value;

use crate::fleet::{self, KEY};
use crate::history::{Client, Event, Seen};

/// How long one answer may take: a poll's wait, and a frozen server's silence.
const PATIENCE: Duration = Duration::from_secs(12);
/// What a poll asks the server to wait.
const WAIT: &str = "wait=5";

/// What all clients share.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    http: Http,
    bases: Arc<Vec<String>>,
}

impl Doors {
    /// The ingresses at these addresses.
    pub(crate) fn new(bases: &[String]) -> Self {
        let http = Http::builder().no_proxy().connect_timeout(Duration::from_secs(2)).timeout(PATIENCE);
        Self { http: http.build().expect("a client without TLS settings"), bases: Arc::new(bases.to_vec()) }
    }

    /// A request to one of them, the key set.
    fn request(&self, door: usize, method: reqwest::Method, path: &str) -> RequestBuilder {
        let base = &self.bases[door % self.bases.len()];
        self.http.request(method, format!("{base}{path}")).bearer_auth(KEY)
    }

    /// Submits once.
    pub(crate) async fn submit(&self, door: usize, body: &Value, key: Option<&str>) -> Event {
        let mut request = self.request(door, reqwest::Method::POST, "/v1/jobs").json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let what = match answered(request).await {
            Err(reason) => Seen::Broken(reason),
            Ok((202, body)) => view(&body).map_or(Seen::Broken("no job in the body"), |view| Seen::Accepted(view.id)),
            Ok((status, _)) => Seen::Refused(status),
        };
        event(door, what)
    }

    /// Reads a job, waiting a while for its end.
    pub(crate) async fn read(&self, door: usize, id: JobId) -> Event {
        let path = format!("/v1/jobs/{}", id.job());
        let request = self.request(door, reqwest::Method::GET, &path).header("prefer", WAIT);
        let what = match answered(request).await {
            Err(reason) => Seen::Broken(reason),
            Ok((200, body)) => view(&body).map_or(Seen::Broken("no job in the body"), |view| {
                let output = text(&view);
                Seen::Read(view.status, output)
            }),
            Ok((status @ (404 | 410), _)) => Seen::Missing(status),
            Ok((status, _)) => Seen::Refused(status),
        };
        event(door, what)
    }

    /// Cancels a job.
    pub(crate) async fn cancel(&self, door: usize, id: JobId) -> Event {
        let path = format!("/v1/jobs/{}/cancel", id.job());
        let what = match answered(self.request(door, reqwest::Method::POST, &path)).await {
            Err(reason) => Seen::Broken(reason),
            Ok((200, body)) => {
                view(&body).map_or(Seen::Broken("no job in the body"), |view| Seen::CancelSaid(view.status))
            }
            Ok((status @ (404 | 410), _)) => Seen::Missing(status),
            Ok((status, _)) => Seen::Refused(status),
        };
        event(door, what)
    }

    /// Calls the chat API.
    pub(crate) async fn chat(&self, door: usize, body: &Value) -> Result<Response, reqwest::Error> {
        self.request(door, reqwest::Method::POST, "/v1/chat/completions").json(body).send().await
    }

    /// Opens a job's events, behind the last one that was seen.
    pub(crate) async fn events(&self, door: usize, id: JobId, last: Option<&str>) -> Result<Response, Seen> {
        let path = format!("/v1/jobs/{}/events", id.job());
        let mut request = self.request(door, reqwest::Method::GET, &path).timeout(PATIENCE * 2);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        match request.send().await {
            Err(_) => Err(Seen::Broken("events")),
            Ok(response) if response.status() == 200 => Ok(response),
            Ok(response) if [404, 410].contains(&response.status().as_u16()) => {
                Err(Seen::Missing(response.status().as_u16()))
            }
            Ok(response) => Err(Seen::Refused(response.status().as_u16())),
        }
    }
}

/// What happened at this door, now.
pub(crate) fn event(door: usize, what: Seen) -> Event {
    Event { at: clock::now(), ingress: fleet::ingress(door % fleet::INGRESSES), what }
}

/// The text of a job's output.
pub(crate) fn text(view: &JobView) -> Option<String> {
    view.output.as_ref().map(Message::joined_text)
}

/// A client that has seen nothing yet.
pub(crate) fn blank(marker: &str, key: Option<String>) -> Client {
    Client { marker: marker.to_owned(), key, events: Vec::new() }
}

fn view(body: &str) -> Option<JobView> {
    serde_json::from_str(body).ok()
}

async fn answered(request: RequestBuilder) -> Result<(u16, String), &'static str> {
    let response = request.send().await.map_err(|error| if error.is_timeout() { "timeout" } else { "connection" })?;
    let status = response.status().as_u16();
    let body = response.text().await.map_err(|_| "half an answer")?;
    Ok((status, body))
}
