//! Where alerts go and when they are raised.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AlertsConfig {
    /// How often the rules are evaluated.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Jobs waiting.
    pub backlog_threshold: u64,
    /// Share of failed jobs, 0 to 1.
    pub error_rate: f64,
    /// 99th percentile of run times.
    #[serde(with = "humantime_serde")]
    pub latency_p99: Duration,
    /// Memory of one process in bytes.
    pub memory_bytes: u64,
    /// The window of rates and percentiles.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// Fewest samples that a rate or a percentile is taken from.
    pub min_samples: u64,
    /// A condition must hold for this long before it is told.
    #[serde(with = "humantime_serde")]
    pub hold: Duration,
}
