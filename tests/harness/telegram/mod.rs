//! Telegram's Bot API, as strict as the real one: token, lengths, HTML, rate limits with `retry_after`, unchanged edits,
//! chats that moved or threw the bot out. Keeps its own ledger of calls and of what each message finally says.

mod chats;
mod html;
mod methods;
mod updates;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use chats::{Chat, Limits, Message};
use chats::{Chats, Refusal};
use tokio::sync::Notify;
use updates::{Found, Updates};
pub use updates::{Toast, User};

use crate::wait;

/// The group that every fake knows.
pub const GROUP: i64 = -1_001_234_567_890;
const TOKEN: &str = "7016423519:AAE9xq2Vd-0fTn3RzLw8sKmYbJ5uHcPGi1o";

/// Something that goes wrong with one call, whatever it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No answer, ever.
    Hang,
    /// The connection breaks and nothing was done.
    Reset,
    /// It is done, and the connection breaks before the answer.
    LostAnswer,
    /// Telegram itself fails, with this status.
    Fail(u16),
    /// Too many calls, it says: come back after so many seconds.
    Throttle(u64),
}

/// One call, as Telegram saw it.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it came.
    pub at: Instant,
    /// In lower case, for example `sendmessage`.
    pub method: String,
    /// The chat it was for; 0 when for none.
    pub chat: i64,
    /// What was answered.
    pub status: u16,
    /// It came before the `retry_after` of an earlier answer for this chat, or for none, had passed.
    pub early: bool,
}

/// The fake. Serves while it lives.
#[derive(Debug)]
pub struct Telegram {
    shared: Arc<Shared>,
    port: u16,
    _server: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    chats: Mutex<Chats>,
    calls: Mutex<Vec<Call>>,
    troubles: Mutex<VecDeque<Trouble>>,
    updates: Mutex<Updates>,
    news: Notify,
    dawdle: Mutex<Duration>,
}

impl Telegram {
    /// Starts one with Telegram's own limits.
    pub async fn start() -> Self {
        Self::with_limits(Limits::default()).await
    }

    /// Starts one with other limits.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn with_limits(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let chats = Mutex::new(Chats::new(limits));
        let shared = Arc::new(Shared { chats, ..Shared::default() });
        let router = Router::new().route("/{bot}/{method}", any(call)).with_state(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, router).await.expect("the fake Bot API serves");
        });
        let fake = Self { shared, port, _server: server };
        fake.set_chat(GROUP, Chat::Group);
        fake
    }

    /// Where the Bot API is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The only token that it knows.
    #[must_use]
    pub const fn token(&self) -> &str {
        TOKEN
    }

    /// The id of [`GROUP`] as a setting.
    #[must_use]
    pub fn chat(&self) -> String {
        GROUP.to_string()
    }

    /// Makes a chat known, or changes it.
    pub fn set_chat(&self, id: i64, chat: Chat) {
        locked(&self.shared.chats).set(id, chat);
    }

    /// Closes a topic of a chat, or its General, where messages stand that name none.
    pub fn close_topic(&self, chat: i64, topic: Option<i64>) {
        locked(&self.shared.chats).close(chat, topic);
    }

    /// The next calls go wrong like this, one each.
    pub fn trouble(&self, troubles: impl IntoIterator<Item = Trouble>) {
        locked(&self.shared.troubles).extend(troubles);
    }

    /// From now on it does what it is asked at once and answers after up to `limit`, at random.
    pub fn dawdle(&self, limit: Duration) {
        *locked(&self.shared.dawdle) = limit;
    }

    /// Every call so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        locked(&self.shared.calls).clone()
    }

    /// Every message so far, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        locked(&self.shared.chats).messages()
    }

    /// What the messages say now, oldest first.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.messages().into_iter().map(|message| message.text().to_owned()).collect()
    }

    /// Somebody writes into a chat; answers the number of their message.
    pub fn writes(&self, chat: i64, topic: Option<i64>, user: User, text: &str) -> i64 {
        let mut updates = locked(&self.shared.updates);
        let id = updates.write(&mut locked(&self.shared.chats), chat, topic, user, text);
        self.shared.news.notify_waiters();
        id
    }

    /// Somebody presses the button of a message that this stands on.
    ///
    /// # Panics
    /// When the message has no such button.
    pub fn presses(&self, user: User, message: &Message, label: &str) {
        let button = message.buttons.iter().find(|(text, _)| text == label);
        let (_, data) = button.unwrap_or_else(|| panic!("no button {label}: {:?}", message.buttons));
        locked(&self.shared.updates).press(message.chat, message.id, user, data);
        self.shared.news.notify_waiters();
    }

    /// Whether updates go elsewhere, so that polls are refused.
    pub fn set_webhook(&self, webhook: bool) {
        locked(&self.shared.updates).set_webhook(webhook);
    }

    /// Every answer to a press so far, oldest first.
    #[must_use]
    pub fn toasts(&self) -> Vec<Toast> {
        locked(&self.shared.updates).toasts()
    }

    /// Whether all that people did was received, and all they pressed answered.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        locked(&self.shared.updates).is_settled()
    }

    /// Waits until some message holds all of `words`, whatever their case, and answers it.
    pub async fn says(&self, words: &[&str], limit: Duration) -> String {
        wait::until(&format!("message with {words:?}"), limit, async || {
            let texts = self.texts();
            let holds = |text: &&String| words.iter().all(|word| text.to_lowercase().contains(&word.to_lowercase()));
            texts.iter().find(holds).cloned().ok_or_else(|| format!("the messages are {texts:#?}"))
        })
        .await
    }
}

async fn call(State(shared): State<Arc<Shared>>, Path((bot, method)): Path<(String, String)>, body: Bytes) -> Response {
    // A poll goes on all the time: what is to go wrong is meant for calls that say something.
    let polls = method.eq_ignore_ascii_case("getupdates");
    let trouble = if polls { None } else { locked(&shared.troubles).pop_front() };
    match trouble {
        Some(Trouble::Hang) => std::future::pending::<()>().await,
        Some(Trouble::Reset) => return broken(),
        Some(Trouble::Throttle(seconds)) => {
            let chat = methods::chat_id(&serde_json::from_slice(&body).unwrap_or(Value::Null));
            let refused = locked(&shared.chats).bar(chat, seconds);
            return shared.enter(&method, chat, Err(refused));
        }
        Some(Trouble::Fail(status)) => {
            return shared.enter(&method, 0, Err(Refusal::new(status, "Internal Server Error")));
        }
        Some(Trouble::LostAnswer) | None => {}
    }
    if bot.strip_prefix("bot") != Some(TOKEN) {
        return shared.enter(&method, 0, Err(Refusal::new(401, "Unauthorized")));
    }
    let parameters: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let chat = methods::chat_id(&parameters);
    if chat == 0
        && let Err(refused) = locked(&shared.chats).admit_chatless()
    {
        return shared.enter(&method, chat, Err(refused));
    }
    match method.to_lowercase().as_str() {
        "getupdates" => {
            let result = shared.poll(&parameters).await;
            return shared.enter(&method, 0, result);
        }
        "answercallbackquery" => {
            let result = locked(&shared.updates).answer(&parameters);
            return shared.enter(&method, 0, result);
        }
        _ => {}
    }
    let result = methods::run(&mut locked(&shared.chats), &method, &parameters);
    let answer = shared.enter(&method, chat, result);
    let dawdle = *locked(&shared.dawdle);
    tokio::time::sleep(dawdle.mul_f64(rand::random())).await;
    if trouble == Some(Trouble::LostAnswer) { broken() } else { answer }
}

impl Shared {
    async fn poll(&self, parameters: &Value) -> Result<Value, Refusal> {
        let poll = locked(&self.updates).begin(parameters)?;
        self.news.notify_waiters();
        let deadline = updates::deadline(parameters);
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // Before the look: what comes between it and the wait is not missed.
            news.as_mut().enable();
            match locked(&self.updates).look(poll, parameters) {
                Found::Updates(found) => return Ok(found),
                Found::Terminated => return Err(updates::terminated()),
                Found::Nothing => {}
            }
            if tokio::time::timeout_at(deadline.into(), news).await.is_err() {
                return Ok(json!([]));
            }
        }
    }

    fn enter(&self, method: &str, chat: i64, result: Result<Value, Refusal>) -> Response {
        let method = method.to_lowercase();
        let (status, early, body) = match result {
            Ok(result) => (200, false, json!({"ok": true, "result": result})),
            Err(refusal) => (refusal.status, refusal.early, refusal.body()),
        };
        locked(&self.calls).push(Call { at: Instant::now(), method, chat, status, early });
        let status = StatusCode::from_u16(status).expect("refusals have real statuses");
        (status, [("content-type", "application/json")], body.to_string()).into_response()
    }
}

/// A body that breaks off: to the caller, a connection that was reset.
fn broken() -> Response {
    let reset = Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset));
    Body::from_stream(stream::iter([reset])).into_response()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
