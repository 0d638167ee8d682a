//! A provider of one of the three APIs, as strict as the real one, that keeps its own ledger of every call and can be
//! told how to misbehave. A request that it would refuse is a fault of ours and fails the test when this is dropped.

mod answer;
mod anthropic;
mod chat;
mod check;
mod check_messages;
mod check_responses;
mod complaint;
mod ledger;
mod messages;
mod reply;
mod responses;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::wait;
use ledger::Ledger;
pub use ledger::{Call, Ending};

/// What the provider does with one call.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Answers `fake: <the last user text>`, or calls the first tool when one is required.
    Answer,
    /// Answers after this long.
    Slow(Duration),
    /// Streams with this long before each word, or piece of a call.
    Trickle(Duration),
    /// Answers once [`Provider::release`] was called.
    Hold,
    /// Streams this many words, and the others once [`Provider::release`] was called.
    Pause(usize),
    /// Answers with this text.
    Say(String),
    /// Answers with an error of this status, and `Retry-After` in seconds.
    Refuse(u16, Option<u64>),
    /// Answers 401 and tells the credential it was given, as careless providers do.
    TellCredential,
    /// Answers 200 with a web page.
    Garbage,
    /// Answers 200 with the first half of a JSON document.
    Truncated,
    /// Answers with a text of this many bytes.
    Huge(usize),
    /// Answers with this many words, then says nothing more and keeps the connection.
    Stall(usize),
    /// Answers with this many words, then cuts the connection.
    Die(usize),
    /// Answers in part, with finish reason `length`.
    Length,
    /// Answers nothing, with finish reason `content_filter`.
    Filter,
}

/// The API that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// OpenAI's chat completions.
    Chat,
    /// Anthropic's messages.
    Messages,
    /// OpenAI's responses.
    Responses,
}

/// The fake. Serves while it lives.
#[derive(Debug)]
pub struct Provider {
    shared: Arc<Shared>,
    port: u16,
    forgiving: bool,
    models: String,
    limits: String,
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    speech: Speech,
    credential: String,
    ledger: Ledger,
    scripts: Mutex<HashMap<String, Vec<Act>>>,
    released: watch::Sender<bool>,
}

impl Speech {
    const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
        }
    }

    const fn dialect(self) -> &'static str {
        match self {
            Self::Chat => "openai_chat",
            Self::Messages => "anthropic",
            Self::Responses => "openai_responses",
        }
    }
}

impl Provider {
    /// Starts one of chat completions that our catalog calls `name`, with models `<name>` and `<name>-…`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(name: &str) -> Self {
        Self::speaking(Speech::Chat, name).await
    }

    /// Starts one of this API.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn speaking(speech: Speech, name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            speech,
            credential: format!("sk-{name}-9d3f6a7c51e84b02"),
            ledger: Ledger::default(),
            scripts: Mutex::default(),
            released: watch::Sender::new(false),
        });
        let router = Router::new()
            .route(speech.path(), post(answered))
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, router).await.expect("the fake provider serves");
        });
        Self { shared, port, forgiving: false, models: String::new(), limits: String::new(), _server: server }
    }

    /// Does not fail the test for requests that it refused.
    #[must_use]
    pub const fn forgiving(mut self) -> Self {
        self.forgiving = true;
        self
    }

    /// Serves one more model, of these fields in a providers file.
    #[must_use]
    pub fn serving(mut self, model: &str) -> Self {
        self.models.push_str(&format!("[[provider.model]]\n{model}\n"));
        self
    }

    /// Has these fields, too, in a providers file.
    #[must_use]
    pub fn limited(mut self, fields: &str) -> Self {
        self.limits.push_str(fields);
        self
    }

    /// The n-th call for `model` is treated as the n-th act says; the last act holds for all later ones.
    pub fn script(&self, model: &str, acts: impl Into<Vec<Act>>) {
        locked(&self.shared.scripts).insert(model.to_owned(), acts.into());
    }

    /// Lets every call of [`Act::Hold`] be answered, now and later.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// The key that it wants.
    #[must_use]
    pub fn credential(&self) -> &str {
        &self.shared.credential
    }

    /// Its name in the catalog, which is that of its plain model too.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Where it listens.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its entry in a providers file.
    #[must_use]
    pub fn catalog(&self) -> String {
        let Shared { name, credential, speech, .. } = self.shared.as_ref();
        let (port, dialect) = (self.port, speech.dialect());
        format!(
            r#"
[[provider]]
name = "{name}"
dialect = "{dialect}"
base_url = "http://127.0.0.1:{port}/v1"
credential = "{credential}"
quirks = {{ idempotency_key = true }}
{}
[[provider.model]]
name = "{name}"
input_price = 2.0
output_price = 8.0
[[provider.model]]
name = "{name}-*"
{}"#,
            self.limits, self.models
        )
    }

    /// Every call so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.ledger.calls()
    }

    /// Every call so far for `model`.
    #[must_use]
    pub fn calls_of(&self, model: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.model == model).collect()
    }

    /// Waits until this many calls are being held or answered.
    pub async fn open(&self, calls: usize) {
        wait::until(&format!("{calls} open calls"), Duration::from_secs(60), async || {
            let open = self.calls().iter().filter(|call| call.ending == Ending::Open).count();
            wait::check(open == calls, format!("{open} are open"))
        })
        .await;
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let faults = self.shared.ledger.faults();
        if !self.forgiving && !std::thread::panicking() {
            assert!(faults.is_empty(), "requests that a real one would refuse: {faults:#?}");
        }
    }
}

async fn answered(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let open = shared.ledger.open(&headers, &value);
    let speech = shared.speech;
    let (name, key) = match speech {
        Speech::Messages => ("x-api-key", shared.credential.clone()),
        Speech::Chat | Speech::Responses => ("authorization", format!("Bearer {}", shared.credential)),
    };
    if headers.get(name).is_none_or(|sent| sent != key.as_str()) {
        shared.ledger.fault("wrong or missing key");
        open.end(Ending::Refused);
        return answer::error(speech, StatusCode::UNAUTHORIZED, "Incorrect API key provided.", None);
    }
    let checked = check::head(&headers, &value).and_then(|()| match speech {
        Speech::Chat => check::request(&value),
        Speech::Messages => check_messages::request(&headers, &value),
        Speech::Responses => check_responses::request(&value),
    });
    if let Err(complaint) = checked {
        shared.ledger.fault(&complaint);
        open.end(Ending::Refused);
        return answer::error(speech, StatusCode::BAD_REQUEST, &complaint, None);
    }
    let act = shared.next_act(open.model());
    match act {
        Act::Slow(time) => tokio::time::sleep(time).await,
        // Cannot fail: the sender lives in what we hold.
        Act::Hold => drop(shared.released.subscribe().wait_for(|released| *released).await),
        _ => {}
    }
    answer::of((speech, &act), &value, &shared.credential, open, shared.released.subscribe())
}

impl Shared {
    /// What to do with a call of `model`, which is in the ledger already.
    fn next_act(&self, model: &str) -> Act {
        let calls = self.ledger.calls().iter().filter(|call| call.model == model).count();
        let scripts = locked(&self.scripts);
        let acts = scripts.get(model).map(Vec::as_slice).unwrap_or_default();
        acts.get(calls.saturating_sub(1)).or(acts.last()).cloned().unwrap_or(Act::Answer)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
