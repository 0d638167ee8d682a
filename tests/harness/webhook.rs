//! A receiver of webhooks, as strict as the Standard Webhooks libraries: it takes only what is signed with the key that it
//! shares, lately, and under an id that always stands for one alert in one state. It answers heartbeats too, and keeps its
//! own ledger of both.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The key that both sides know.
const KEY: &str = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// How old a signature may be, in seconds.
const TOLERANCE: u64 = 300;

/// One post that was taken.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Its `webhook-id`.
    pub id: String,
    /// Its body.
    pub body: Value,
}

/// The receiver. It ends when it is dropped, and then fails the test if anything came that it does not take.
#[derive(Debug)]
pub struct Receiver {
    base: String,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    taken: Mutex<Vec<Posted>>,
    refusals: Mutex<VecDeque<u16>>,
    refused: Mutex<u64>,
    /// How many posts more are taken, if that is bounded.
    room: Mutex<Option<usize>>,
    beats: Mutex<u64>,
    faults: Mutex<Vec<String>>,
    about: Mutex<HashMap<String, (Value, Value)>>,
}

impl Receiver {
    /// Starts on a free port.
    ///
    /// # Panics
    /// When this machine has no port left.
    pub async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let router = Router::new().route("/hook", post(take)).route("/beat", get(beat)).with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let base = format!("http://{}", listener.local_addr().expect("it listens"));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("it serves for ever") });
        Self { base, shared, _server: server }
    }

    /// Where to post.
    #[must_use]
    pub fn hook(&self) -> String {
        format!("{}/hook", self.base)
    }

    /// What a heartbeat calls.
    #[must_use]
    pub fn heartbeat(&self) -> String {
        format!("{}/beat", self.base)
    }

    /// The key, as it is configured.
    #[must_use]
    pub fn secret(&self) -> String {
        format!("whsec_{KEY}")
    }

    /// The next posts are answered with these statuses, and not taken.
    pub fn refuse(&self, statuses: impl IntoIterator<Item = u16>) {
        locked(&self.shared.refusals).extend(statuses);
    }

    /// Takes this many posts more, and answers 503 to those after them; without a number takes all again.
    pub fn take_only(&self, posts: impl Into<Option<usize>>) {
        *locked(&self.shared.room) = posts.into();
    }

    /// Posts that were refused so.
    #[must_use]
    pub fn refused(&self) -> u64 {
        *locked(&self.shared.refused)
    }

    /// What was taken so far, oldest first, repeats of one id among it.
    #[must_use]
    pub fn taken(&self) -> Vec<Posted> {
        locked(&self.shared.taken).clone()
    }

    /// Heartbeats so far.
    #[must_use]
    pub fn beats(&self) -> u64 {
        *locked(&self.shared.beats)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let faults = locked(&self.shared.faults);
        assert!(faults.is_empty() || std::thread::panicking(), "the receiver does not take this: {faults:#?}");
    }
}

async fn beat(State(shared): State<Arc<Shared>>) {
    *locked(&shared.beats) += 1;
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if let Some(status) = locked(&shared.refusals).pop_front() {
        *locked(&shared.refused) += 1;
        return StatusCode::from_u16(status).expect("refusals have real statuses");
    }
    if *locked(&shared.room) == Some(0) {
        *locked(&shared.refused) += 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match verified(&headers, &body).and_then(|posted| shared.enter(posted)) {
        Ok(()) => {
            if let Some(room) = &mut *locked(&shared.room) {
                *room -= 1;
            }
            StatusCode::NO_CONTENT
        }
        Err(fault) => {
            locked(&shared.faults).push(fault);
            StatusCode::UNAUTHORIZED
        }
    }
}

impl Shared {
    /// An id may come again, as the same alert in the same state alone.
    fn enter(&self, posted: Posted) -> Result<(), String> {
        let about = (posted.body["data"]["fingerprint"].clone(), posted.body["type"].clone());
        let mut known = locked(&self.about);
        let first = known.entry(posted.id.clone()).or_insert_with(|| about.clone());
        if *first != about {
            return Err(format!("{} stood for {first:?} and now for {about:?}", posted.id));
        }
        locked(&self.taken).push(posted);
        Ok(())
    }
}

fn verified(headers: &HeaderMap, body: &[u8]) -> Result<Posted, String> {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned).ok_or_else(|| format!("no {name}"))
    };
    let (id, time, signatures) = (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let sent: u64 = time.parse().map_err(|_| format!("{time} is no time"))?;
    if now.abs_diff(sent) > TOLERANCE {
        return Err(format!("signed at {sent}, and it is {now}"));
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).expect("the key is base64"));
    let signed = [format!("{id}.{time}.").as_bytes(), body].concat();
    let is_ours = |signature: &str| {
        let tag = signature.strip_prefix("v1,").and_then(|tag| STANDARD.decode(tag).ok());
        tag.is_some_and(|tag| hmac::verify(&key, &signed, &tag).is_ok())
    };
    if !signatures.split(' ').any(is_ours) {
        return Err(format!("{id}: no signature of ours in {signatures}"));
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| format!("{id}: no JSON: {error}"))?;
    Ok(Posted { id, body })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
