//! What the rules look at beside what processes say of themselves. What could not be looked at is absent.

use std::collections::BTreeMap;

use schemas::breaker::BreakerRecord;
use schemas::stats::{QueueDepth, StreamCopies};
use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// One look.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Facts {
    /// How deep the queue is.
    pub(crate) depth: Option<QueueDepth>,
    /// How the copies of every stream do.
    pub(crate) streams: Option<Vec<StreamCopies>>,
    /// Breakers that are not closed.
    pub(crate) breakers: Option<Vec<BreakerRecord>>,
    /// For how many seconds the oldest news has been waiting, by where it goes.
    pub(crate) waiting_seconds: BTreeMap<String, u64>,
    /// When each certificate or credential ends, by the setting that names its file.
    pub(crate) expiries: BTreeMap<String, Timestamp>,
    /// What is wrong with the changed configuration file.
    pub(crate) config_error: Option<String>,
}
