//! Where alerts go and when they are raised.

use std::time::Duration;

use schemas::matcher::{Matcher, MatcherError};
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
    /// An alert heard of again after this much quiet is told anew.
    #[serde(with = "humantime_serde")]
    pub cooldown: Duration,
    /// New alerts are gathered for this long before the first message.
    #[serde(with = "humantime_serde")]
    pub group_wait: Duration,
    /// Least time between two changes of a message, and between two messages about one alert.
    #[serde(with = "humantime_serde")]
    pub group_interval: Duration,
    /// A firing alert is told again after this time.
    #[serde(with = "humantime_serde")]
    pub repeat_interval: Duration,
    /// An acknowledged alert that still fires after this time is told again.
    #[serde(with = "humantime_serde")]
    pub acknowledge_timeout: Duration,
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
    /// How often a rule says again that its alert fires; zero for never.
    #[serde(with = "humantime_serde")]
    pub refresh: Duration,
    /// How long a replica that died is waited for before another takes over.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// Most silences at once.
    pub max_silences: usize,
    /// Longest silence.
    #[serde(with = "humantime_serde")]
    pub longest_silence: Duration,
    /// What a cause keeps quiet.
    pub inhibitions: Vec<InhibitionConfig>,
    /// The rules.
    pub rules: RulesConfig,
}

/// While an alert that matches `source` fires, those that match `target` are not told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InhibitionConfig {
    /// Matchers of the cause, all of which hold.
    pub source: Vec<String>,
    /// Matchers of what it explains, all of which hold.
    pub target: Vec<String>,
    /// Labels that both have alike.
    #[serde(default)]
    pub equal: Vec<String>,
    /// The cause counts for this long after it was last heard of; absent, for as long as it fires.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "humantime_serde::option")]
    pub within: Option<Duration>,
}

impl InhibitionConfig {
    /// Its matchers, of the source and of the target.
    ///
    /// # Errors
    /// The first that is none; never, once the configuration was loaded.
    pub fn matchers(&self) -> Result<(Vec<Matcher>, Vec<Matcher>), MatcherError> {
        let parse = |texts: &[String]| texts.iter().map(|text| text.parse::<Matcher>()).collect::<Result<Vec<_>, _>>();
        Ok((parse(&self.source)?, parse(&self.target)?))
    }
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
    /// That an alert fires on is posted this often at most.
    #[serde(with = "humantime_serde")]
    pub repeat_interval: Duration,
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
