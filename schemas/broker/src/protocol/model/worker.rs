//! What a worker does around the machines: it claims, calls, renews, and ends what it holds.

use std::rc::Rc;

use schemas::state::{JobResult, Outcome as Ending, Phase};

use super::super::claim::{Claim, Delivered};
use super::super::claiming::{Claimed, Claiming};
use super::super::finish::Finish;
use super::super::finishing::{Closing, Finishing};
use super::super::holding::{Gone, Held, Parking, Updating};
use super::super::ledger::{Plan, Resolution};
use super::super::machine::Action;
use super::super::{Policy, fixture};
use super::job::{Call, Kind, Truth};
use super::mutation::Mutation;
use super::parties::{Actor, Ready, Stage, Worker, whole};
use super::task::{Outcome, Run, Task};
use super::world::World;
use super::{LONG_PARK, POLICY, SHORT_PARK, Scenario, at, seconds};

/// What a worker does once a call has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Finish,
    /// It failed for good: to DEAD.
    Bury,
    /// The deadline has passed.
    Expire,
    Again,
    ParkShort,
    ParkLong,
}

impl World {
    pub(super) fn deliver(&mut self, s: &Scenario, w: usize, job: usize, message: u64) {
        let Some(stored) = self.jobs[job].messages.iter().find(|stored| stored.seq == message).cloned() else { return };
        let carrier = match stored.kind {
            Kind::Due(nonce) => schemas::state::Carrier::Due(nonce),
            _ => fixture::lane(),
        };
        let nonce = self.draw();
        let delivered = Delivered { head: fixture::head(at(0)), carrier, stored_at: at(stored.stored_at) };
        let plan = Some(plan());
        let claim = Claim { delivered, nonce: nonce.clone(), holder: format!("w{w}"), plan, policy: claim_policy(s) };
        let (now, local) = (self.now, at(self.now + s.clocks[w]));
        self.job(job).deliver(message, now);
        let task = Task::new(Claiming::start(claim, false, local), |claiming| Run::Claim(Box::new(claiming)), now);
        let (stage, heard) = (Stage::Claiming, false);
        self.workers[w] = Rc::new(Worker { stage, task: None, job, message, nonce, heard });
        self.begin(s, Actor::Worker(w), task);
    }

    pub(super) fn renew(&mut self, s: &Scenario, w: usize) {
        let Stage::Holding(held, _) = &self.workers[w].stage else { return };
        let started = Updating::renew(held, at(self.now + s.clocks[w]));
        let task = Task::new(started, Run::Update, self.now);
        self.begin(s, Actor::Worker(w), task);
    }

    pub(super) fn call(&mut self, w: usize) {
        let worker = Rc::make_mut(&mut self.workers[w]);
        let Stage::Holding(held, ready) = &mut worker.stage else { return };
        *ready = Ready::Sent;
        let number = held.record.state.attempts.iter().rfind(|attempt| attempt.nonce == worker.nonce);
        let number = number.map_or(1, |attempt| attempt.number);
        let (nonce, job, now) = (worker.nonce.clone(), worker.job, self.now);
        let job = self.job(job);
        job.check_call(&nonce, number, now);
        job.calls.push(Call { nonce, number, truth: Truth::Running });
    }

    /// A call has ended, with an answer or a failure; what was in flight beside it is abandoned, perhaps to land later.
    pub(super) fn answer(&mut self, s: &Scenario, w: usize, then: Then, lands_late: bool) {
        let (job, nonce) = (self.workers[w].job, self.workers[w].nonce.clone());
        let abandoned = Rc::make_mut(&mut self.workers[w]).task.take();
        if let (true, Some(Task { pending: Action::Write(write), .. })) = (lands_late, abandoned) {
            self.faults.late -= 1;
            self.job(job).late.push(write);
        }
        let (truth, outcome) = match then {
            Then::Finish => (Truth::Answered, Ending::Ok),
            Then::Expire => (Truth::Answered, Ending::Cancelled),
            _ => (Truth::Failed, Ending::Failed),
        };
        if let Some(call) = self.job(job).calls.iter_mut().rfind(|call| call.nonce == nonce) {
            call.truth = truth;
        }
        let last = Resolution::bare(outcome);
        self.go_on(s, w, then, &last);
    }

    pub(super) fn release(&mut self, s: &Scenario, w: usize) {
        let Stage::Holding(held, _) = self.workers[w].stage.clone() else { return };
        self.short_parks -= 1;
        let last = Resolution::bare(Ending::Aborted);
        self.park(s, w, &held, 0, &last);
    }

    fn go_on(&mut self, s: &Scenario, w: usize, then: Then, last: &Resolution) {
        let Stage::Holding(held, _) = self.workers[w].stage.clone() else { return };
        let now = at(self.now + s.clocks[w]);
        match then {
            Then::Finish | Then::Bury | Then::Expire => {
                let phase = match then {
                    Then::Finish => Phase::Completed,
                    Then::Expire => Phase::Expired,
                    _ => Phase::Failed,
                };
                let result = Box::new(JobResult { dead: then == Then::Bury, ..JobResult::default() });
                let finish = Finish { mine: Box::new(held.resolved(std::slice::from_ref(last), now)), phase, result };
                Rc::make_mut(&mut self.workers[w]).stage = Stage::Settling(whole(&held));
                let task = Task::new(Finishing::start(finish, held.record, now), Run::Finish, self.now);
                self.begin(s, Actor::Worker(w), task);
            }
            Then::Again => {
                let intended = held.attempting(&plan(), std::slice::from_ref(last), now);
                let task = Task::new(Updating::change(&held, intended, now), Run::Update, self.now);
                let early = s.mutated(Mutation::CallBeforeItsLedger);
                let ready = if early { Ready::Recorded } else { Ready::Recording };
                Rc::make_mut(&mut self.workers[w]).stage = Stage::Holding(held, ready);
                self.begin(s, Actor::Worker(w), task);
            }
            Then::ParkShort => {
                self.short_parks -= 1;
                self.park(s, w, &held, SHORT_PARK, last);
            }
            Then::ParkLong => {
                self.long_parks -= 1;
                self.park(s, w, &held, LONG_PARK, last);
            }
        }
    }

    fn park(&mut self, s: &Scenario, w: usize, held: &Held, delay: i64, last: &Resolution) {
        let (now, until) = (at(self.now + s.clocks[w]), at(self.now + s.clocks[w] + delay));
        let parking =
            Parking::start(held, (until, "rate_limited"), std::slice::from_ref(last), seconds(SHORT_PARK), now);
        Rc::make_mut(&mut self.workers[w]).stage = Stage::Settling(whole(held));
        let task = Task::new(parking, Run::Park, self.now);
        self.begin(s, Actor::Worker(w), task);
    }

    /// What a worker's machine came to.
    pub(super) fn worker_ended(&mut self, s: &Scenario, w: usize, task: &Task, outcome: Outcome) {
        let policy = Policy { margin: margin_in_hold(s), ..POLICY };
        let worker = Rc::make_mut(&mut self.workers[w]);
        match outcome {
            Outcome::Claimed(Claimed::Won(record)) => {
                let held = Held::stored(record, seconds(task.began), &policy);
                worker.stage = Stage::Holding(Box::new(held), Ready::Recorded);
            }
            Outcome::Updated(Ok(record)) => {
                if let Stage::Holding(held, ready) = &mut worker.stage {
                    **held = Held::stored(record, seconds(task.began), &policy);
                    *ready = if *ready == Ready::Recording { Ready::Recorded } else { *ready };
                }
            }
            Outcome::Updated(Err(Gone::Finished)) => self.close(s, w),
            _ => self.workers[w] = Worker::idle(),
        }
    }

    /// The job was found ended: the call is dropped.
    pub(super) fn close(&mut self, s: &Scenario, w: usize) {
        let worker = Rc::make_mut(&mut self.workers[w]);
        worker.stage = Stage::Settling(i64::MAX);
        let task = Task::new(Closing::start(), Run::Close, self.now);
        self.begin(s, Actor::Worker(w), task);
    }
}

fn plan() -> Plan {
    Plan { provider: "p".to_owned(), model: "m".to_owned() }
}

fn claim_policy(s: &Scenario) -> Policy {
    let mut policy = POLICY;
    if s.mutated(Mutation::NoMarginInClaim) {
        policy.margin = seconds(0);
    }
    if s.mutated(Mutation::LeaseNotObserved) {
        (policy.lease, policy.margin) = (seconds(0), seconds(0));
    }
    if s.mutated(Mutation::RetentionIgnored) {
        policy.retention = std::time::Duration::MAX;
    }
    policy
}

fn margin_in_hold(s: &Scenario) -> std::time::Duration {
    if s.mutated(Mutation::NoMarginInHold) { seconds(0) } else { POLICY.margin }
}
