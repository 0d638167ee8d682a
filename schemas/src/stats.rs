//! What every process says of itself each few seconds, and what the queue looks like as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::job::Lane;
use crate::timestamp::Timestamp;

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
