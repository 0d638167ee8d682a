//! What one run left behind, from five independent witnesses: the clients, the provider, the instrument's own log of
//! faults, the broker's records, and SQL. Plain data: the checker reads nothing else.

mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemas::error::ErrorCode;
use schemas::id::JobId;
use schemas::job::OnAmbiguous;
use schemas::session::SessionKey;
use schemas::state::{Attempt, JobState, Nonce, Phase};
use schemas::timestamp::Timestamp;
use schemas::view::Status;

pub(crate) use session::{Jobs, Session, Turn};

/// Everything that is known after a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// One entry for each thing that a client wanted.
    pub(crate) clients: Vec<Client>,
    /// Every call that reached the provider, by its own ledger.
    pub(crate) calls: Vec<Call>,
    /// Every fault that the instrument made.
    pub(crate) faults: Vec<Fault>,
    /// STATE after everything had come to rest.
    pub(crate) records: BTreeMap<JobId, Record>,
    /// The versions of each record that were seen while they were written, oldest first.
    pub(crate) versions: BTreeMap<JobId, Vec<Version>>,
    /// Every session, by its key.
    pub(crate) sessions: BTreeMap<String, Session>,
    /// The jobs in DEAD.
    pub(crate) dead: BTreeSet<JobId>,
    /// The status of each job in SQL; `None` when the run had no SQL.
    pub(crate) rows: Option<BTreeMap<JobId, String>>,
    /// Processes that ended when or as they should not have.
    pub(crate) mishaps: Vec<Mishap>,
    /// Of jobs that have not ended: where their messages are, as the broker says.
    pub(crate) whereabouts: BTreeMap<JobId, String>,
    /// How late the instrument itself was woken at worst.
    pub(crate) lateness: Duration,
    /// The least that was free on the disk, in bytes.
    pub(crate) room: u64,
    /// How long the workers' leases were.
    pub(crate) lease: Duration,
}

impl History {
    /// How often a holder renews.
    pub(crate) fn renewal(&self) -> Duration {
        self.lease / RENEWALS
    }

    /// How long a holder in good health may take from having something to write to its being stored. Half a lease, and on a
    /// busy machine what was seen of that: a write waits for its turn in worker, proxy and server. At most what a renewal
    /// may take, or the lease would be lost without any fault.
    pub(crate) fn settling(&self) -> Duration {
        (self.lease / 2 + self.lateness * 3).min(self.lease - self.renewal())
    }
}

/// How often a lease is renewed within its time.
pub(crate) const RENEWALS: u32 = 3;

/// What one client wanted, and what it saw.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// The word in its prompt that nobody else uses.
    pub(crate) marker: String,
    /// Its `Idempotency-Key`, if it used one.
    pub(crate) key: Option<String>,
    /// What happened, in order.
    pub(crate) events: Vec<Event>,
}

impl Client {
    /// The ids that it was given. More than one is wrong.
    pub(crate) fn ids(&self) -> BTreeSet<JobId> {
        let accepted = |event: &Event| match event.what {
            Seen::Accepted(id) => Some(id),
            _ => None,
        };
        self.events.iter().filter_map(accepted).collect()
    }

    /// When it was first told that its job is accepted.
    pub(crate) fn accepted(&self) -> Option<Timestamp> {
        self.events.iter().find(|event| matches!(event.what, Seen::Accepted(_))).map(|event| event.at)
    }
}

/// One answer, or the lack of one.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// When the client had it.
    pub(crate) at: Timestamp,
    /// Who answered.
    pub(crate) ingress: String,
    /// What it said.
    pub(crate) what: Seen,
}

/// What a client saw.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// 202 with this id.
    Accepted(JobId),
    /// A submit or a cancel was answered with this status.
    Refused(u16),
    /// No whole answer came.
    Broken(&'static str),
    /// The job stood so.
    Read(Status, Option<String>),
    /// 404 or 410 for an id that had been accepted.
    Missing(u16),
    /// A cancel was answered with this status of the job.
    CancelSaid(Status),
    /// A stream came to its `done`: its status, the job's output, and the text of its deltas where they were gapless.
    Streamed(Status, Option<String>, Option<String>),
    /// A chat call ended in good order with this text.
    Chatted(String),
}

/// One call, as the provider saw it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Whose call it was: by its `Idempotency-Key`.
    pub(crate) id: Option<JobId>,
    /// The word in its prompt.
    pub(crate) marker: String,
    /// The text of each message that it was told.
    pub(crate) told: Vec<String>,
    /// The worker on whose link it came.
    pub(crate) holder: String,
    /// When it came.
    pub(crate) started: Timestamp,
    /// When it ended.
    pub(crate) ended: Option<Timestamp>,
    /// How it ended.
    pub(crate) ending: Ending,
    /// What a whole answer says.
    pub(crate) text: String,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It has not.
    Open,
    /// A whole answer was written.
    Answered,
    /// An error was answered.
    Refused,
    /// Half an answer was written, on purpose.
    Truncated,
    /// The caller hung up first.
    Dropped,
}

/// What was done to a victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Blow {
    /// `kill -9`, then started again.
    Kill,
    /// SIGSTOP, then SIGCONT.
    Stop,
    /// SIGTERM, then started again.
    Restart,
    /// Its connections to a peer broke, and no new ones were accepted.
    Cut,
    /// Its connections to a peer stood and passed nothing.
    Freeze,
    /// Its wall clock was set, its monotonic one went on.
    Jump,
}

/// One fault.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// What was done.
    pub(crate) blow: Blow,
    /// To whom.
    pub(crate) victim: String,
    /// For a partition: from whom it was cut off.
    pub(crate) peer: Option<String>,
    /// When it began.
    pub(crate) began: Timestamp,
    /// When its victim was seen well again.
    pub(crate) ended: Timestamp,
    /// The roles that it reached: they were signalled, or had a connection that it broke or froze.
    pub(crate) reached: BTreeSet<String>,
    /// The server of the broker that it hit led STATE at that moment, or another election was held because of it, as the
    /// servers themselves say: every writer had to wait.
    pub(crate) led: bool,
    /// How far from the truth a clock was set, in seconds.
    pub(crate) shift: i64,
}

impl Fault {
    /// Whether it could make `holder` lose a lease. A fault that a holder neither saw nor had to wait for explains nothing.
    pub(crate) fn disturbs(&self, holder: &str) -> bool {
        self.led || self.reached.contains(holder)
    }

    /// Whether it could make anyone lose a lease.
    pub(crate) fn disturbs_anyone(&self) -> bool {
        self.led || !self.reached.is_empty()
    }

    /// Whether a server of the broker was hit, with what it held in its memory.
    pub(crate) fn is_the_brokers(&self) -> bool {
        self.victim.starts_with(BROKER)
    }

    /// Whether it could hold back a call that `holder` had sent.
    pub(crate) fn delays_calls_of(&self, holder: &str) -> bool {
        self.victim == holder && (self.blow == Blow::Stop || self.peer.as_deref() == Some(PROVIDER))
    }

    /// Whether it was there at some moment of these.
    pub(crate) fn overlaps(&self, from: Timestamp, to: Timestamp) -> bool {
        self.began <= to && self.ended >= from
    }
}

/// How the broker's servers are named: `nats-a`, ...
pub(crate) const BROKER: &str = "nats";
/// How the provider is named.
pub(crate) const PROVIDER: &str = "provider";

/// What a record says whose job was given up by the sweeper.
const LOST: &str = "message was lost";

/// A job's record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Its sequence in STATE.
    pub(crate) seq: u64,
    /// When it was stored, by the server.
    pub(crate) written: Timestamp,
    /// Where the job is.
    pub(crate) phase: Phase,
    /// The delivery that wrote it.
    pub(crate) nonce: Nonce,
    /// The worker that wrote it.
    pub(crate) holder: String,
    /// The ledger.
    pub(crate) attempts: Vec<Attempt>,
    /// What the client wants after a lost call.
    pub(crate) on_ambiguous: OnAmbiguous,
    /// The text of its output.
    pub(crate) output: Option<String>,
    /// It lies in DEAD.
    pub(crate) dead: bool,
    /// It was given up because its message was gone.
    pub(crate) lost: bool,
    /// When it was submitted, by its ingress.
    pub(crate) created: Timestamp,
    /// It was not to be started at once.
    pub(crate) delayed: bool,
    /// The key of its session, if it is a turn.
    pub(crate) session: Option<String>,
    /// The number of the turn that it was, as its result says.
    pub(crate) turn: Option<u64>,
}

impl Record {
    /// The record that STATE holds under `seq`.
    pub(crate) fn new(seq: u64, written: Timestamp, state: JobState) -> Self {
        let result = state.result.as_deref();
        let failure = result.and_then(|result| result.error.as_ref());
        Self {
            seq,
            written,
            phase: state.phase,
            output: result.and_then(|result| result.output.as_ref()).map(schemas::chat::Message::joined_text),
            dead: result.is_some_and(|result| result.dead),
            lost: failure.is_some_and(|failure| failure.code == ErrorCode::Internal && failure.message.contains(LOST)),
            turn: result.and_then(|result| result.turn),
            created: state.head.created_at,
            delayed: state.head.not_before.is_some(),
            session: state.head.session.map(|name| SessionKey::of(&state.head.tenant, &name).to_string()),
            nonce: state.nonce,
            holder: state.holder,
            attempts: state.attempts,
            on_ambiguous: state.head.on_ambiguous,
        }
    }
}

/// One version of a record, as it passed by.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// Its sequence in STATE.
    pub(crate) seq: u64,
    /// When it was stored, by the server.
    pub(crate) written: Timestamp,
    /// Where the job was.
    pub(crate) phase: Phase,
    /// The delivery that wrote it.
    pub(crate) nonce: Nonce,
    /// The worker that wrote it.
    pub(crate) holder: String,
    /// The attempts in its ledger.
    pub(crate) attempts: Vec<(u32, Nonce)>,
}

impl Version {
    /// The version that passed by under `seq`.
    pub(crate) fn new(seq: u64, written: Timestamp, state: JobState) -> Self {
        Self {
            seq,
            written,
            phase: state.phase,
            nonce: state.nonce,
            holder: state.holder,
            attempts: state.attempts.into_iter().map(|attempt| (attempt.number, attempt.nonce)).collect(),
        }
    }
}

/// A process that ended by itself, or not as it was asked to.
#[derive(Debug, Clone)]
pub(crate) struct Mishap {
    /// Who.
    pub(crate) victim: String,
    /// When it was noticed.
    pub(crate) at: Timestamp,
    /// What happened.
    pub(crate) what: String,
}
