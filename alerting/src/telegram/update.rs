//! What people press and write, as the Bot API hands it out. Which field is where is teloxide's to know; what it cannot
//! read is passed over. Pure.

use serde_json::Value;
use teloxide::types::{CallbackQuery, Chat, Message, Update, UpdateKind, User};

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

/// What `update` says.
pub(super) fn received(update: Update) -> Received {
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
}
