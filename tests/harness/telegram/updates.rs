//! What people do in their chats: what they press and write waits, as at Telegram, until a poll confirms it; one poll at a
//! time, and a press is answered once.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::chats::{Chats, Refusal};

/// Longest wait of one poll.
const LONGEST: Duration = Duration::from_secs(50);

/// Somebody who presses and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Their number.
    pub id: i64,
    /// Their name, without `@`.
    pub name: &'static str,
}

/// The answer to a press.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    /// Who pressed.
    pub user: i64,
    /// What they were told.
    pub text: String,
}

/// What waits to be received.
#[derive(Debug, Default)]
pub(super) struct Updates {
    waiting: VecDeque<Value>,
    next: u64,
    polls: u64,
    /// Presses that are not answered, by query.
    asked: BTreeMap<String, i64>,
    toasts: Vec<Toast>,
    webhook: bool,
}

/// What a poll finds.
pub(super) enum Found {
    Updates(Value),
    Nothing,
    Terminated,
}

impl Updates {
    /// Somebody writes; answers the number of their message.
    pub(super) fn write(&mut self, chats: &mut Chats, chat: i64, topic: Option<i64>, user: User, text: &str) -> i64 {
        let id = chats.take_number();
        let mut message =
            json!({"message_id": id, "date": now(), "chat": group(chat), "from": person(user), "text": text});
        if let Some(topic) = topic {
            message["is_topic_message"] = json!(true);
            message["message_thread_id"] = json!(topic);
        }
        self.push("message", message);
        id
    }

    /// Somebody presses a button of a message, which carries `data`.
    pub(super) fn press(&mut self, chat: i64, message: i64, user: User, data: &str) {
        let query = format!("query-{}", self.next);
        self.asked.insert(query.clone(), user.id);
        let message = json!({"message_id": message, "date": now(), "chat": group(chat), "text": "x"});
        let press = json!({"id": query, "from": person(user), "message": message, "chat_instance": "1", "data": data});
        self.push("callback_query", press);
    }

    /// From now on polls are refused: updates go elsewhere.
    pub(super) fn set_webhook(&mut self, webhook: bool) {
        self.webhook = webhook;
    }

    pub(super) fn toasts(&self) -> Vec<Toast> {
        self.toasts.clone()
    }

    /// Nothing waits to be confirmed, and no press to be answered.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_empty()
    }

    /// `answerCallbackQuery`.
    pub(super) fn answer(&mut self, parameters: &Value) -> Result<Value, Refusal> {
        let query = parameters["callback_query_id"].as_str().unwrap_or_default();
        let text = parameters["text"].as_str().unwrap_or_default();
        if text.encode_utf16().count() > 200 {
            return Err(Refusal::bad("MESSAGE_TOO_LONG"));
        }
        let late = "query is too old and response timeout expired or query ID is invalid";
        let user = self.asked.remove(query).ok_or_else(|| Refusal::bad(late))?;
        self.toasts.push(Toast { user, text: text.to_owned() });
        Ok(json!(true))
    }

    /// A poll begins: it ends the one before.
    pub(super) fn begin(&mut self, parameters: &Value) -> Result<u64, Refusal> {
        if self.webhook {
            let said = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the \
                        webhook first";
            return Err(Refusal::new(409, said));
        }
        if let Some(offset) = parameters["offset"].as_u64() {
            self.waiting.retain(|update| update["update_id"].as_u64() >= Some(offset));
        }
        self.polls += 1;
        Ok(self.polls)
    }

    /// What the poll of this number finds.
    pub(super) fn look(&self, poll: u64, parameters: &Value) -> Found {
        if poll != self.polls {
            return Found::Terminated;
        }
        let most = parameters["limit"].as_u64().map_or(100, |limit| limit.clamp(1, 100));
        let found: Vec<_> = self.waiting.iter().take(usize::try_from(most).unwrap_or(100)).cloned().collect();
        if found.is_empty() { Found::Nothing } else { Found::Updates(json!(found)) }
    }

    fn push(&mut self, kind: &str, content: Value) {
        self.next += 1;
        self.waiting.push_back(json!({"update_id": 1000 + self.next, kind: content}));
    }
}

/// How long a poll waits, and until when.
pub(super) fn deadline(parameters: &Value) -> Instant {
    let seconds = Duration::from_secs(parameters["timeout"].as_u64().unwrap_or(0));
    Instant::now() + seconds.min(LONGEST)
}

/// What ends a poll that another one followed.
pub(super) fn terminated() -> Refusal {
    let said = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
    Refusal::new(409, said)
}

/// The buttons of a message: what stands on them and what they carry, as strictly as Telegram takes them.
pub(super) fn buttons(parameters: &Value) -> Result<Vec<(String, String)>, Refusal> {
    let rows = parameters["reply_markup"]["inline_keyboard"].as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for button in rows.iter().filter_map(Value::as_array).flatten() {
        let (text, data) = (button["text"].as_str().unwrap_or_default(), button["callback_data"].as_str());
        let data =
            data.filter(|data| (1..=64).contains(&data.len())).ok_or_else(|| Refusal::bad("BUTTON_DATA_INVALID"))?;
        if text.trim().is_empty() {
            return Err(Refusal::bad("Text buttons are unallowed in the inline keyboard"));
        }
        found.push((text.to_owned(), data.to_owned()));
    }
    Ok(found)
}

fn group(id: i64) -> Value {
    json!({"id": id, "type": "supergroup", "title": "operators"})
}

fn person(user: User) -> Value {
    json!({"id": user.id, "is_bot": false, "first_name": user.name, "username": user.name})
}

fn now() -> i64 {
    runtime::clock::now().as_secs()
}
