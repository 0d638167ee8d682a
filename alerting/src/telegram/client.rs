//! The Bot API through teloxide. Pacing and durability are ours; here is one call with a bounded wait.

use std::time::Duration;

use runtime::config::TelegramConfig;
use teloxide::payloads::{EditMessageTextSetters, SendMessageSetters};
use teloxide::requests::Requester;
use teloxide::types::{
    ChatId, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, MessageId, ParseMode, Recipient,
    ReplyParameters, ThreadId,
};
use teloxide::{Bot, RequestError};

use super::bot::bot;
use super::refusal::Refusal;
use crate::button::{Button, Keyboard};
use crate::error::AlertingError;
use crate::task::{Action, Task};

/// One bot.
pub(crate) struct Client {
    bot: Bot,
    timeout: Duration,
}

/// Without the bot, whose own `Debug` shows the token.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Client {
    /// The configured bot.
    pub(crate) fn new(config: &TelegramConfig) -> Result<Self, AlertingError> {
        Ok(Self { bot: bot(config, config.timeout)?, timeout: config.timeout })
    }

    /// Makes the call of `task`; returns the number of the message that it made or changed.
    pub(crate) async fn call(&self, task: &Task) -> Result<i32, Refusal> {
        let text = if task.plain { task.text.plain() } else { task.text.html() };
        let told = match task.action {
            Action::Edit { message } => self.edit(task, message, text).await,
            Action::Send => self.send(task, None, text).await,
            Action::Notice { reply_to } => self.send(task, reply_to, text).await,
        }?;
        match (told, task.action) {
            (Some(message), _) | (None, Action::Edit { message }) => Ok(message),
            (None, _) => Err(Refusal::Unreachable("unreadable answer")),
        }
    }

    /// The bot's name, which proves that the token is good and Telegram answers.
    pub(crate) async fn name(&self) -> Result<String, Refusal> {
        let me = self.bounded(async { self.bot.get_me().await }).await;
        match me.ok_or(Refusal::Unreachable("timeout"))? {
            Ok(me) => Ok(me.username().to_owned()),
            Err(error) => match Refusal::of(&error) {
                Err(refusal) => Err(refusal),
                Ok(_) => Err(Refusal::Unreachable("unreadable answer")),
            },
        }
    }

    async fn send(&self, task: &Task, reply_to: Option<i32>, text: &str) -> Result<Option<i32>, Refusal> {
        let mut request = self.bot.send_message(recipient(&task.chat), text).link_preview_options(no_preview());
        if !task.plain {
            request = request.parse_mode(ParseMode::Html);
        }
        if let Some(topic) = task.topic {
            request = request.message_thread_id(ThreadId(MessageId(topic)));
        }
        if !task.keyboard.is_empty() {
            request = request.reply_markup(markup(&task.keyboard));
        }
        if let Some(message) = reply_to {
            let reply = ReplyParameters::new(MessageId(message)).allow_sending_without_reply();
            request = request.reply_parameters(reply);
        }
        outcome(self.bounded(async { request.await }).await)
    }

    async fn edit(&self, task: &Task, message: i32, text: &str) -> Result<Option<i32>, Refusal> {
        let mut request = self
            .bot
            .edit_message_text(recipient(&task.chat), MessageId(message), text)
            .link_preview_options(no_preview())
            .reply_markup(markup(&task.keyboard));
        if !task.plain {
            request = request.parse_mode(ParseMode::Html);
        }
        outcome(self.bounded(async { request.await }).await)
    }

    /// The library sleeps 10 s on a server error before it reads the answer, which no timeout of the client bounds.
    async fn bounded<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.timeout, call).await.ok()
    }
}

fn markup(keyboard: &Keyboard) -> InlineKeyboardMarkup {
    let button = |button: &Button| InlineKeyboardButton::callback(button.label, button.data.clone());
    InlineKeyboardMarkup::new(keyboard.iter().map(|row| row.iter().map(button).collect::<Vec<_>>()))
}

fn outcome(answer: Option<Result<teloxide::types::Message, RequestError>>) -> Result<Option<i32>, Refusal> {
    match answer {
        None => Err(Refusal::Unreachable("timeout")),
        Some(Ok(message)) => Ok(Some(message.id.0)),
        Some(Err(error)) => Refusal::of(&error),
    }
}

/// A chat by its number, or a channel by its `@name`.
fn recipient(chat: &str) -> Recipient {
    match chat.parse() {
        Ok(id) => Recipient::Id(ChatId(id)),
        Err(_) => Recipient::ChannelUsername(chat.to_owned()),
    }
}

const fn no_preview() -> LinkPreviewOptions {
    LinkPreviewOptions {
        is_disabled: true,
        url: None,
        prefer_small_media: false,
        prefer_large_media: false,
        show_above_text: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn client(api_url: &str) -> Client {
        let mut config = fixture::telegram();
        config.token = "123456:verysecret".to_owned().into();
        config.api_url = api_url.to_owned();
        Client::new(&config).unwrap()
    }

    #[test]
    fn a_chat_is_a_number_or_a_name() {
        assert_eq!(recipient("-1001234567890"), Recipient::Id(ChatId(-1_001_234_567_890)));
        assert_eq!(recipient("@alerts"), Recipient::ChannelUsername("@alerts".to_owned()));
    }

    #[test]
    fn the_token_is_in_no_debug_output() {
        assert!(!format!("{:?}", client("http://127.0.0.1:1")).contains("verysecret"));
    }

    #[tokio::test]
    async fn nor_in_the_refusal_of_a_server_that_is_not_there() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let refusal = client(&format!("http://{address}/")).name().await.unwrap_err();
        assert_eq!(refusal, Refusal::Unreachable("connect"));
        assert!(!format!("{refusal:?} {refusal}").contains("verysecret"));
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_given_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let refusal = client(&format!("http://{address}")).name().await.unwrap_err();
        assert_eq!(refusal, Refusal::Unreachable("timeout"));
    }
}
