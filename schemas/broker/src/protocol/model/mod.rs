//! An exhaustive search over the protocol's own machines: every interleaving, within small bounds, of workers, clients,
//! the sweeper and a broker that loses, delays and repeats. Breadth first, so that a violation's trace is the shortest.

mod canon;
mod clients;
mod job;
mod moves;
mod mutation;
mod parties;
mod properties;
mod search;
mod task;
mod tests;
mod worker;
mod world;

use std::time::Duration;

use mutation::Mutation;
use schemas::timestamp::Timestamp;

use super::Policy;

/// Times are whole seconds of the server's clock, from here.
const EPOCH: i64 = 1_000_000_000;
const LEASE: i64 = 3;
const MARGIN: i64 = 1;
const SHORT_PARK: i64 = 2;
const LONG_PARK: i64 = 3;
const PATIENCE: i64 = 1;
const RETENTION: i64 = 1000;

const POLICY: Policy =
    Policy { lease: seconds(LEASE), margin: seconds(MARGIN), retention: seconds(RETENTION), max_unresolved: 2 };

const fn seconds(count: i64) -> Duration {
    Duration::from_secs(count.unsigned_abs())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis((EPOCH + second) * 1000)
}

fn second(moment: Timestamp) -> i64 {
    moment.as_secs() - EPOCH
}

/// How often each fault may still happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Faults {
    /// A worker dies.
    crashes: u8,
    /// A worker stands still for longer than its lease.
    pauses: u8,
    /// A write or a publish whose answer never comes, or says refused although it landed (a batch mate's fault).
    unknown: u8,
    /// An unknown write lands later.
    late: u8,
    /// A message is delivered again early: an acknowledgement, a delay or a redelivery clock is forgotten.
    early: u8,
    /// An acknowledgement never arrives.
    lost_acks: u8,
    /// A leader that is none any more answers a read.
    stale: u8,
    /// A hint never arrives.
    lost_hints: u8,
    /// An operator deletes a message.
    lost_messages: u8,
    /// Nothing happens for longer than records are kept.
    silences: u8,
}

impl Faults {
    /// Every fault that may happen at all, once more.
    fn once_more(self) -> Self {
        let more = |count: u8| if count == 0 { 0 } else { count + 1 };
        Self {
            crashes: more(self.crashes),
            pauses: more(self.pauses),
            unknown: more(self.unknown),
            late: more(self.late),
            early: more(self.early),
            lost_acks: more(self.lost_acks),
            stale: more(self.stale),
            lost_hints: more(self.lost_hints),
            lost_messages: more(self.lost_messages),
            silences: more(self.silences),
        }
    }
}

/// One bounded world to search.
#[derive(Debug, Clone)]
struct Scenario {
    name: &'static str,
    workers: usize,
    jobs: usize,
    /// The error of each worker's clock, in seconds.
    clocks: [i64; 3],
    faults: Faults,
    /// Most calls of one job that are followed by another one in the same lease.
    attempts: usize,
    short_parks: u8,
    long_parks: u8,
    cancel: bool,
    waiter: bool,
    sweeper: bool,
    submitter: bool,
    release: bool,
    /// A holder may find the deadline passed, whatever it is doing.
    deadline: bool,
    /// Time may pass while a worker's action is on its way, even if no pause is left.
    slow: bool,
    mutation: Option<Mutation>,
}

impl Scenario {
    const fn new(name: &'static str, workers: usize) -> Self {
        Self {
            name,
            workers,
            jobs: 1,
            clocks: [0; 3],
            faults: Faults {
                crashes: 0,
                pauses: 0,
                unknown: 0,
                late: 0,
                early: 0,
                lost_acks: 0,
                stale: 0,
                lost_hints: 0,
                lost_messages: 0,
                silences: 0,
            },
            attempts: 0,
            short_parks: 0,
            long_parks: 0,
            cancel: false,
            waiter: false,
            sweeper: false,
            submitter: false,
            release: false,
            deadline: false,
            slow: false,
            mutation: None,
        }
    }

    fn mutated(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}
