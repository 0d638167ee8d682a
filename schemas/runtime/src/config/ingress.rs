//! The HTTP service.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// The HTTP service.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IngressConfig {
    /// Address to listen on. Anything but loopback needs at least one key.
    pub listen: String,
    /// Who may call. None configured: everyone on this machine, as tenant `default`, with admin rights.
    pub keys: Vec<ApiKey>,
    /// Most bytes of a request body.
    pub max_body_bytes: usize,
    /// Bodies whose job would be larger than this go through the object store; at most the server's max_payload.
    pub inline_max_bytes: usize,
    /// Deepest nesting of a JSON body.
    pub max_json_depth: usize,
    /// Bytes of request bodies held in memory at once; beyond it requests wait, then answer 503.
    pub body_memory_bytes: usize,
    /// Most connections at once.
    pub max_connections: usize,
    /// How long a client may take to send its headers, and how long an idle connection is kept.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a client may take to send its body.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// How long a client may leave what it asked for unread before it is cut off.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// How long a submit may try to reach the broker before it answers 503.
    #[serde(with = "humantime_serde")]
    pub submit_timeout: Duration,
    /// Longest `Prefer: wait`.
    #[serde(with = "humantime_serde")]
    pub max_wait: Duration,
    /// How long a synchronous call may take before it answers 504.
    #[serde(with = "humantime_serde")]
    pub synchronous_timeout: Duration,
    /// A synchronous job is cancelled when its last client has been gone for this long.
    #[serde(with = "humantime_serde")]
    pub leave_grace: Duration,
    /// How long after a client lost its connection its retry joins the job of the broken call; 0 never joins.
    #[serde(with = "humantime_serde")]
    pub retry_join: Duration,
    /// How often a comment keeps an idle event stream open.
    #[serde(with = "humantime_serde")]
    pub keepalive: Duration,
    /// Requests a minute for each key; 0 is no limit. A key's own setting goes first.
    pub requests_per_minute: u32,
}

/// One API key.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// The secret itself.
    #[serde(serialize_with = "super::show::secret")]
    pub key: SecretString,
    /// Whose jobs it sees.
    pub tenant: String,
    /// May also read and replay every tenant's dead jobs, alert and see configuration.
    #[serde(default)]
    pub admin: bool,
    /// Requests a minute; absent takes the general setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
}

/// When the queue counts as backlogged.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// Jobs waiting, above which `/health/queue/status` says `backlogged`.
    pub backlog_threshold: u64,
    /// Nothing completed for this long while jobs wait: `stalled`.
    #[serde(with = "humantime_serde")]
    pub stalled_after: Duration,
}
