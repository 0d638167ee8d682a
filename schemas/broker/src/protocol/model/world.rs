//! The whole world at one moment, and how one pending action is carried out in it, well or badly.

use std::ops::ControlFlow::{Break, Continue};
use std::rc::Rc;

use schemas::state::Nonce;

use super::super::Written;
use super::super::machine::{Action, Event, Hint, Published};
use super::job::{JobWorld, Kind};
use super::mutation::Mutation;
use super::parties::{Actor, Clients, Stage, Worker};
use super::task::{Run, Task};
use super::{Faults, LEASE, Scenario, at, second};

/// How an action is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Fine,
    /// It does not happen, and nobody says so.
    Lost,
    /// It happens, and nobody says so.
    Landed,
    /// It will happen later, and nobody says so.
    Late,
    /// It happens, and is said to be refused.
    LandedRefused,
    /// The answer is of the past.
    Stale,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) now: i64,
    pub(super) faults: Faults,
    pub(super) short_parks: u8,
    pub(super) long_parks: u8,
    pub(super) drawn: u128,
    pub(super) jobs: Vec<Rc<JobWorld>>,
    pub(super) workers: Vec<Rc<Worker>>,
    pub(super) clients: Rc<Clients>,
}

impl World {
    pub(super) fn new(s: &Scenario) -> Self {
        let mut job = JobWorld::default();
        if !s.submitter {
            job.publish(Kind::Lane, 0);
            job.accepted = true;
        }
        Self {
            now: 0,
            faults: s.faults,
            short_parks: s.short_parks,
            long_parks: s.long_parks,
            drawn: 0,
            jobs: (0..s.jobs).map(|_| Rc::new(job.clone())).collect(),
            workers: (0..s.workers).map(|_| Worker::idle()).collect(),
            clients: Rc::new(Clients::new(s)),
        }
    }

    pub(super) fn draw(&mut self) -> Nonce {
        self.drawn += 1;
        Nonce::new(self.drawn)
    }

    pub(super) fn job(&mut self, job: usize) -> &mut JobWorld {
        Rc::make_mut(&mut self.jobs[job])
    }

    pub(super) fn job_of(&self, actor: Actor) -> usize {
        if let Actor::Worker(w) = actor { self.workers[w].job } else { 0 }
    }

    pub(super) fn task(&self, actor: Actor) -> Option<&Task> {
        match actor {
            Actor::Worker(w) => self.workers[w].task.as_ref(),
            Actor::Cancel => self.clients.cancel.as_ref(),
            Actor::Sweep => self.clients.sweep.as_ref(),
            Actor::Submit => self.clients.submit.as_ref(),
        }
    }

    fn slot(&mut self, actor: Actor) -> &mut Option<Task> {
        match actor {
            Actor::Worker(w) => &mut Rc::make_mut(&mut self.workers[w]).task,
            Actor::Cancel => &mut Rc::make_mut(&mut self.clients).cancel,
            Actor::Sweep => &mut Rc::make_mut(&mut self.clients).sweep,
            Actor::Submit => &mut Rc::make_mut(&mut self.clients).submit,
        }
    }

    /// Puts a task in somebody's hands.
    pub(super) fn begin(&mut self, s: &Scenario, actor: Actor, mut task: Task) {
        let job = self.job_of(actor);
        if let Some(mutation) = s.mutation {
            mutation.asks(&task.run, &mut task.pending, self.jobs[job].seq());
        }
        let writing = matches!(task.pending, Action::Write(_));
        let hasty = match task.run {
            Run::Finish(_) => writing && s.mutated(Mutation::AckBeforeResult),
            Run::Park(_) => writing && s.long_parks > 0 && s.mutated(Mutation::AckBeforeParked),
            _ => false,
        };
        if let (true, Actor::Worker(w)) = (hasty, actor) {
            let message = self.workers[w].message;
            self.job(job).acknowledge(message);
        }
        *self.slot(actor) = Some(task);
    }

    /// Carries out what an actor waits for, and lets its machine go on.
    pub(super) fn perform(&mut self, s: &Scenario, actor: Actor, how: How) {
        let Some(mut task) = self.slot(actor).take() else { return };
        let job = self.job_of(actor);
        let mut event = self.effect(actor, &task, how);
        let clock = if let Actor::Worker(w) = actor { s.clocks[w] } else { 0 };
        let told = s.mutation.map_or(Continue(()), |mutation| mutation.told(&mut task, &mut event));
        let outcome = match told {
            Break(outcome) => Break(outcome),
            Continue(()) => task.step(event, at(self.now + clock)),
        };
        match outcome {
            Continue(()) => self.begin(s, actor, task),
            Break(outcome) => match actor {
                Actor::Worker(w) => self.worker_ended(s, w, &task, outcome),
                _ => self.client_ended(job, outcome),
            },
        }
    }

    fn effect(&mut self, actor: Actor, task: &Task, how: How) -> Event {
        let (job, now) = (self.job_of(actor), self.now);
        self.pay(&task.pending, how);
        match &task.pending {
            Action::Read if how == How::Stale => Event::Record(self.jobs[job].before.clone()),
            Action::Read => Event::Record(self.jobs[job].record.clone()),
            Action::Write(write) => Event::Written(self.write(job, write, how)),
            Action::Publish => self.publish(job, Kind::Lane, how),
            Action::Schedule(until) => {
                let nonce = self.nonce_of(actor);
                self.publish(job, Kind::Delayed(nonce, second(*until)), how)
            }
            Action::PublishDead(_) => {
                self.job(job).dead |= how != How::Lost;
                Event::Published(if how == How::Fine { Published::Stored } else { Published::Unknown })
            }
            Action::Find => self.jobs[job].find(),
            Action::Look(place) => {
                let carrier = match &task.run {
                    Run::Sweep(sweeping) => Some(&sweeping.judged.state.carrier),
                    _ => None,
                };
                self.jobs[job].look(*place, carrier)
            }
            Action::Delete(seq) => {
                self.job(job).messages.retain(|message| message.seq != *seq);
                self.job(job).published = false;
                Event::Sent
            }
            Action::Tell(_) | Action::Ack | Action::Nak(_) | Action::Progress => {
                if how == How::Fine {
                    self.send(actor, job, &task.pending, now);
                }
                Event::Sent
            }
        }
    }

    fn pay(&mut self, action: &Action, how: How) {
        let faults = &mut self.faults;
        match (how, action) {
            (How::Fine, _) => {}
            (How::Stale, _) => faults.stale -= 1,
            (How::Late, _) => faults.late -= 1,
            (How::Lost, Action::Tell(_)) => faults.lost_hints -= 1,
            (How::Lost, Action::Ack | Action::Nak(_) | Action::Progress) => faults.lost_acks -= 1,
            _ => faults.unknown -= 1,
        }
    }

    fn write(&mut self, job: usize, write: &super::super::Write, how: How) -> Written {
        let now = self.now;
        let job = self.job(job);
        match how {
            How::Fine => job.store(write, now),
            How::Landed => {
                job.store(write, now);
                Written::Unknown
            }
            How::LandedRefused => {
                job.store(write, now);
                Written::Refused
            }
            How::Late => {
                job.late.push(write.clone());
                Written::Unknown
            }
            How::Lost | How::Stale => Written::Unknown,
        }
    }

    fn publish(&mut self, job: usize, kind: Kind, how: How) -> Event {
        let now = self.now;
        let published = if how == How::Lost { Published::Unknown } else { self.job(job).publish(kind, now) };
        Event::Published(if how == How::Fine { published } else { Published::Unknown })
    }

    fn send(&mut self, actor: Actor, job: usize, action: &Action, now: i64) {
        let message = if let Actor::Worker(w) = actor { self.workers[w].message } else { 0 };
        match action {
            Action::Ack => self.job(job).acknowledge(message),
            Action::Nak(delay) => {
                let delay = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
                self.job(job).put_off(message, now + delay);
            }
            Action::Progress => self.job(job).put_off(message, now + LEASE),
            Action::Tell(Hint::Cancelled) => {
                for worker in self.workers.iter_mut().filter(|worker| worker.job == job) {
                    if matches!(worker.stage, Stage::Holding(..)) {
                        Rc::make_mut(worker).heard = true;
                    }
                }
            }
            Action::Tell(Hint::Done) if job == 0 => Rc::make_mut(&mut self.clients).hinted = true,
            _ => {}
        }
    }

    fn nonce_of(&self, actor: Actor) -> Nonce {
        if let Actor::Worker(w) = actor { self.workers[w].nonce.clone() } else { Nonce::from("client") }
    }

    /// How the pending action of an actor may go, with the faults that are left.
    pub(super) fn ways(&self, actor: Actor) -> Vec<How> {
        let Some(task) = self.task(actor) else { return Vec::new() };
        let (job, faults) = (&self.jobs[self.job_of(actor)], &self.faults);
        let mut ways = vec![How::Fine];
        let mut more = |left: u8, which: &[How]| {
            if left > 0 {
                ways.extend_from_slice(which);
            }
        };
        match &task.pending {
            Action::Read if job.record.is_some() => more(faults.stale, &[How::Stale]),
            Action::Write(write) if write.expect == job.seq() => {
                more(faults.unknown, &[How::Lost, How::Landed, How::LandedRefused]);
                more(faults.late, &[How::Late]);
            }
            Action::Publish | Action::Schedule(_) | Action::PublishDead(_) => {
                more(faults.unknown, &[How::Lost, How::Landed]);
            }
            Action::Tell(_) => more(faults.lost_hints, &[How::Lost]),
            Action::Ack | Action::Nak(_) | Action::Progress => more(faults.lost_acks, &[How::Lost]),
            _ => {}
        }
        ways
    }
}
