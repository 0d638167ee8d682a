//! What every process says of itself each few seconds, and what the queue looks like as a whole.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::Lane;
use crate::timestamp::Timestamp;

/// How often a process says something of itself.
pub const EVERY: Duration = Duration::from_secs(5);

/// One process, over the last interval. Published on `stats.<role>.<instance>`; lost ones do no harm.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessStats {
    /// `ingress`, `worker` or `alerting`.
    pub role: String,
    /// Which process of that role.
    pub instance: String,
    /// When it was taken, by its own clock.
    pub at: Timestamp,
    /// Length of the interval in milliseconds.
    pub interval_ms: u64,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// Job slots there are (workers).
    pub slots: u32,
    /// Job slots in use (workers).
    pub slots_used: u32,
    /// Jobs accepted in the interval (ingress).
    pub accepted: u64,
    /// Jobs that ended completed or incomplete in the interval (workers).
    pub succeeded: u64,
    /// Jobs that ended failed in the interval, the client's own errors left out (workers).
    pub failed: u64,
    /// Run times in milliseconds of a bounded sample of the jobs that ended in the interval (workers).
    pub durations_ms: Vec<u32>,
    /// It takes no new work any more.
    pub leaving: bool,
    /// When the process started, by its own clock: sums begin anew with it.
    pub started_at: Timestamp,
    /// What its provider calls have cost since it started, in millionths of a US dollar, as far as it is known (workers).
    pub cost_micros: u64,
    /// Jobs put into DEAD in the interval (workers).
    pub dead_letters: u64,
    /// Provider calls that ended in the interval, by provider (workers).
    pub providers: BTreeMap<String, ProviderStats>,
    /// Whether each component that it looks at answers (ingress).
    pub components: BTreeMap<String, bool>,
}

/// One provider's calls in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderStats {
    /// Calls with an answer.
    pub answered: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Of those, calls whose credential was refused.
    pub unauthorized: u64,
}

/// One lane's depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneDepth {
    /// Waiting for a worker.
    pub pending: u64,
    /// Waiting for their time, delayed or parked long.
    pub delayed: u64,
    /// Delivered to a worker and not ended: running, or parked for a short time.
    pub running: u64,
    /// Of those, delivered more than once.
    pub redelivered: u64,
    /// Age of the oldest waiting job in seconds.
    pub oldest_age_seconds: u64,
    /// Failed for good and kept.
    pub dead: u64,
}

/// The whole queue as the broker counts it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueDepth {
    /// By lane.
    pub lanes: BTreeMap<Lane, LaneDepth>,
}

/// How the copies of one stream do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamCopies {
    /// The stream.
    pub stream: String,
    /// Whether somebody leads it: without a leader it neither takes nor gives messages.
    pub has_leader: bool,
    /// Servers with a copy that are away.
    pub offline: Vec<String>,
    /// Servers with a copy that are there and lag.
    pub behind: Vec<String>,
}

impl QueueDepth {
    /// All lanes as one; the age is the oldest of them.
    #[must_use]
    pub fn total(&self) -> LaneDepth {
        self.lanes.values().fold(LaneDepth::default(), |sum, lane| LaneDepth {
            pending: sum.pending + lane.pending,
            delayed: sum.delayed + lane.delayed,
            running: sum.running + lane.running,
            redelivered: sum.redelivered + lane.redelivered,
            oldest_age_seconds: sum.oldest_age_seconds.max(lane.oldest_age_seconds),
            dead: sum.dead + lane.dead,
        })
    }
}
