//! What must hold: P1 to P4 and P6 at every step. P5 and P7 are judged on the whole graph, in `search`.

use schemas::state::{Nonce, Outcome, Phase};

use super::job::{Call, JobWorld, Truth};
use super::world::World;
use super::{MARGIN, Scenario};

impl World {
    /// The first property that is broken.
    pub(super) fn violation(&self) -> Option<String> {
        self.jobs.iter().find_map(|job| job.violation.clone().or_else(|| job.lost()))
    }

    /// Whether all that was promised is done: P5 and P7 say that this stays within reach.
    pub(super) fn is_good(&self, s: &Scenario) -> bool {
        let over = |job: &JobWorld| !job.accepted || job.retired || job.has_ended();
        let submitted = !s.submitter || (self.clients.submits == 0 && self.clients.submit.is_none());
        let seen = self.clients.seen || self.jobs[0].retired;
        submitted && seen && self.jobs.iter().all(|job| over(job))
    }
}

impl JobWorld {
    /// P1: an accepted job has ended, or its carrier will be delivered.
    fn lost(&self) -> Option<String> {
        if !self.accepted || self.operator_deleted || self.retired {
            return None;
        }
        let alive = match &self.record {
            Some(record) if record.state.phase.is_terminal() => {
                let failed = record.state.phase == Phase::Failed;
                let dead = record.state.result.as_ref().is_some_and(|result| result.dead);
                return (failed && !dead).then(|| "P1: a job was given up for lost though it was not".to_owned());
            }
            Some(record) => self.carrier(&record.state.carrier),
            None => self.messages.first(),
        };
        let delivered = alive.is_some_and(|message| message.ready.is_some());
        (!delivered).then(|| "P1: an accepted job has not ended, and nothing will deliver it".to_owned())
    }

    /// P3: a call is on record before it is sent, and a second one has its reason.
    pub(super) fn check_call(&mut self, nonce: &Nonce, number: u32, now: i64) {
        let attempt = |nonce: &Nonce, number: u32| {
            let attempts = self.record.as_ref().map(|record| record.state.attempts.as_slice()).unwrap_or_default();
            attempts.iter().find(|attempt| attempt.nonce == *nonce && attempt.number == number)
        };
        let explained = |call: &Call| {
            let recorded =
                attempt(&call.nonce, call.number).is_some_and(|known| known.outcome == Some(Outcome::Failed));
            self.faulted.contains(&call.nonce) || (call.truth == Truth::Failed && recorded)
        };
        let what = if self.retired {
            "P2: a job that had ended ran again"
        } else if attempt(nonce, number).is_none() {
            "P3: a call was sent before it was on record"
        } else if !self.calls.iter().all(explained) {
            "P3: a second call for no reason"
        } else if now + MARGIN < self.not_before {
            "P3: a call was sent before its park was over"
        } else {
            return;
        };
        self.violated(what);
    }
}
