//! The job protocol's decisions, pure: what STATE holds and what the server's clock says go in, a write or an outcome
//! comes out. The same code runs on NATS and under exhaustive test.

pub mod cancel;
pub mod cancelling;
pub mod cas;
pub mod claim;
pub mod claiming;
pub mod dead;
pub mod finish;
pub mod finishing;
pub mod hold;
pub mod holding;
pub mod ledger;
pub mod machine;
pub mod submitting;
pub mod sweeping;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::time::Duration;

use schemas::job::JobHead;
use schemas::state::{Carrier, JobState, Nonce, Phase};
use schemas::timestamp::Timestamp;

/// What STATE held at one moment, as its leader told it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its sequence in the stream: the next write must name it.
    pub seq: u64,
    /// The value.
    pub state: Box<JobState>,
    /// When the server stored it, by the server's clock. Leases count from here.
    pub written_at: Timestamp,
}

/// A write to `state.<id>` that replaces the record of sequence `expect`, 0 for none.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// `Nats-Expected-Last-Subject-Sequence`.
    pub expect: u64,
    /// The new value.
    pub state: Box<JobState>,
}

/// What a write came to. Neither `Refused` nor `Unknown` is a verdict: read STATE and decide again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Stored under this sequence.
    Stored(u64),
    /// Not stored: the sequence was not the expected one.
    Refused,
    /// Perhaps stored: time-out, disconnect, a batch that was refused or never answered.
    Unknown,
}

/// The times and limits that decisions rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a `running` record holds without renewal.
    pub lease: Duration,
    /// What clocks may be wrong by.
    pub margin: Duration,
    /// How long records are kept; a message as old as this may have outlived its record.
    pub retention: Duration,
    /// Unresolved attempts at which a job counts as poison.
    pub max_unresolved: u32,
}

/// A record of the job `head` with nothing done yet.
fn blank(head: JobHead, phase: Phase, nonce: Nonce, holder: &str, carrier: Carrier) -> JobState {
    JobState {
        phase,
        nonce,
        holder: holder.to_owned(),
        attempts: Vec::new(),
        carrier,
        until: None,
        reason: None,
        head,
        started_at: None,
        finished_at: None,
        result: None,
    }
}
