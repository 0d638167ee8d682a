//! What people press and write, as the Bot API hands it out: long polling, one request at a time, each update until the
//! next request confirms it. Which field is where is teloxide's to know; what it cannot read is passed over.

use std::time::Duration;

use runtime::config::TelegramConfig;
use secrecy::ExposeSecret;
use serde_json::Value;
use teloxide::payloads::{AnswerCallbackQuerySetters, GetUpdatesSetters};
use teloxide::requests::Requester;
use teloxide::types::{AllowedUpdate, CallbackQuery, CallbackQueryId, Chat, Message, Update, UpdateKind, User};
use teloxide::{ApiError, Bot, RequestError};
use url::Url;

use super::Refusal;
use super::client::http;
use crate::AlertingError;

/// Most updates of one request.
const BATCH: u8 = 20;
/// Most characters of the words that a press is answered with.
const TOAST: usize = 200;

/// One person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) id: i64,
    /// `@name`, or the name that they gave themselves.
    pub(crate) name: String,
}

/// Where something was pressed or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The chat's number.
    pub(crate) chat: i64,
    /// Its `@name`, if it has one.
    pub(crate) name: Option<String>,
    /// The topic, in a chat that has topics.
    pub(crate) topic: Option<i32>,
    /// The message that was pressed or written.
    pub(crate) message: i32,
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// A button was pressed.
    Pressed {
        /// What the answer names.
        query: String,
        /// What the button carries.
        data: String,
    },
    /// A text was written.
    Wrote(String),
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// Counts up.
    pub(crate) update: u32,
    /// Nothing when it is none of what we look at.
    pub(crate) what: Option<(Option<Person>, Option<Spot>, Deed)>,
}

/// Why there are no updates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListenError {
    /// Somebody else asks for the updates of this bot.
    #[error("another process receives for this bot")]
    Conflict,
    /// Updates go to an address that somebody set.
    #[error("a webhook is set for this bot: delete it to receive here")]
    Webhook,
    /// The answer cannot be read, but what comes behind it can be asked for.
    #[error("updates that cannot be read are passed over")]
    Unreadable {
        /// The last of them.
        last: u32,
    },
    /// As for every call.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Receives for one bot.
pub(crate) struct Listener {
    bot: Bot,
    wait: Duration,
    timeout: Duration,
}

/// Without the bot, whose own `Debug` shows the token.
impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("wait", &self.wait).finish_non_exhaustive()
    }
}

impl Listener {
    /// The configured bot; nothing when there is none, or nobody may press and write.
    pub(crate) fn of(config: &TelegramConfig) -> Result<Option<Self>, AlertingError> {
        let silent = config.token.expose_secret().is_empty() || config.allowed_users.is_empty();
        if silent { Ok(None) } else { Self::new(config).map(Some) }
    }

    fn new(config: &TelegramConfig) -> Result<Self, AlertingError> {
        let url: Url = config.api_url.trim_end_matches('/').parse().map_err(AlertingError::ApiUrl)?;
        let client = http(config.timeout, config.poll_timeout + config.timeout)?;
        let bot = Bot::with_client(config.token.expose_secret(), client).set_api_url(url);
        Ok(Self { bot, wait: config.poll_timeout, timeout: config.timeout })
    }

    /// What happened from `offset` on, once something has; nothing when nothing did for a while. Confirms all before.
    pub(crate) async fn receive(&self, offset: Option<u32>) -> Result<Vec<Received>, ListenError> {
        let mut request = self
            .bot
            .get_updates()
            .limit(BATCH)
            // Without a wait the server answers at once, and so would we ask.
            .timeout(u32::try_from(self.wait.as_secs().max(1)).unwrap_or(u32::MAX))
            .allowed_updates([AllowedUpdate::Message, AllowedUpdate::CallbackQuery]);
        if let Some(offset) = offset {
            request = request.offset(i32::try_from(offset).unwrap_or(i32::MAX));
        }
        let answer = tokio::time::timeout(self.wait + self.timeout, async { request.await }).await;
        match answer.map_err(|_| Refusal::Unreachable("timeout"))? {
            Ok(updates) => Ok(updates.into_iter().map(received).collect()),
            Err(error) => Err(refused(&error)),
        }
    }

    /// Tells whoever pressed what came of it. An answer that comes too late for Telegram was an answer all the same.
    pub(crate) async fn answer(&self, query: &str, words: &str) -> Result<(), Refusal> {
        let words = crate::rich::cut(words, TOAST);
        let request = self.bot.answer_callback_query(CallbackQueryId(query.to_owned())).text(words);
        let answer = tokio::time::timeout(self.timeout, async { request.await }).await;
        match answer.map_err(|_| Refusal::Unreachable("timeout"))? {
            Ok(_) | Err(RequestError::Api(ApiError::InvalidQueryId)) => Ok(()),
            Err(error) => match says(&error, "query is too old") {
                true => Ok(()),
                false => Refusal::of(&error).map(drop),
            },
        }
    }
}

fn refused(error: &RequestError) -> ListenError {
    if let RequestError::InvalidJson { raw, .. } = error
        && let Some(last) = last_update(raw)
    {
        return ListenError::Unreadable { last };
    }
    if says(error, "webhook is active") {
        ListenError::Webhook
    } else if says(error, "conflict") || says(error, "terminated by other") {
        ListenError::Conflict
    } else {
        Refusal::of(error).err().unwrap_or(Refusal::Unreachable("unreadable answer")).into()
    }
}

/// Whether Telegram's own words hold these.
fn says(error: &RequestError, words: &str) -> bool {
    matches!(error, RequestError::Api(error) if error.to_string().to_lowercase().contains(words))
}

fn last_update(raw: &str) -> Option<u32> {
    let answer: Value = serde_json::from_str(raw).ok()?;
    let numbers = answer["result"].as_array()?.iter().filter_map(|update| update["update_id"].as_u64());
    numbers.max().and_then(|number| u32::try_from(number).ok())
}

fn received(update: Update) -> Received {
    let what = match update.kind {
        UpdateKind::CallbackQuery(query) => Some(pressed(query)),
        UpdateKind::Message(message) => wrote(message),
        UpdateKind::Error(unread) => unread_press(&unread),
        _ => None,
    };
    Received { update: update.id.0, what }
}

fn pressed(query: CallbackQuery) -> (Option<Person>, Option<Spot>, Deed) {
    let spot = query.message.as_ref().map(|message| {
        let topic = message.regular_message().and_then(topic);
        spot(message.chat(), topic, message.id().0)
    });
    let deed = Deed::Pressed { query: query.id.0, data: query.data.unwrap_or_default() };
    (Some(person(&query.from)), spot, deed)
}

fn wrote(message: Message) -> Option<(Option<Person>, Option<Spot>, Deed)> {
    let text = message.text()?.to_owned();
    let spot = spot(&message.chat, topic(&message), message.id.0);
    Some((message.from.as_ref().map(person), Some(spot), Deed::Wrote(text)))
}

/// A press whose message has fields that are news to the library is still to be answered.
fn unread_press(unread: &Value) -> Option<(Option<Person>, Option<Spot>, Deed)> {
    let query = unread.pointer("/callback_query/id")?.as_str()?.to_owned();
    Some((None, None, Deed::Pressed { query, data: String::new() }))
}

fn person(user: &User) -> Person {
    Person {
        id: i64::try_from(user.id.0).unwrap_or(i64::MAX),
        name: user.mention().unwrap_or_else(|| user.full_name()),
    }
}

fn spot(chat: &Chat, topic: Option<i32>, message: i32) -> Spot {
    Spot { chat: chat.id.0, name: chat.username().map(|name| format!("@{name}")), topic, message }
}

fn topic(message: &Message) -> Option<i32> {
    message.thread_id.filter(|_| message.is_topic_message).map(|thread| thread.0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(update: Value) -> Received {
        // From text, as it comes: the library reads borrowed keys.
        received(serde_json::from_str(&update.to_string()).unwrap())
    }

    fn group() -> Value {
        json!({"id": -1001, "type": "supergroup", "title": "operators", "username": "ops", "is_forum": true})
    }

    fn ann() -> Value {
        json!({"id": 7, "is_bot": false, "first_name": "Ann", "last_name": "B", "username": "ann"})
    }

    #[test]
    fn a_press_is_read() {
        let message = json!({"message_id": 5, "date": 1_770_000_000, "chat": group(), "text": "x",
            "is_topic_message": true, "message_thread_id": 42});
        let query = json!({"id": "q1", "from": ann(), "message": message, "chat_instance": "1", "data": "resolve:ab"});
        let what = read(json!({"update_id": 9, "callback_query": query})).what.unwrap();
        assert_eq!(what.0, Some(Person { id: 7, name: "@ann".to_owned() }));
        assert_eq!(what.1, Some(Spot { chat: -1001, name: Some("@ops".to_owned()), topic: Some(42), message: 5 }));
        assert_eq!(what.2, Deed::Pressed { query: "q1".to_owned(), data: "resolve:ab".to_owned() });
    }

    #[test]
    fn a_press_on_a_message_too_old_to_see_is_read() {
        let message = json!({"message_id": 5, "date": 0, "chat": group()});
        let query = json!({"id": "q1", "from": ann(), "message": message, "chat_instance": "1", "data": "x"});
        let (_, spot, _) = read(json!({"update_id": 9, "callback_query": query})).what.unwrap();
        assert_eq!(spot.map(|spot| (spot.chat, spot.topic, spot.message)), Some((-1001, None, 5)));
    }

    #[test]
    fn a_text_is_read_and_other_news_are_passed_over() {
        let message =
            json!({"message_id": 6, "date": 1_770_000_000, "chat": group(), "from": ann(), "text": "/status"});
        let (who, _, deed) = read(json!({"update_id": 10, "message": message})).what.unwrap();
        assert_eq!((who.unwrap().id, deed), (7, Deed::Wrote("/status".to_owned())));
        for update in [
            json!({"update_id": 11, "poll": {}}),
            json!({"update_id": 11, "novelty": {"a": 1}}),
            json!({"update_id": 11, "message": {"message_id": 1, "date": 1, "chat": group(), "new_chat_title": "x"}}),
        ] {
            assert_eq!(read(update), Received { update: 11, what: None });
        }
    }

    #[test]
    fn refusals_of_polling_have_names() {
        let api = |description: &str| {
            RequestError::Api(serde_json::from_value(Value::String(description.to_owned())).unwrap())
        };
        for (description, expected) in [
            (
                "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                ListenError::Conflict,
            ),
            (
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook \
                 first",
                ListenError::Webhook,
            ),
            ("Unauthorized", ListenError::Refused(Refusal::Token)),
        ] {
            assert_eq!(refused(&api(description)), expected);
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_passed_over() {
        let source = serde_json::from_str::<i32>("x").unwrap_err();
        let raw = r#"{"ok":true,"result":[{"update_id":4},{"update_id":6,"message":1},{"update_id":5}]}"#;
        let error = RequestError::InvalidJson { source: source.into(), raw: raw.into() };
        assert_eq!(refused(&error), ListenError::Unreadable { last: 6 });
    }
}
