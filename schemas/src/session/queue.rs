//! The line of a session's turns: one runs at a time, in the order in which they were accepted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::JobId;

/// What each turn ahead is waited for: so long does a session idle between two turns.
const STEP: Duration = Duration::from_millis(250);
/// The longest wait before a turn looks again.
const LONGEST: Duration = Duration::from_secs(30);

/// The jobs that wait for their turn, the oldest first. The first one runs, may run, or has run and is not settled yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnQueue {
    /// Their ids, each once.
    pub waiting: Vec<JobId>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is its turn.
    First,
    /// So many others come first.
    Behind(usize),
    /// It is not in line.
    Absent,
}

impl TurnQueue {
    /// Whose turn it is.
    #[must_use]
    pub fn head(&self) -> Option<JobId> {
        self.waiting.first().copied()
    }

    /// Where `job` stands.
    #[must_use]
    pub fn place(&self, job: JobId) -> Place {
        match self.waiting.iter().position(|waiting| *waiting == job) {
            Some(0) => Place::First,
            Some(ahead) => Place::Behind(ahead),
            None => Place::Absent,
        }
    }

    /// The line with `job` at its end; `None` when it is in line already.
    #[must_use]
    pub fn joined(&self, job: JobId) -> Option<Self> {
        let mut next = self.clone();
        next.waiting.push(job);
        (self.place(job) == Place::Absent).then_some(next)
    }

    /// The line without `job`; `None` when it is not in it.
    #[must_use]
    pub fn without(&self, job: JobId) -> Option<Self> {
        let waiting: Vec<_> = self.waiting.iter().copied().filter(|waiting| *waiting != job).collect();
        (waiting.len() < self.waiting.len()).then_some(Self { waiting })
    }
}

/// How long a turn with so many others before it waits until it looks again.
#[must_use]
pub fn patience(ahead: usize) -> Duration {
    STEP.saturating_mul(u32::try_from(ahead.max(1)).unwrap_or(u32::MAX)).min(LONGEST)
}
