//! A provider in this process, as strict as OpenAI with what it is sent, and as wild as a test wants with what it answers.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(super) const KEY: &str = "sk-test-4f1d9a7753c04d2e";

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }
}

#[derive(Clone)]
struct Shared {
    path: String,
    answer: Arc<dyn Fn(&Asked) -> Response + Send + Sync>,
    book: Arc<Mutex<Vec<Asked>>>,
}

/// The fake. Serves while it lives.
pub(super) struct Fake {
    pub(super) address: String,
    shared: Shared,
    _server: JoinSet<()>,
}

impl Fake {
    /// One that answers every correct request so.
    pub(super) async fn start(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        Self::start_at("/chat/completions", answer).await
    }

    /// The same, below another path.
    pub(super) async fn start_at(path: &str, answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        let shared = Shared { path: format!("/v1{path}"), answer: Arc::new(answer), book: Arc::default() };
        let router = Router::new().fallback(serve).with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, _server: server }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.shared.book.lock().unwrap().clone()
    }

    /// Its entry in a providers file, with `more` fields.
    pub(super) fn entry(&self, more: &str) -> String {
        entry(&self.address, more)
    }
}

/// The entry of a provider of model `m` at `address`.
pub(super) fn entry(address: &str, more: &str) -> String {
    let name = if more.contains("name =") { "" } else { "name = \"p\"" };
    format!(
        "[[provider]]\n{name}\ndialect = \"openai_chat\"\nbase_url = \"{address}\"\n{more}\n[[provider.model]]\nname = \"m\"\n"
    )
}

/// A whole answer.
pub(super) fn whole(text: &str) -> String {
    json!({
        "id": "1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{
            "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop", "logprobs": null
        }],
        "usage": { "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3 },
    })
    .to_string()
}

/// The events of an answer, word by word, up to its finish reason.
pub(super) fn events(text: &str) -> Vec<String> {
    let event = |delta: Value, finish: Value| {
        let choices = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
        let chunk = json!({
            "id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices
        });
        format!("data: {chunk}\n\n")
    };
    let words = text.split_inclusive(' ').map(|word| event(json!({ "content": word }), Value::Null));
    let first = event(json!({ "role": "assistant", "content": "" }), Value::Null);
    std::iter::once(first).chain(words).chain([event(json!({}), "stop".into())]).collect()
}

/// An answer of this kind.
pub(super) fn respond(status: u16, content_type: &str, body: impl Into<Body>) -> Response {
    Response::builder().status(status).header("content-type", content_type).body(body.into()).unwrap()
}

/// What a well-behaved provider answers.
pub(super) fn proper(asked: &Asked, text: &str) -> Response {
    if asked.body["stream"] == true {
        respond(200, "text/event-stream", events(text).concat() + "data: [DONE]\n\n")
    } else {
        respond(200, "application/json", whole(text))
    }
}

async fn serve(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let asked = Asked { uri, headers, body };
    shared.book.lock().unwrap().push(asked.clone());
    match complaint(&shared.path, &method, &asked) {
        Some(complaint) => (StatusCode::IM_A_TEAPOT, complaint).into_response(),
        None => (shared.answer)(&asked),
    }
}

fn complaint(path: &str, method: &Method, asked: &Asked) -> Option<String> {
    let allowed = ["model", "messages", "stream", "stream_options"];
    let fields = asked.body.as_object()?;
    let streamed = asked.body["stream"] == true;
    let accept = if streamed { "text/event-stream" } else { "application/json" };
    let faults = [
        (method != Method::POST, "not a POST"),
        (asked.uri.path() != path, "wrong path"),
        (asked.header("content-type") != Some("application/json"), "wrong content type"),
        (asked.header("accept") != Some(accept), "wrong accept"),
        (fields.keys().any(|field| !allowed.contains(&field.as_str())), "unknown field"),
        (asked.model() != "m", "unknown model"),
        (asked.body["messages"] != json!([{ "role": "user", "content": "one two three" }]), "wrong messages"),
        (!streamed && fields.contains_key("stream_options"), "stream options without stream"),
    ];
    faults.into_iter().find(|(fault, _)| *fault).map(|(_, told)| format!("{told}: {asked:?}"))
}
