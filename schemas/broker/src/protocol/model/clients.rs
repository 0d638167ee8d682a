//! Those who do not run jobs: the one who submits, the one who cancels, the one who waits, and the sweeper.

use std::rc::Rc;

use schemas::state::{Nonce, Phase};

use super::super::cancel::Cancel;
use super::super::cancelling::{Cancelled, Cancelling};
use super::super::submitting::{Submitted, Submitting};
use super::super::sweeping::{Sweeping, rest_of_patience};
use super::job::JobWorld;
use super::parties::Actor;
use super::task::{Outcome, Run, Task};
use super::world::World;
use super::{POLICY, Scenario, at, second};

impl World {
    pub(super) fn start_cancel(&mut self, s: &Scenario) {
        let accepted = self.jobs[0].accepted;
        let clients = Rc::make_mut(&mut self.clients);
        clients.cancels -= 1;
        clients.cancel_knew = accepted;
        let cancel = Cancel { waiting: None, nonce: Nonce::from("cancel"), holder: "i".to_owned() };
        let task = Task::new(Cancelling::start(cancel), Run::Cancel, self.now);
        self.begin(s, Actor::Cancel, task);
    }

    pub(super) fn start_submit(&mut self, s: &Scenario) {
        Rc::make_mut(&mut self.clients).submits -= 1;
        let task = Task::new(Submitting::start("h".to_owned(), true, POLICY), Run::Submit, self.now);
        self.begin(s, Actor::Submit, task);
    }

    pub(super) fn start_sweep(&mut self, s: &Scenario) {
        let Some(record) = self.jobs[0].record.clone() else { return };
        let task = Task::new(Sweeping::start(record), Run::Sweep, self.now);
        self.begin(s, Actor::Sweep, task);
    }

    /// How long the sweeper still leaves a job alone.
    pub(super) fn rest(&self, job: &JobWorld) -> Option<i64> {
        let record = job.record.as_ref()?;
        let rest = rest_of_patience(record, &POLICY, super::seconds(super::PATIENCE), at(self.now))?;
        i64::try_from(rest.as_secs()).ok()
    }

    /// The waiter reads, and is done if the job has ended.
    pub(super) fn wait(&mut self) {
        let ended = self.jobs[0].has_ended();
        let clients = Rc::make_mut(&mut self.clients);
        (clients.seen, clients.hinted) = (clients.seen || ended, false);
    }

    pub(super) fn client_ended(&mut self, job: usize, outcome: Outcome) {
        match outcome {
            Outcome::Cancelled(told) => self.cancel_told(job, &told),
            Outcome::Submitted(Submitted::New | Submitted::Before(_)) => self.job(job).accepted = true,
            Outcome::Submitted(_) => self.job(job).violated("P1: a submit was refused for no reason"),
            _ => {}
        }
    }

    /// P6: what the caller was told is how it is.
    fn cancel_told(&mut self, job: usize, told: &Cancelled) {
        let knew = self.clients.cancel_knew;
        let job = self.job(job);
        let record = job.record.as_ref();
        let holds = match told {
            Cancelled::Now(_) => record.is_some_and(|record| record.state.phase == Phase::Cancelled),
            Cancelled::Already(end) => record.is_some_and(|record| record.state.phase == end.state.phase),
            Cancelled::Absent => !knew,
        };
        if !holds {
            job.violated("P6: a cancel was answered wrongly");
        }
    }

    /// Nothing happens for so long that ended records expire.
    pub(super) fn silence(&mut self) {
        self.faults.silences -= 1;
        self.now += super::RETENTION;
        for job in &mut self.jobs {
            let job = Rc::make_mut(job);
            if job.has_ended() {
                (job.record, job.before, job.retired) = (None, None, true);
                job.calls.clear();
            }
            job.published = false;
        }
    }

    /// When something that waits comes due: to the next second, or at once to what is far away.
    pub(super) fn next_second(&self) -> Option<i64> {
        let mut next = i64::MAX;
        for job in &self.jobs {
            for message in &job.messages {
                let due = match &message.kind {
                    super::job::Kind::Delayed(_, due) => Some(*due),
                    _ => message.ready,
                };
                next = next.min(due.filter(|due| *due > self.now).unwrap_or(i64::MAX));
            }
            if let Some(record) = job.record.as_ref().filter(|record| record.state.phase == Phase::Running) {
                let free = second(record.written_at) + super::LEASE + super::MARGIN;
                next = next.min(if free > self.now { free } else { i64::MAX });
            }
            if let Some(rest) = self.rest(job).filter(|rest| *rest > 0 && self.clients.sweeps) {
                next = next.min(self.now + rest);
            }
        }
        match next {
            i64::MAX => None,
            far if far > self.now + 8 => Some(far),
            _ => Some(self.now + 1),
        }
    }
}
