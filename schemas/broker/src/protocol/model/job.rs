//! The broker's side of one job: its record, its messages, the writes still on their way, and what really happened.

use schemas::state::{Carrier, Nonce, Outcome};

use super::super::machine::{Event, Message, Place, Published, Waiting};
use super::super::{Record, Write, Written, fixture};
use super::{LEASE, at};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Lane,
    Delayed(Nonce, i64),
    Due(Nonce),
}

#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) seq: u64,
    pub(super) kind: Kind,
    pub(super) stored_at: i64,
    /// Deliverable from then on; `None` once acknowledged.
    pub(super) ready: Option<i64>,
}

/// How a call stands, as the provider and an all-knowing observer see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Truth {
    Running,
    Answered,
    Failed,
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) nonce: Nonce,
    pub(super) number: u32,
    pub(super) truth: Truth,
}

#[derive(Clone, Default)]
pub(super) struct JobWorld {
    pub(super) record: Option<Record>,
    /// What stood there before: a stale answer.
    pub(super) before: Option<Record>,
    pub(super) next_seq: u64,
    pub(super) late: Vec<Write>,
    pub(super) messages: Vec<Stored>,
    pub(super) dead: bool,
    pub(super) calls: Vec<Call>,
    /// Deliveries whose worker crashed, or stood still past its lease.
    pub(super) faulted: Vec<Nonce>,
    pub(super) accepted: bool,
    /// A message was published under the job's id, which the stream remembers.
    pub(super) published: bool,
    pub(super) operator_deleted: bool,
    /// It had ended, and its record is past retention.
    pub(super) retired: bool,
    /// No call before this second: the latest park on record, less what clocks may be wrong by.
    pub(super) not_before: i64,
    pub(super) violation: Option<String>,
}

impl JobWorld {
    pub(super) fn seq(&self) -> u64 {
        self.record.as_ref().map_or(0, |record| record.seq)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.state.phase.is_terminal())
    }

    pub(super) fn message(&mut self, seq: u64) -> Option<&mut Stored> {
        self.messages.iter_mut().find(|message| message.seq == seq)
    }

    pub(super) fn carrier(&self, carrier: &Carrier) -> Option<&Stored> {
        self.messages.iter().find(|message| match (&message.kind, carrier) {
            (Kind::Lane, Carrier::Stream(_)) => true,
            (Kind::Delayed(nonce, _) | Kind::Due(nonce), Carrier::Due(carrier)) => nonce == carrier,
            _ => false,
        })
    }

    /// The server takes a write in.
    pub(super) fn store(&mut self, write: &Write, now: i64) -> Written {
        if write.expect != self.seq() {
            return Written::Refused;
        }
        self.check_write(write);
        if let Some(until) = write.state.until {
            self.not_before = super::second(until);
        }
        self.next_seq += 1;
        self.before = self.record.take();
        self.record = Some(Record { seq: self.next_seq, state: write.state.clone(), written_at: at(now) });
        Written::Stored(self.next_seq)
    }

    fn check_write(&mut self, write: &Write) {
        if self.has_ended() {
            self.violated("P2: a terminal record was replaced");
        }
        let listed = |call: &Call| {
            let same = |attempt: &schemas::state::Attempt| attempt.nonce == call.nonce && attempt.number == call.number;
            write.state.attempts.iter().any(same)
        };
        if !self.calls.iter().all(listed) {
            self.violated("P4: a call is missing from the ledger");
        }
        // A worker that stood still may end the job over its successor's head: the fault is then the writer's.
        let excused = |nonce: &Nonce| self.faulted.contains(nonce) || self.faulted.contains(&write.state.nonce);
        let mut ambiguous = write.state.attempts.iter().filter(|attempt| attempt.outcome == Some(Outcome::Ambiguous));
        if ambiguous.any(|attempt| !excused(&attempt.nonce)) {
            self.violated("P3: an attempt is called ambiguous though its worker never failed");
        }
    }

    pub(super) fn violated(&mut self, what: &str) {
        self.violation.get_or_insert_with(|| what.to_owned());
    }

    pub(super) fn publish(&mut self, kind: Kind, now: i64) -> Published {
        let there = self.messages.iter().any(|message| message.kind == kind);
        if there || (kind == Kind::Lane && self.published) {
            return Published::There;
        }
        if kind == Kind::Lane {
            (self.published, self.retired) = (true, false);
        }
        self.push(kind, now);
        Published::Stored
    }

    fn push(&mut self, kind: Kind, now: i64) {
        self.next_seq += 1;
        self.messages.push(Stored { seq: self.next_seq, kind, stored_at: now, ready: Some(now) });
    }

    /// A schedule fires: its copy takes the place of an older one.
    pub(super) fn fire(&mut self, seq: u64, now: i64) {
        let Some(position) = self.messages.iter().position(|message| message.seq == seq) else { return };
        if let Kind::Delayed(nonce, _) = self.messages.remove(position).kind {
            self.messages.retain(|message| message.kind != Kind::Due(nonce.clone()));
            self.push(Kind::Due(nonce), now);
        }
    }

    pub(super) fn look(&self, place: Place, carrier: Option<&Carrier>) -> Event {
        let here = |message: &&Stored| match (&message.kind, place) {
            (Kind::Lane, Place::Lane) => true,
            (Kind::Delayed(nonce, _), Place::Delayed) | (Kind::Due(nonce), Place::Due) => {
                carrier.is_none_or(|carrier| *carrier == Carrier::Due(nonce.clone()))
            }
            _ => false,
        };
        let found = self.messages.iter().find(here);
        Event::Seen(found.map(|message| Message { seq: message.seq, stored_at: at(message.stored_at) }))
    }

    pub(super) fn find(&self) -> Event {
        Event::Found(self.messages.first().map(|message| {
            let carrier = match &message.kind {
                Kind::Lane => fixture::lane(),
                Kind::Delayed(nonce, _) | Kind::Due(nonce) => Carrier::Due(nonce.clone()),
            };
            Waiting { head: Box::new(fixture::head(at(0))), carrier }
        }))
    }

    pub(super) fn put_off(&mut self, seq: u64, until: i64) {
        if let Some(message) = self.message(seq)
            && message.ready.is_some()
        {
            message.ready = Some(until);
        }
    }

    pub(super) fn deliver(&mut self, seq: u64, now: i64) {
        self.put_off(seq, now + LEASE);
    }

    pub(super) fn acknowledge(&mut self, seq: u64) {
        if let Some(message) = self.message(seq) {
            message.ready = None;
        }
    }
}
