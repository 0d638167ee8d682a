//! Sessions: how much of a conversation is kept, for how long, and with which keys it is encrypted.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// Sessions.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SessionsConfig {
    /// How long a session is kept after its last change.
    #[serde(with = "humantime_serde")]
    pub idle_expiry: Duration,
    /// Most turns of a history.
    pub max_turns: u64,
    /// Most tokens of a history.
    pub max_tokens: u64,
    /// Most bytes of a history; encrypted, it must fit into a message.
    pub max_bytes: u64,
    /// Most turns of one session that may wait.
    pub max_waiting: usize,
    /// A summary covers at least so many messages that no summary covers yet; 0 for no summaries.
    pub summary_after: usize,
    /// So many newest messages are left out of summaries.
    pub summary_keep: usize,
    /// The model that sums up; empty for that of the session's turns.
    pub summary_model: String,
    /// Most tokens of a summary.
    pub summary_max_tokens: u32,
    /// How long a summary is tried for; one that failed is asked for again after as long.
    #[serde(with = "humantime_serde")]
    pub summary_ttl: Duration,
    /// The key that histories are encrypted with; empty for none. A Fernet key: 32 bytes in URL-safe base64.
    #[serde(serialize_with = "super::show::secret")]
    pub encryption_key: SecretString,
    /// Earlier keys, comma separated, that histories are still read with.
    #[serde(serialize_with = "super::show::secret")]
    pub previous_keys: SecretString,
    /// A password instead of a key; the key is derived from it and the salt.
    #[serde(serialize_with = "super::show::secret")]
    pub password: SecretString,
    /// The password's salt; no secret, but to be kept: with another one it makes another key.
    pub password_salt: String,
}

impl SessionsConfig {
    /// Each of the earlier keys.
    pub fn previous(&self) -> impl Iterator<Item = SecretString> {
        let keys = self.previous_keys.expose_secret().split(',').map(str::trim);
        keys.filter(|key| !key.is_empty()).map(SecretString::from)
    }
}
