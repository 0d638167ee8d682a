//! What the provider saw, in its own book: nobody's word but its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::HeaderMap;
use serde_json::Value;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It has not.
    Open,
    /// A whole answer was written.
    Answered,
    /// An error was answered.
    Refused,
    /// The script cut it.
    Cut,
    /// The caller hung up first.
    Dropped,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it came.
    pub at: Instant,
    /// The model it named.
    pub model: String,
    /// Its `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Its body.
    pub body: Value,
    /// How it ended.
    pub ending: Ending,
}

impl Call {
    /// The text of the last user message.
    #[must_use]
    pub fn prompt(&self) -> String {
        last_user_text(&self.body)
    }
}

#[derive(Debug, Default, Clone)]
pub(super) struct Ledger {
    calls: Arc<Mutex<Vec<Call>>>,
    faults: Arc<Mutex<Vec<String>>>,
}

impl Ledger {
    pub(super) fn calls(&self) -> Vec<Call> {
        locked(&self.calls).clone()
    }

    pub(super) fn faults(&self) -> Vec<String> {
        locked(&self.faults).clone()
    }

    pub(super) fn fault(&self, complaint: &str) {
        locked(&self.faults).push(complaint.to_owned());
    }

    /// Enters a call. Unless [`Open::end`] says otherwise, it counts as dropped by its caller.
    pub(super) fn open(&self, headers: &HeaderMap, body: &Value) -> Open {
        let model = body["model"].as_str().unwrap_or_default().to_owned();
        let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
        let mut calls = locked(&self.calls);
        calls.push(Call {
            at: Instant::now(),
            model: model.clone(),
            idempotency_key: key.map(str::to_owned),
            body: body.clone(),
            ending: Ending::Open,
        });
        Open { ledger: self.clone(), index: calls.len() - 1, model }
    }
}

/// A call that has not ended.
#[derive(Debug)]
pub(super) struct Open {
    ledger: Ledger,
    index: usize,
    model: String,
}

impl Open {
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(super) fn end(&self, ending: Ending) {
        let mut calls = locked(&self.ledger.calls);
        let call = &mut calls[self.index];
        if call.ending == Ending::Open {
            call.ending = ending;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.end(Ending::Dropped);
    }
}

pub(super) fn last_user_text(body: &Value) -> String {
    let said = body["messages"].as_array().or(body["input"].as_array()).map(Vec::as_slice).unwrap_or_default();
    let texts =
        said.iter().rev().filter(|message| message["role"] == "user").map(|message| match &message["content"] {
            Value::String(text) => text.clone(),
            parts => parts.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect(),
        });
    // Anthropic's tool results are a user's messages too.
    texts.into_iter().find(|text: &String| !text.is_empty()).unwrap_or_default()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
