//! A provider with a door for each worker, so that it knows who calls, and a book of its own that takes nobody's word.

mod script;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use futures::stream;
use runtime::clock;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::history::{Call, Ending};
use crate::options::Options;
use script::{Act, Script, Step};

/// What its catalog calls it, and its model.
pub(crate) const NAME: &str = "chaos";
const CREDENTIAL: &str = "sk-chaos-2c9a7e51d0b34f86";

/// The provider. Serves while it lives.
#[derive(Debug)]
pub(crate) struct Provider {
    book: Book,
    doors: HashMap<String, u16>,
    _servers: JoinSet<()>,
}

impl Provider {
    /// Opens a door for each of `workers`.
    pub(crate) async fn start(options: &Options, workers: &[String]) -> Self {
        let (book, script) = (Book::default(), Script::new(options));
        let (mut doors, mut servers) = (HashMap::new(), JoinSet::new());
        for worker in workers {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            doors.insert(worker.clone(), listener.local_addr().expect("a listener has an address").port());
            let door = Door { book: book.clone(), script: script.clone(), worker: worker.clone() };
            let router = Router::new().route("/v1/chat/completions", post(answer)).with_state(door);
            servers.spawn(async move { axum::serve(listener, router).await.expect("the provider serves") });
        }
        Self { book, doors, _servers: servers }
    }

    /// The port of this worker's door.
    pub(crate) fn door(&self, worker: &str) -> u16 {
        self.doors[worker]
    }

    /// Every call so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        locked(&self.book.0).calls.clone()
    }

    /// How many calls there were, and how many are open.
    pub(crate) fn count(&self) -> (usize, usize) {
        let entries = locked(&self.book.0);
        (entries.calls.len(), entries.open)
    }
}

/// A providers file whose only entry is behind this address.
pub(crate) fn catalog(address: &str) -> String {
    format!(
        r#"[[provider]]
name = "{NAME}"
dialect = "openai_chat"
base_url = "http://{address}/v1"
credential = "{CREDENTIAL}"
quirks = {{ idempotency_key = true }}
[[provider.model]]
name = "{NAME}"
"#
    )
}

/// The book of calls.
#[derive(Debug, Clone, Default)]
struct Book(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    calls: Vec<Call>,
    by_marker: HashMap<String, u32>,
    open: usize,
}

impl Book {
    /// Enters a call: which one of its marker it is, from 1, and the entry to close.
    fn open(&self, headers: &HeaderMap, told: Vec<String>, worker: &str) -> (u32, Entry) {
        let marker = marker(&told);
        let mut entries = locked(&self.0);
        let number = entries.by_marker.entry(marker.clone()).or_default();
        *number += 1;
        let number = *number;
        let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
        entries.open += 1;
        entries.calls.push(Call {
            id: key.split('-').next().and_then(|id| id.parse().ok()),
            text: script::text(&marker, number),
            marker,
            told,
            holder: worker.to_owned(),
            started: clock::now(),
            ended: None,
            ending: Ending::Open,
        });
        (number, Entry { book: self.clone(), index: entries.calls.len() - 1 })
    }
}

/// A call that has not ended. Dropped before it is closed, its caller hung up.
struct Entry {
    book: Book,
    index: usize,
}

impl Entry {
    fn close(&self, ending: Ending) {
        let mut entries = locked(&self.book.0);
        let call = &mut entries.calls[self.index];
        if call.ending == Ending::Open {
            (call.ending, call.ended) = (ending, Some(clock::now()));
            entries.open -= 1;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.close(Ending::Dropped);
    }
}

/// What one worker's door leads to.
#[derive(Debug, Clone)]
struct Door {
    book: Book,
    script: Script,
    worker: String,
}

async fn answer(State(door): State<Door>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let told = told(&body);
    let marker = marker(&told);
    let (number, entry) = door.book.open(&headers, told, &door.worker);
    let streamed = body["stream"] == true;
    let (latency, act) = door.script.draw(&marker, number);
    match act {
        Act::Refuse(status, after) => {
            tokio::time::sleep(latency / 4).await;
            entry.close(Ending::Refused);
            refusal(status, after)
        }
        act => {
            let include_usage = body["stream_options"]["include_usage"] == true;
            let steps = script::steps(&script::text(&marker, number), act, streamed, include_usage, latency);
            written(streamed, steps, entry)
        }
    }
}

/// The text of each message.
fn told(body: &Value) -> Vec<String> {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |message: &Value| {
        let content = &message["content"];
        content.as_str().or_else(|| content[0]["text"].as_str()).unwrap_or_default().to_owned()
    };
    messages.iter().map(text).collect()
}

/// The first word of the last message.
fn marker(told: &[String]) -> String {
    told.last().and_then(|text| text.split(' ').next()).unwrap_or_default().to_owned()
}

fn refusal(status: u16, after: Option<u64>) -> Response {
    let body =
        r#"{"error":{"message":"The script refuses this call.","type":"server_error","param":null,"code":null}}"#;
    let status = StatusCode::from_u16(status).expect("the script names real statuses");
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    if let Some(seconds) = after {
        response = response.header(header::RETRY_AFTER, seconds);
    }
    response.body(Body::from(body)).expect("the parts of the response are valid")
}

/// Carries the steps out at the reader's pace.
fn written(streamed: bool, steps: Vec<Step>, entry: Entry) -> Response {
    let body = stream::unfold((steps.into_iter(), entry), async |(mut steps, entry)| {
        loop {
            match steps.next()? {
                Step::Wait(time) => tokio::time::sleep(time).await,
                Step::Send(text) => return Some((Ok(Bytes::from(text)), (steps, entry))),
                Step::Last(text) => {
                    entry.close(Ending::Answered);
                    return Some((Ok(Bytes::from(text)), (steps, entry)));
                }
                Step::Cut => {
                    entry.close(Ending::Truncated);
                    return Some((Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)), (steps, entry)));
                }
                Step::End => entry.close(Ending::Truncated),
            }
        }
    });
    let kind = if streamed { "text/event-stream" } else { "application/json" };
    let response = Response::builder().header(header::CONTENT_TYPE, kind);
    response.body(Body::from_stream(body)).expect("the parts of the response are valid")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
