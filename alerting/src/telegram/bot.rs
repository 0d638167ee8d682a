//! The configured bot.

use std::time::Duration;

use runtime::config::TelegramConfig;
use secrecy::ExposeSecret;
use teloxide::Bot;

use crate::error::AlertingError;
use crate::http;

/// The bot, whose calls may take as long as `whole`.
pub(super) fn bot(config: &TelegramConfig, whole: Duration) -> Result<Bot, AlertingError> {
    let url = config.api_url.trim_end_matches('/').parse().map_err(AlertingError::ApiUrl)?;
    let client = http::client(config.timeout, whole)?;
    Ok(Bot::with_client(config.token.expose_secret(), client).set_api_url(url))
}
