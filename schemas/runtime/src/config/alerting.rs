//! Where alerts go and when they are raised.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::rules::RulesConfig;

/// Telegram.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TelegramConfig {
    /// The bot's token; empty logs what would be sent.
    #[serde(serialize_with = "super::show::secret")]
    pub token: SecretString,
    /// The chat for every alert: a number, or `@name`. Text, so that a long number stays as it is.
    pub chat_id: String,
    /// Another chat for critical alerts; empty takes `chat_id`.
    pub chat_id_critical: String,
    /// Another chat for warnings; empty takes `chat_id`.
    pub chat_id_warning: String,
    /// Another chat for information; empty takes `chat_id`.
    pub chat_id_info: String,
    /// The Bot API.
    pub api_url: String,
    /// Most calls a minute to one chat; Telegram allows 20 in a group.
    pub messages_per_minute: u32,
    /// Repeats of one alert within this time are folded into its message.
    #[serde(with = "humantime_serde")]
    pub cooldown: Duration,
    /// New alerts are gathered for this long before the first message.
    #[serde(with = "humantime_serde")]
    pub group_wait: Duration,
    /// How long one call may take.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

/// When alerts are raised.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AlertsConfig {
    /// How often the rules are evaluated.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// The window of rates and percentiles.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// Fewest samples that a rate or a percentile is taken from.
    pub min_samples: u64,
    /// A condition must hold for this long before it is told, where its rule has no time of its own.
    #[serde(with = "humantime_serde")]
    pub hold: Duration,
    /// The rules.
    pub rules: RulesConfig,
}

/// A webhook beside Telegram.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where alert events are posted; empty for none. Secret: its path may be all that guards it.
    #[serde(serialize_with = "super::show::secret")]
    pub url: SecretString,
    /// The key that posts are signed with: `whsec_` and base64, as Standard Webhooks has it.
    #[serde(serialize_with = "super::show::secret")]
    pub secret: SecretString,
    /// How long one post may take.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// First wait after a post that failed; it doubles.
    #[serde(with = "humantime_serde")]
    pub retry_initial: Duration,
    /// Longest wait.
    #[serde(with = "humantime_serde")]
    pub retry_max: Duration,
    /// Posts of one event that the receiver refuses (4xx) before it is left out.
    pub max_refusals: u32,
    /// An event older than this is left out when it cannot be delivered.
    #[serde(with = "humantime_serde")]
    pub give_up_after: Duration,
}

impl WebhookConfig {
    /// Whether there is one.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.url.expose_secret().is_empty()
    }
}

/// A dead man's signal: as long as it comes, alerting works.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatConfig {
    /// What is asked; empty for none. Secret: its path may be all that guards it.
    #[serde(serialize_with = "super::show::secret")]
    pub url: SecretString,
    /// `GET` or `POST`.
    pub method: String,
    /// How often.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// How long one call may take.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}
