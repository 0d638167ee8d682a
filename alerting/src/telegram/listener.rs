//! Receives what people press and write: long polling, one request at a time, each update until the next request
//! confirms it. What cannot be read is passed over.

use std::time::Duration;

use runtime::config::TelegramConfig;
use secrecy::ExposeSecret;
use serde_json::Value;
use teloxide::payloads::{AnswerCallbackQuerySetters, GetUpdatesSetters};
use teloxide::requests::Requester;
use teloxide::types::{AllowedUpdate, CallbackQueryId};
use teloxide::{ApiError, Bot, RequestError};

use super::bot::bot;
use super::refusal::Refusal;
use super::update::{Received, received};
use crate::error::AlertingError;
use crate::rich::cut;

/// Most updates of one request.
const BATCH: u8 = 20;
/// Most characters of the words that a press is answered with.
const TOAST: usize = 200;

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
        let bot = bot(config, config.poll_timeout + config.timeout)?;
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
        let words = cut(words, TOAST);
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

#[cfg(test)]
mod tests {
    use super::*;

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
