//! What an error of the Bot API means for what we do next. No variant holds the error itself: its text may hold the
//! token, as part of the URL, or a message.

use std::time::Duration;

use teloxide::types::ChatId;
use teloxide::{ApiError, RequestError};

/// Longest explanation of Telegram's that is kept.
const DESCRIPTION: usize = 200;

/// Why a call did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Refusal {
    /// Too many calls: come back after this time.
    #[error("too many calls, retry after {} s", .0.as_secs())]
    Throttled(Duration),
    /// The group became a supergroup with this number.
    #[error("the group moved")]
    Moved(i64),
    /// The message to edit does not exist or cannot be edited.
    #[error("the message is gone")]
    Gone,
    /// The text cannot be parsed or is too long.
    #[error("the text is refused: {0}")]
    Unparsable(String),
    /// The chat does not exist or does not want us.
    #[error("the chat is refused: {0}")]
    Chat(String),
    /// The token is not that of a bot.
    #[error("the token is refused")]
    Token,
    /// No answer, or none that can be read.
    #[error("telegram cannot be reached: {0}")]
    Unreachable(&'static str),
}

impl Refusal {
    /// Whether it is certain that the call did nothing.
    pub(crate) fn is_certain(&self) -> bool {
        !matches!(self, Self::Unreachable(reason) if *reason != "connect")
    }

    /// The outcome of a call as Telegram means it: an edit that changes nothing is none of an error, and an answer whose
    /// fields are news to the library still tells which message it is about.
    pub(crate) fn of(error: &RequestError) -> Result<Option<i32>, Self> {
        Err(match error {
            RequestError::Api(ApiError::MessageNotModified) => return Ok(None),
            RequestError::Api(error) => return api(error),
            RequestError::RetryAfter(seconds) => Self::Throttled(seconds.duration()),
            RequestError::MigrateToChatId(ChatId(id)) => Self::Moved(*id),
            RequestError::InvalidJson { raw, .. } => return message_of(raw).map(Some),
            RequestError::Network(error) if error.is_timeout() => Self::Unreachable("timeout"),
            RequestError::Network(error) if error.is_connect() => Self::Unreachable("connect"),
            RequestError::Network(_) | RequestError::Io(_) => Self::Unreachable("connection lost"),
        })
    }
}

fn api(error: &ApiError) -> Result<Option<i32>, Refusal> {
    Err(match error {
        ApiError::MessageToEditNotFound | ApiError::MessageCantBeEdited | ApiError::MessageIdInvalid => Refusal::Gone,
        ApiError::CantParseEntities(text) => Refusal::Unparsable(short(text)),
        ApiError::MessageIsTooLong | ApiError::EditedMessageIsTooLong | ApiError::MessageTextIsEmpty => {
            Refusal::Unparsable(short(&error.to_string()))
        }
        ApiError::InvalidToken => Refusal::Token,
        ApiError::Unknown(text) => return unknown(text),
        other => Refusal::Chat(short(&other.to_string())),
    })
}

/// Descriptions that the library does not know. What remains is taken for a chat that does not want us, so that the
/// alert goes to another chat and is tried again later, but not at once.
fn unknown(text: &str) -> Result<Option<i32>, Refusal> {
    let lower = text.to_lowercase();
    let says = |words: &str| lower.contains(words);
    if says("message is not modified") {
        return Ok(None);
    }
    Err(if says("message to edit not found") || says("message can't be edited") {
        Refusal::Gone
    } else if says("can't parse") || says("too long") || says("text is empty") {
        Refusal::Unparsable(short(text))
    } else if says("internal server error") || says("bad gateway") || says("gateway timeout") {
        Refusal::Unreachable("server error")
    } else {
        Refusal::Chat(short(text))
    })
}

fn message_of(raw: &str) -> Result<i32, Refusal> {
    let answer: serde_json::Value = serde_json::from_str(raw).unwrap_or_default();
    let message = answer.pointer("/result/message_id").and_then(serde_json::Value::as_i64);
    let accepted = answer.get("ok").and_then(serde_json::Value::as_bool) == Some(true);
    let message = message.filter(|_| accepted).and_then(|message| i32::try_from(message).ok());
    message.ok_or(Refusal::Unreachable("unreadable answer"))
}

fn short(text: &str) -> String {
    crate::rich::cut(text, DESCRIPTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api_error(description: &str) -> RequestError {
        RequestError::Api(serde_json::from_value(serde_json::Value::String(description.to_owned())).unwrap())
    }

    #[test]
    fn each_description_means_what_to_do_next() {
        let cases = [
            ("Bad Request: chat not found", "chat"),
            ("Forbidden: bot was blocked by the user", "chat"),
            ("Forbidden: bot was kicked from the supergroup chat", "chat"),
            ("Bad Request: need administrator rights in the channel chat", "chat"),
            ("Bad Request: not enough rights to send text messages to the chat", "chat"),
            ("Bad Request: CHAT_WRITE_FORBIDDEN", "chat"),
            ("Bad Request: message to edit not found", "gone"),
            ("Bad Request: message can't be edited", "gone"),
            ("Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 3", "unparsable"),
            ("Bad Request: message is too long", "unparsable"),
            ("Bad Request: MESSAGE_TOO_LONG", "unparsable"),
            ("Unauthorized", "token"),
            ("Not Found", "token"),
            ("Bad Gateway", "unreachable"),
        ];
        for (description, expected) in cases {
            let refusal = Refusal::of(&api_error(description)).unwrap_err();
            assert_eq!(<&str>::from(&refusal), expected, "{description}");
        }
    }

    #[test]
    fn an_edit_that_changes_nothing_is_done() {
        for description in [
            "Bad Request: message is not modified: specified new message content and reply markup are exactly the same \
             as a current content and reply markup of the message",
            "Bad Request: message is not modified",
        ] {
            assert_eq!(Refusal::of(&api_error(description)), Ok(None));
        }
    }

    #[test]
    fn an_answer_that_the_library_cannot_read_still_names_its_message() {
        let answer = |raw: &str| {
            let source = serde_json::from_str::<i32>("x").unwrap_err();
            Refusal::of(&RequestError::InvalidJson { source: source.into(), raw: raw.into() })
        };
        assert_eq!(answer(r#"{"ok":true,"result":{"message_id":7,"novelty":1}}"#), Ok(Some(7)));
        for raw in ["<html>502</html>", r#"{"ok":false,"result":{"message_id":7}}"#, r#"{"ok":true,"result":true}"#] {
            assert_eq!(answer(raw), Err(Refusal::Unreachable("unreadable answer")), "{raw}");
        }
    }

    #[test]
    fn descriptions_are_cut() {
        let Err(Refusal::Chat(text)) = Refusal::of(&api_error(&"x".repeat(10_000))) else {
            panic!("not a chat refusal")
        };
        assert_eq!(text.chars().count(), DESCRIPTION);
    }
}
