//! A world as a number that forgets what makes no difference: absolute times and sequences, and the names of nonces.

use std::hash::{DefaultHasher, Hasher};

use schemas::state::{Carrier, JobState, Nonce, Phase};

use super::super::cas::Cas;
use super::super::holding::Held;
use super::super::machine::{Action, Hint, Place};
use super::super::{Record, cancelling, claiming, finishing, holding, sweeping};
use super::job::{JobWorld, Kind};
use super::mutation::Mutation;
use super::parties::{Stage, Worker};
use super::task::{Run, Task};
use super::world::World;
use super::{LEASE, MARGIN, RETENTION, Scenario, second};

struct Canon {
    bytes: Vec<u8>,
    nonces: Vec<Nonce>,
    now: i64,
    seq: u64,
    stale_reads: bool,
    /// Workers differ in nothing but their numbers.
    alike: bool,
}

/// The number of a world. 128 bits: two of a few million worlds share one with a chance below 10^-24.
pub(super) fn number(s: &Scenario, world: &World) -> u128 {
    let mut canon = Canon {
        bytes: Vec::with_capacity(512),
        nonces: Vec::new(),
        now: world.now,
        seq: 0,
        stale_reads: false,
        alike: false,
    };
    let named = s.mutated(Mutation::HolderKnownByName);
    canon.alike = !named && s.clocks.iter().all(|clock| *clock == s.clocks[0]);
    canon.world(world);
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(&canon.bytes);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}

impl Canon {
    fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    fn count(&mut self, count: usize) {
        self.byte(u8::try_from(count).unwrap_or(u8::MAX));
    }

    /// A moment, seen from now. What is long past is all the same.
    fn time(&mut self, moment: i64) {
        let distance = (moment - self.now).clamp(-6, 1000);
        self.bytes.extend(i16::try_from(distance).unwrap_or(0).to_le_bytes());
    }

    /// When something may happen: all the same once it may.
    fn due(&mut self, moment: i64) {
        self.time(moment.max(self.now));
    }

    fn age(&mut self, stored_at: i64) {
        self.byte(u8::from(self.now - stored_at >= RETENTION));
    }

    /// A sequence, seen from the record's.
    fn sequence(&mut self, seq: u64) {
        let code = if seq == 0 { 9 } else { self.seq.saturating_sub(seq).min(3) };
        self.byte(u8::try_from(code).unwrap_or(0));
    }

    fn nonce(&mut self, nonce: &Nonce) {
        let known = self.nonces.iter().position(|known| known == nonce);
        let rank = known.unwrap_or_else(|| {
            self.nonces.push(nonce.clone());
            self.nonces.len() - 1
        });
        self.count(rank);
    }

    fn carrier(&mut self, carrier: &Carrier) {
        match carrier {
            Carrier::Stream(_) => self.byte(0),
            Carrier::Due(nonce) => {
                self.byte(1);
                self.nonce(nonce);
            }
        }
    }

    fn state(&mut self, state: &JobState) {
        self.byte(state.phase as u8);
        self.nonce(&state.nonce);
        if !self.alike {
            self.bytes.extend(state.holder.bytes());
        }
        self.carrier(&state.carrier);
        self.count(state.attempts.len());
        for attempt in &state.attempts {
            self.nonce(&attempt.nonce);
            self.byte(u8::try_from(attempt.number).unwrap_or(u8::MAX));
            self.byte(attempt.outcome.map_or(9, |outcome| outcome as u8));
        }
        match state.until {
            Some(until) => self.time(second(until)),
            None => self.byte(255),
        }
        self.byte(state.result.as_ref().map_or(9, |result| u8::from(result.dead)));
    }

    fn record(&mut self, record: Option<&Record>) {
        let Some(record) = record else { return self.byte(255) };
        self.sequence(record.seq);
        if record.state.phase == Phase::Running {
            self.time(second(record.written_at));
        }
        self.state(&record.state);
    }

    fn world(&mut self, world: &World) {
        let f = &world.faults;
        let left = [f.crashes, f.pauses, f.unknown, f.late, f.early, f.lost_acks, f.stale, f.lost_hints];
        self.bytes.extend(left);
        self.stale_reads = f.stale > 0;
        self.bytes.extend([f.lost_messages, f.silences, world.short_parks, world.long_parks]);
        for job in &world.jobs {
            self.job(job);
        }
        let mut workers: Vec<_> = world.workers.iter().collect();
        if self.alike {
            workers.sort_by_key(|worker| matches!(worker.stage, Stage::Idle));
        }
        for worker in workers {
            let job = &world.jobs[worker.job];
            self.seq = job.seq();
            self.worker(worker, job);
        }
        self.seq = world.jobs[0].seq();
        let clients = &world.clients;
        for task in [&clients.cancel, &clients.sweep, &clients.submit] {
            self.task(task.as_ref());
        }
        self.bytes.extend([clients.cancels, clients.submits, u8::from(clients.cancel_knew)]);
        self.bytes.extend([u8::from(clients.seen), u8::from(clients.hinted)]);
    }

    fn job(&mut self, job: &JobWorld) {
        self.seq = job.seq();
        self.record(job.record.as_ref());
        self.record(job.before.as_ref().filter(|_| self.stale_reads));
        self.count(job.messages.len());
        for message in &job.messages {
            match &message.kind {
                Kind::Lane => self.byte(0),
                Kind::Delayed(nonce, due) => {
                    self.byte(1);
                    self.nonce(nonce);
                    self.due(*due);
                }
                Kind::Due(nonce) => {
                    self.byte(2);
                    self.nonce(nonce);
                }
            }
            self.age(message.stored_at);
            match message.ready {
                Some(ready) => self.due(ready),
                None => self.byte(255),
            }
        }
        self.count(job.late.len());
        for write in &job.late {
            self.sequence(write.expect);
            self.state(&write.state);
        }
        self.count(job.calls.len());
        for call in &job.calls {
            self.nonce(&call.nonce);
            self.bytes.extend([u8::try_from(call.number).unwrap_or(u8::MAX), call.truth as u8]);
        }
        self.faulted(job);
        self.due(job.not_before);
        self.bytes.extend([job.dead, job.accepted, job.published, job.operator_deleted, job.retired].map(u8::from));
    }

    /// Only those whose nonce still stands somewhere matter.
    fn faulted(&mut self, job: &JobWorld) {
        let flags: Vec<_> = self.nonces.iter().map(|nonce| u8::from(job.faulted.contains(nonce))).collect();
        self.bytes.extend(flags);
    }

    fn worker(&mut self, worker: &Worker, job: &JobWorld) {
        match &worker.stage {
            Stage::Idle => return self.byte(0),
            Stage::Claiming => self.byte(1),
            Stage::Holding(held, ready) => {
                self.bytes.extend([2, *ready as u8]);
                self.held(held);
            }
            Stage::Settling(safe_until) => {
                self.byte(3);
                self.due(*safe_until);
            }
        }
        self.count(worker.job);
        self.nonce(&worker.nonce);
        let message = job.messages.iter().position(|message| message.seq == worker.message);
        self.count(message.unwrap_or(usize::MAX));
        self.byte(u8::from(job.faulted.contains(&worker.nonce)));
        self.byte(u8::from(worker.heard));
        self.task(worker.task.as_ref());
    }

    fn held(&mut self, held: &Held) {
        self.due(i64::try_from(held.safe_until.as_secs()).unwrap_or(i64::MAX));
        self.sequence(held.record.seq);
        self.state(&held.record.state);
    }

    fn task(&mut self, task: Option<&Task>) {
        let Some(task) = task else { return self.byte(255) };
        if matches!(task.run, Run::Claim(_) | Run::Update(_)) {
            self.due(task.began + LEASE - MARGIN);
        }
        self.action(&task.pending);
        match &task.run {
            Run::Claim(claiming) => self.claiming(claiming),
            Run::Update(updating) => {
                self.bytes.extend([1, u8::from(updating.cas.operation.renewal)]);
                self.cas(&updating.cas);
                self.state(&updating.cas.operation.intended);
                self.record(updating.stored.as_ref());
            }
            Run::Park(parking) => self.parking(parking),
            Run::Finish(finishing) => self.finishing(finishing),
            Run::Close(closing) => self.bytes.extend([4, u8::from(closing.told)]),
            Run::Cancel(cancelling) => self.cancelling(cancelling),
            Run::Sweep(sweeping) => self.sweeping(sweeping),
            Run::Submit(submitting) => self.bytes.extend(format!("{:?}", submitting.stage).bytes()),
        }
    }

    fn cas<O>(&mut self, cas: &Cas<O>) {
        self.sequence(cas.not_before);
    }

    fn claiming(&mut self, machine: &claiming::Claiming) {
        self.byte(0);
        self.nonce(&machine.claim.nonce);
        self.carrier(&machine.claim.delivered.carrier);
        self.age(second(machine.claim.delivered.stored_at));
        match &machine.stage {
            claiming::Stage::Claim(cas) => self.cas(cas),
            claiming::Stage::Dead(bury) => self.record(Some(&bury.judged)),
            claiming::Stage::Bury(cas) => {
                self.cas(cas);
                self.record(Some(&cas.operation.judged));
            }
            claiming::Stage::Close(closing) => self.byte(u8::from(closing.told)),
            claiming::Stage::Settled(word) => self.bytes.extend(word.bytes()),
        }
    }

    fn parking(&mut self, machine: &holding::Parking) {
        self.byte(2);
        self.time(second(machine.until));
        self.byte(machine.delay.map_or(255, |delay| u8::try_from(delay.as_secs()).unwrap_or(u8::MAX)));
        match &machine.stage {
            holding::Stage::Schedule(update) => {
                self.state(&update.0.intended);
                self.sequence(update.1.seq);
            }
            holding::Stage::Write(cas) => {
                self.cas(cas);
                self.state(&cas.operation.intended);
            }
            holding::Stage::Close(closing) => self.byte(u8::from(closing.told)),
            holding::Stage::Settled => self.byte(7),
        }
    }

    fn finishing(&mut self, machine: &finishing::Finishing) {
        self.byte(3);
        match &machine.stage {
            finishing::Stage::Dead(finish, held) => {
                self.state(&finish.mine);
                self.sequence(held.seq);
            }
            finishing::Stage::Write(cas) => {
                self.cas(cas);
                self.state(&cas.operation.mine);
            }
            finishing::Stage::Close { closing, .. } => self.byte(u8::from(closing.told)),
        }
    }

    fn cancelling(&mut self, machine: &cancelling::Cancelling) {
        self.bytes.extend([5, u8::from(machine.cas.operation.waiting.is_some())]);
        self.cas(&machine.cas);
        match &machine.stage {
            cancelling::Stage::Write { looked } => self.byte(u8::from(*looked)),
            cancelling::Stage::Find => self.byte(2),
            cancelling::Stage::Tell(record, hint) => {
                self.byte(if *hint == Hint::Done { 3 } else { 4 });
                self.sequence(record.seq);
            }
        }
    }

    fn sweeping(&mut self, machine: &sweeping::Sweeping) {
        self.byte(6);
        self.record(Some(&machine.judged));
        match &machine.stage {
            sweeping::Stage::Look(place) => self.place(*place),
            sweeping::Stage::Bury(cas) => self.cas(cas),
            sweeping::Stage::Tell => self.byte(7),
        }
    }

    fn place(&mut self, place: Place) {
        self.byte(place as u8);
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Write(write) => {
                self.byte(1);
                self.sequence(write.expect);
                self.state(&write.state);
            }
            Action::Schedule(until) => {
                self.byte(2);
                self.time(second(*until));
            }
            Action::Nak(delay) => {
                self.byte(3);
                self.bytes.extend(delay.as_secs().to_le_bytes());
            }
            Action::Look(place) => {
                self.byte(4);
                self.place(*place);
            }
            Action::Read => self.byte(5),
            Action::Publish => self.byte(6),
            Action::PublishDead(_) => self.byte(7),
            Action::Find => self.byte(8),
            Action::Delete(_) => self.byte(9),
            Action::Tell(hint) => self.bytes.extend([10, *hint as u8]),
            Action::Ack => self.byte(11),
            Action::Progress => self.byte(12),
        }
    }
}
