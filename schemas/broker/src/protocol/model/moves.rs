//! Everything that may happen next, and its words for a trace.

use std::rc::Rc;

use super::super::machine::Action;
use super::super::sweeping::is_deletable;
use super::job::Kind;
use super::mutation::Mutation;
use super::parties::{Actor, Ready, Stage, Worker};
use super::task::Run;
use super::worker::Then;
use super::world::{How, World};
use super::{LEASE, MARGIN, Scenario, seconds};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    Deliver { w: usize, job: usize, message: u64 },
    Perform(Actor, How),
    Renew(usize),
    Call(usize),
    Answer(usize, Then, bool),
    Release(usize),
    GiveUp(usize),
    Hear(usize),
    Crash(usize, bool),
    Tick,
    Fire { job: usize, message: u64 },
    Land { job: usize, index: usize },
    Redeliver { job: usize, message: u64 },
    Purge { job: usize, message: u64 },
    Delete { job: usize, message: u64 },
    Cancel,
    Submit,
    Sweep,
    Wait,
    Silence,
}

impl World {
    pub(super) fn moves(&self, s: &Scenario) -> Vec<Move> {
        let mut moves = Vec::new();
        for w in 0..self.workers.len() {
            self.worker_moves(s, w, &mut moves);
        }
        for actor in [Actor::Cancel, Actor::Sweep, Actor::Submit] {
            moves.extend(self.ways(actor).into_iter().map(|how| Move::Perform(actor, how)));
        }
        self.client_moves(s, &mut moves);
        for job in 0..self.jobs.len() {
            self.broker_moves(s, job, &mut moves);
        }
        let pauses = usize::from(self.faults.pauses);
        let free = s.slow || pauses > 0 || !self.is_busy();
        if free && self.next_second().is_some_and(|next| self.lapsing(next).len() <= pauses) {
            moves.push(Move::Tick);
        }
        moves
    }

    /// Whether a worker that never stood still waits for an answer of the broker.
    fn is_busy(&self) -> bool {
        let well = |worker: &Worker| !self.jobs[worker.job].faulted.contains(&worker.nonce);
        self.workers.iter().any(|worker| worker.task.is_some() && well(worker))
    }

    fn worker_moves(&self, s: &Scenario, w: usize, moves: &mut Vec<Move>) {
        let worker = &self.workers[w];
        moves.extend(self.ways(Actor::Worker(w)).into_iter().map(|how| Move::Perform(Actor::Worker(w), how)));
        if !matches!(worker.stage, Stage::Idle) && self.faults.crashes > 0 {
            moves.push(Move::Crash(w, false));
            if self.faults.late > 0 && self.is_writing(w) {
                moves.push(Move::Crash(w, true));
            }
        }
        if let Stage::Holding(held, ready) = &worker.stage {
            let (safe, free) = (held.is_safe(seconds(self.now)), worker.task.is_none());
            let hasty = s.mutated(Mutation::CallBeforeItsLedger) || s.mutated(Mutation::CallWithoutLeaseCheck);
            if free && held.safe_until < seconds(self.now + LEASE - MARGIN) {
                moves.push(Move::Renew(w));
            }
            if *ready == Ready::Recorded && ((free && safe) || hasty) {
                moves.push(Move::Call(w));
            }
            if *ready == Ready::Recorded && free && s.release && self.short_parks > 0 {
                moves.push(Move::Release(w));
            }
            if s.deadline {
                moves.push(Move::Answer(w, Then::Expire, false));
                if self.faults.late > 0 && self.is_writing(w) {
                    moves.push(Move::Answer(w, Then::Expire, true));
                }
            }
            if *ready == Ready::Sent {
                self.answers(s, w, held.record.state.attempts.len(), moves);
            }
            // A renewal has its time, however late it begins.
            if !safe && worker.task.as_ref().is_some_and(|task| task.began < self.now) {
                moves.push(Move::GiveUp(w));
            }
            if free && worker.heard {
                moves.push(Move::Hear(w));
            }
        }
    }

    fn answers(&self, s: &Scenario, w: usize, attempts: usize, moves: &mut Vec<Move>) {
        let mut then = vec![Then::Finish];
        then.extend((s.attempts > 0).then_some(Then::Bury));
        then.extend((attempts <= s.attempts).then_some(Then::Again));
        then.extend((self.short_parks > 0).then_some(Then::ParkShort));
        then.extend((self.long_parks > 0).then_some(Then::ParkLong));
        for then in then {
            moves.push(Move::Answer(w, then, false));
            if self.faults.late > 0 && self.is_writing(w) {
                moves.push(Move::Answer(w, then, true));
            }
        }
    }

    fn is_writing(&self, w: usize) -> bool {
        matches!(self.workers[w].task.as_ref().map(|task| &task.pending), Some(Action::Write(_)))
    }

    fn client_moves(&self, s: &Scenario, moves: &mut Vec<Move>) {
        let clients = &self.clients;
        let overdue = self.rest(&self.jobs[0]) == Some(0);
        moves.extend((clients.cancels > 0 && clients.cancel.is_none()).then_some(Move::Cancel));
        moves.extend((clients.submits > 0 && clients.submit.is_none()).then_some(Move::Submit));
        moves.extend((s.sweeper && clients.sweep.is_none() && overdue).then_some(Move::Sweep));
        let again = !s.mutated(Mutation::WaiterNeverReadsAgain);
        moves.extend((!clients.seen && (clients.hinted || again)).then_some(Move::Wait));
        let idle = self.workers.iter().all(|worker| matches!(worker.stage, Stage::Idle))
            && [Actor::Cancel, Actor::Sweep, Actor::Submit].iter().all(|actor| self.task(*actor).is_none());
        moves.extend((self.faults.silences > 0 && idle).then_some(Move::Silence));
    }

    fn broker_moves(&self, s: &Scenario, job: usize, moves: &mut Vec<Move>) {
        let state = &self.jobs[job];
        moves.extend((0..state.late.len()).map(|index| Move::Land { job, index }));
        for stored in &state.messages {
            let message = stored.seq;
            if let Kind::Delayed(_, due) = stored.kind {
                moves.extend((due <= self.now).then_some(Move::Fire { job, message }));
                continue;
            }
            if stored.ready.is_some_and(|ready| ready <= self.now) {
                let idle = self.workers.iter().position(|worker| matches!(worker.stage, Stage::Idle));
                moves.extend(idle.map(|w| Move::Deliver { w, job, message }));
            } else if self.faults.early > 0 {
                moves.push(Move::Redeliver { job, message });
            }
            let undone = s.mutated(Mutation::PurgeOfUndoneWork) && stored.ready.is_some_and(|ready| ready > self.now);
            let ended = is_deletable(state.record.as_ref());
            moves.extend((stored.ready.is_none() || ended || undone).then_some(Move::Purge { job, message }));
            if self.faults.lost_messages > 0 && state.record.is_some() && !state.has_ended() {
                moves.push(Move::Delete { job, message });
            }
        }
    }

    /// The workers that stand still past their lease if the clock goes on to `next`.
    fn lapsing(&self, next: i64) -> Vec<usize> {
        let lapses = |w: &usize| {
            let worker = &self.workers[*w];
            let job = &self.jobs[worker.job];
            let over = worker.safe_until(job.record.as_ref()).is_some_and(|safe_until| safe_until <= next);
            over && !job.faulted.contains(&worker.nonce)
        };
        (0..self.workers.len()).filter(lapses).collect()
    }

    /// Whether a move is a fault, or a client's choice: what must not be needed for a good end.
    pub(super) fn is_fault(mv: Move, pauses: bool) -> bool {
        match mv {
            Move::Perform(_, how) => how != How::Fine,
            Move::Crash(..) | Move::Redeliver { .. } | Move::Delete { .. } | Move::Cancel | Move::Silence => true,
            Move::Answer(.., late) => late,
            Move::Tick => pauses,
            _ => false,
        }
    }

    pub(super) fn apply(&mut self, s: &Scenario, mv: Move) {
        match mv {
            Move::Deliver { w, job, message } => self.deliver(s, w, job, message),
            Move::Perform(actor, how) => self.perform(s, actor, how),
            Move::Renew(w) => self.renew(s, w),
            Move::Call(w) => self.call(w),
            Move::Answer(w, then, late) => self.answer(s, w, then, late),
            Move::Release(w) => self.release(s, w),
            Move::GiveUp(w) => self.workers[w] = Worker::idle(),
            Move::Hear(w) => self.hear(s, w),
            Move::Crash(w, late) => self.crash(w, late),
            Move::Tick => self.tick(),
            Move::Fire { job, message } => {
                let now = self.now;
                self.job(job).fire(message, now);
            }
            Move::Land { job, index } => {
                let now = self.now;
                let write = self.job(job).late.remove(index);
                self.job(job).store(&write, now);
            }
            Move::Redeliver { job, message } => self.redeliver(job, message),
            Move::Purge { job, message } => self.job(job).messages.retain(|stored| stored.seq != message),
            Move::Delete { job, message } => {
                self.faults.lost_messages -= 1;
                self.job(job).messages.retain(|stored| stored.seq != message);
                self.job(job).operator_deleted = true;
            }
            Move::Cancel => self.start_cancel(s),
            Move::Submit => self.start_submit(s),
            Move::Sweep => self.start_sweep(s),
            Move::Wait => self.wait(),
            Move::Silence => self.silence(),
        }
    }

    fn hear(&mut self, s: &Scenario, w: usize) {
        let worker = Rc::make_mut(&mut self.workers[w]);
        worker.heard = false;
        if self.jobs[worker.job].has_ended() {
            self.close(s, w);
        }
    }

    fn crash(&mut self, w: usize, late: bool) {
        self.faults.crashes -= 1;
        let worker = std::mem::replace(&mut self.workers[w], Worker::idle());
        let job = self.job(worker.job);
        job.faulted.push(worker.nonce.clone());
        if let (true, Some(Action::Write(write))) = (late, worker.task.as_ref().map(|task| &task.pending)) {
            job.late.push(write.clone());
            self.faults.late -= 1;
        }
    }

    pub(super) fn pauses_by_tick(&self) -> bool {
        self.next_second().is_some_and(|next| !self.lapsing(next).is_empty())
    }

    fn tick(&mut self) {
        let Some(next) = self.next_second() else { return };
        for w in self.lapsing(next) {
            self.faults.pauses -= 1;
            let (job, nonce) = (self.workers[w].job, self.workers[w].nonce.clone());
            self.job(job).faulted.push(nonce);
        }
        self.now = next;
    }

    fn redeliver(&mut self, job: usize, message: u64) {
        self.faults.early -= 1;
        let now = self.now;
        if let Some(stored) = self.job(job).message(message) {
            stored.ready = Some(now);
        }
    }

    /// A move in words, as it is about to happen.
    pub(super) fn words(&self, mv: Move) -> String {
        match mv {
            Move::Deliver { w, job, message } => {
                let kind = self.jobs[job].messages.iter().find(|stored| stored.seq == message).map(|m| &m.kind);
                let kind = if matches!(kind, Some(Kind::Lane)) { "lane message" } else { "due message" };
                format!("the {kind} of job {job} is delivered to worker {w}")
            }
            Move::Perform(actor, how) => self.words_of(actor, how),
            Move::Renew(w) => format!("worker {w} begins to renew its lease"),
            Move::Call(w) => format!("worker {w} calls the provider"),
            Move::Answer(w, Then::Expire, _) => format!("worker {w} finds the deadline passed"),
            Move::Answer(w, then, _) => format!("worker {w}'s call ends; next: {then:?}"),
            Move::Release(w) => format!("worker {w} stops and gives its job back uncalled"),
            Move::GiveUp(w) => format!("worker {w} gives its lapsed lease up"),
            Move::Hear(w) => format!("worker {w} hears a cancel"),
            Move::Crash(w, _) => format!("worker {w} crashes"),
            Move::Tick if self.pauses_by_tick() => format!("time goes on; workers {:?} stood still", self.paused()),
            Move::Tick => "time goes on".to_owned(),
            Move::Fire { job, .. } => format!("the schedule of job {job} fires"),
            Move::Land { job, .. } => format!("a late write to job {job} arrives"),
            Move::Redeliver { job, .. } => format!("the broker forgets that a message of job {job} must wait"),
            Move::Purge { job, .. } => format!("a message of job {job} that is done with is deleted"),
            Move::Delete { job, .. } => format!("an operator deletes a message of job {job}"),
            Move::Cancel => "a client begins to cancel job 0".to_owned(),
            Move::Submit => "a client submits job 0 with its key".to_owned(),
            Move::Sweep => "the sweeper suspects job 0".to_owned(),
            Move::Wait => "the waiter reads".to_owned(),
            Move::Silence => "nothing happens for longer than records are kept".to_owned(),
        }
    }

    fn paused(&self) -> Vec<usize> {
        self.next_second().map(|next| self.lapsing(next)).unwrap_or_default()
    }

    fn words_of(&self, actor: Actor, how: How) -> String {
        let Some(task) = self.task(actor) else { return String::new() };
        let doing = match &task.run {
            Run::Claim(_) => "claiming",
            Run::Update(_) => "renewing or recording",
            Run::Park(_) => "parking",
            Run::Finish(_) | Run::Close(_) => "ending",
            Run::Cancel(_) => "cancelling",
            Run::Sweep(_) => "sweeping",
            Run::Submit(_) => "submitting",
        };
        let action = match &task.pending {
            Action::Write(write) => {
                let (phase, refused) = (write.state.phase, write.expect != self.jobs[self.job_of(actor)].seq());
                format!("writes {phase} over {}{}", write.expect, if refused { ": refused" } else { "" })
            }
            Action::PublishDead(_) => "publishes to DEAD".to_owned(),
            other => format!("{other:?}"),
        };
        let how = if how == How::Fine { String::new() } else { format!(" ({how:?})") };
        format!("{actor:?}, {doing}: {action}{how}")
    }
}
