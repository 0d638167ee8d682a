//! The body of `/health/queue/status`, made from counts. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::job::Lane;
use schemas::stats::{LaneDepth, QueueDepth};
use schemas::timestamp::Timestamp;
use serde::Serialize;
use strum::{IntoEnumIterator, IntoStaticStr};

use crate::config::QueueConfig;

/// How the queue does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum QueueState {
    /// Work is done about as fast as it comes.
    Healthy,
    /// More waits than configured.
    Backlogged,
    /// Work waits and nothing has ended for as long as configured.
    Stalled,
}

/// The queue, as clients and operators read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueStatus {
    /// How it does.
    pub status: QueueState,
    /// All lanes together.
    pub total: LaneCounts,
    /// Workers alive.
    pub workers_alive: u64,
    /// Alerting processes alive.
    pub alerting: u64,
    /// Their slots.
    pub slots: u64,
    /// Of those, in use.
    pub slots_used: u64,
    /// Jobs accepted a second, over the last minute.
    pub arrivals_per_second: f64,
    /// Jobs ended a second, over the last minute.
    pub completions_per_second: f64,
    /// When the waiting jobs will have been done at this pace; unknown when nothing ends.
    pub estimated_drain_seconds: Option<u64>,
    /// Waiting jobs above which the queue is backlogged.
    pub backlog_threshold: u64,
    /// The same counts by lane.
    pub lanes: BTreeMap<Lane, LaneCounts>,
    /// When this was seen.
    pub as_of: Timestamp,
}

/// The counts of one lane, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LaneCounts {
    /// Jobs waiting for a worker.
    pub pending: u64,
    /// Jobs waiting for their time.
    pub delayed: u64,
    /// Jobs delivered to a worker and not ended.
    pub running: u64,
    /// Of those, delivered more than once.
    pub redelivered: u64,
    /// Age of the oldest waiting job.
    pub oldest_age_seconds: u64,
    /// Jobs that failed for good and are kept.
    pub dead_letters: u64,
}

impl From<LaneDepth> for LaneCounts {
    fn from(depth: LaneDepth) -> Self {
        Self {
            pending: depth.pending,
            delayed: depth.delayed,
            running: depth.running,
            redelivered: depth.redelivered,
            oldest_age_seconds: depth.oldest_age_seconds,
            dead_letters: depth.dead,
        }
    }
}

/// What the fleet does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Activity {
    pub(super) workers: u64,
    pub(super) alerting: u64,
    pub(super) slots: u64,
    pub(super) slots_used: u64,
    pub(super) arrivals_per_second: f64,
    pub(super) completions_per_second: f64,
    /// How long work has waited with nothing ending.
    pub(super) without_progress: Duration,
}

impl QueueStatus {
    pub(super) fn new(now: Timestamp, depth: &QueueDepth, activity: &Activity, config: &QueueConfig) -> Self {
        let total = depth.total();
        Self {
            status: state(total.pending, activity.without_progress, config),
            total: total.into(),
            workers_alive: activity.workers,
            alerting: activity.alerting,
            slots: activity.slots,
            slots_used: activity.slots_used,
            arrivals_per_second: rounded(activity.arrivals_per_second),
            completions_per_second: rounded(activity.completions_per_second),
            estimated_drain_seconds: drain(total.pending, activity.completions_per_second),
            backlog_threshold: config.backlog_threshold,
            lanes: Lane::iter().map(|lane| (lane, lane_of(depth, lane).into())).collect(),
            as_of: now,
        }
    }
}

/// A lane that the broker did not count is empty.
fn lane_of(depth: &QueueDepth, lane: Lane) -> LaneDepth {
    depth.lanes.get(&lane).copied().unwrap_or_default()
}

fn state(pending: u64, without_progress: Duration, config: &QueueConfig) -> QueueState {
    if pending > 0 && without_progress >= config.stalled_after {
        QueueState::Stalled
    } else if pending > config.backlog_threshold {
        QueueState::Backlogged
    } else {
        QueueState::Healthy
    }
}

/// Seconds until `pending` jobs have been done at this pace.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the quotient is not negative, and `as` saturates"
)]
fn drain(pending: u64, completions_per_second: f64) -> Option<u64> {
    match pending {
        0 => Some(0),
        _ if completions_per_second > 0.0 => Some((pending as f64 / completions_per_second).ceil() as u64),
        _ => None,
    }
}

/// To a thousandth: more digits are noise.
fn rounded(rate: f64) -> f64 {
    (rate * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drain_time_is_unknown_only_when_nothing_ends() {
        assert_eq!(drain(0, 0.0), Some(0));
        assert_eq!(drain(10, 0.0), None);
        assert_eq!(drain(10, 3.0), Some(4));
        assert_eq!(drain(u64::MAX, f64::MIN_POSITIVE), Some(u64::MAX));
    }
}
