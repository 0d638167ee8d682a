//! Chats, their messages, and how often one may write to them.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What a chat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chat {
    /// A person.
    Private,
    /// A group or supergroup.
    Group,
    /// A group that became the supergroup of this id.
    MovedTo(i64),
    /// A chat that threw the bot out.
    Forbidden,
}

/// How often one may write.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// To one chat in a second.
    pub chat_per_second: usize,
    /// To one group in a minute, edits included.
    pub group_per_minute: usize,
    /// To all chats in a second.
    pub overall_per_second: usize,
}

impl Default for Limits {
    /// Telegram's own.
    fn default() -> Self {
        Self { chat_per_second: 1, group_per_minute: 20, overall_per_second: 30 }
    }
}

/// A message and everything it ever said.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where it is.
    pub chat: i64,
    /// Its id in that chat.
    pub id: i64,
    /// When it was sent.
    pub at: Instant,
    /// What it said, entities parsed away: at first, and after each edit.
    pub versions: Vec<String>,
    /// The topic it is in.
    pub topic: Option<i64>,
    /// The message it answers.
    pub reply_to: Option<i64>,
    /// Its buttons: what stands on each, and what a press carries.
    pub buttons: Vec<(String, String)>,
    pub(super) raw: String,
}

impl Message {
    /// What it says now.
    #[must_use]
    pub fn text(&self) -> &str {
        self.versions.last().map_or("", String::as_str)
    }
}

/// A call that was not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) early: bool,
    description: String,
    parameters: Value,
}

impl Refusal {
    pub(super) fn new(status: u16, description: impl Into<String>) -> Self {
        Self { status, early: false, description: description.into(), parameters: Value::Null }
    }

    pub(super) fn bad(description: &str) -> Self {
        Self::new(400, format!("Bad Request: {description}"))
    }

    fn too_many(wait: Duration, early: bool) -> Self {
        let seconds = wait.as_secs_f64().ceil().max(1.0);
        let mut refusal = Self::new(429, format!("Too Many Requests: retry after {seconds}"));
        refusal.parameters = json!({"retry_after": seconds as u64});
        refusal.early = early;
        refusal
    }

    pub(super) fn body(&self) -> Value {
        let mut body = json!({"ok": false, "error_code": self.status, "description": self.description});
        if !self.parameters.is_null() {
            body["parameters"] = self.parameters.clone();
        }
        body
    }
}

/// What a message has beside its text.
#[derive(Debug, Default)]
pub(super) struct Dress {
    pub(super) topic: Option<i64>,
    pub(super) reply_to: Option<i64>,
    pub(super) buttons: Vec<(String, String)>,
}

#[derive(Debug, Default)]
pub(super) struct Chats {
    last_number: i64,
    limits: Limits,
    known: HashMap<i64, Chat>,
    messages: BTreeMap<i64, Message>,
    written: HashMap<i64, VecDeque<Instant>>,
    barred_until: HashMap<i64, Instant>,
    /// Topics that are closed; the one without a number is the chat's General.
    closed: HashSet<(i64, Option<i64>)>,
}

/// Times under this key are those of all chats.
const ALL: i64 = 0;

impl Chats {
    pub(super) fn new(limits: Limits) -> Self {
        let (known, messages) = (HashMap::new(), BTreeMap::new());
        let (written, barred_until, closed) = (HashMap::new(), HashMap::new(), HashSet::new());
        Self { last_number: 0, limits, known, messages, written, barred_until, closed }
    }

    pub(super) fn set(&mut self, id: i64, chat: Chat) {
        self.known.insert(id, chat);
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        self.messages.values().cloned().collect()
    }

    pub(super) fn message(&mut self, chat: i64, id: i64) -> Option<&mut Message> {
        self.messages.get_mut(&id).filter(|message| message.chat == chat)
    }

    pub(super) fn add(&mut self, chat: i64, text: String, raw: String, dress: Dress) -> i64 {
        let id = self.take_number();
        let Dress { topic, reply_to, buttons } = dress;
        let message = Message { chat, id, at: Instant::now(), versions: vec![text], topic, reply_to, buttons, raw };
        self.messages.insert(id, message);
        id
    }

    /// The number of the next message, whoever writes it.
    pub(super) fn take_number(&mut self) -> i64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn close(&mut self, chat: i64, topic: Option<i64>) {
        self.closed.insert((chat, topic));
    }

    /// Whether a new message may stand in this topic.
    pub(super) fn admit_topic(&self, chat: i64, topic: Option<i64>) -> Result<(), Refusal> {
        if self.closed.contains(&(chat, topic)) { Err(Refusal::bad("TOPIC_CLOSED")) } else { Ok(()) }
    }

    /// Whether `chat` can be written to at all, and now. Counts the attempt when it can.
    pub(super) fn admit(&mut self, chat: i64) -> Result<(), Refusal> {
        let known = *self.known.get(&chat).ok_or_else(|| Refusal::bad("chat not found"))?;
        self.admit_at(chat, known, Instant::now())?;
        match known {
            Chat::Private | Chat::Group => Ok(()),
            Chat::Forbidden => Err(Refusal::new(403, "Forbidden: bot was kicked from the supergroup chat")),
            Chat::MovedTo(id) => {
                let mut refusal = Refusal::bad("group chat was upgraded to a supergroup chat");
                refusal.parameters = json!({"migrate_to_chat_id": id});
                Err(refusal)
            }
        }
    }

    /// Refuses this call to `chat`, and those of the next `seconds`.
    pub(super) fn bar(&mut self, chat: i64, seconds: u64) -> Refusal {
        let now = Instant::now();
        let early = self.barred_until.get(&chat).is_some_and(|until| *until > now);
        let wait = Duration::from_secs(seconds);
        self.barred_until.insert(chat, now + wait);
        Refusal::too_many(wait, early)
    }

    /// Whether a call that names no chat may be made now.
    pub(super) fn admit_chatless(&self) -> Result<(), Refusal> {
        self.admit_any(ALL, Instant::now())
    }

    /// No call before a `retry_after` has passed, be it of this chat or of the bot.
    fn admit_any(&self, chat: i64, now: Instant) -> Result<(), Refusal> {
        let barred = [chat, ALL].into_iter().filter_map(|key| self.barred_until.get(&key)).max();
        match barred.filter(|until| **until > now) {
            Some(until) => Err(Refusal::too_many(*until - now, true)),
            None => Ok(()),
        }
    }

    fn admit_at(&mut self, chat: i64, kind: Chat, now: Instant) -> Result<(), Refusal> {
        self.admit_any(chat, now)?;
        let per_minute = if kind == Chat::Group { self.limits.group_per_minute } else { usize::MAX };
        let second = Duration::from_secs(1);
        let waits = [
            self.wait(chat, self.limits.chat_per_second, second, now),
            self.wait(chat, per_minute, Duration::from_secs(60), now),
            self.wait(ALL, self.limits.overall_per_second, second, now),
        ];
        if let Some(wait) = waits.into_iter().flatten().max() {
            let refusal = Refusal::too_many(wait, false);
            let seconds = refusal.parameters["retry_after"].as_u64().unwrap_or(1);
            self.barred_until.insert(chat, now + Duration::from_secs(seconds));
            return Err(refusal);
        }
        for key in [chat, ALL] {
            self.written.entry(key).or_default().push_back(now);
        }
        Ok(())
    }

    /// How long until fewer than `most` writes lie within `window`.
    fn wait(&self, key: i64, most: usize, window: Duration, now: Instant) -> Option<Duration> {
        let times = self.written.get(&key)?;
        let nth_last = times.len().checked_sub(most)?;
        let free_at = *times.get(nth_last)? + window;
        (free_at > now).then(|| free_at - now)
    }
}
