//! Each line of the protocol once: what a delivery, a holder, a result and a cancel make of each kind of record.

use std::ops::ControlFlow::{Break, Continue};
use std::time::Duration;

use schemas::id::JobId;
use schemas::job::{ContextOptions, Job, JobHead, OnAmbiguous, Payload};
use schemas::state::{Carrier, JobResult, JobState, Nonce, Outcome, Phase};
use schemas::timestamp::Timestamp;
use schemas::view::{JobView, Status};

use super::cancel::{Cancel, NotCancelled};
use super::cas::{Cas, Decision, Ended, Operation};
use super::claim::{Claim, Delivered, STRAY_DELAY, Unclaimed};
use super::dead::{self, Standing};
use super::finish::{AlreadyEnded, Bury, Finish, MovedOn};
use super::fixture::{self, lane};
use super::hold::{NotMine, Update};
use super::holding::Held;
use super::ledger::{self, Plan, Resolution};
use super::machine::{Action, Event, Machine, Waiting};
use super::{Policy, Record, Write, Written, blank};

const NOW: Timestamp = Timestamp::from_millis(10_000_000);
const LEASE: Duration = Duration::from_secs(30);
const POLICY: Policy =
    Policy { lease: LEASE, margin: Duration::from_secs(1), retention: Duration::from_secs(3600), max_unresolved: 2 };

fn head() -> JobHead {
    fixture::head(NOW)
}

fn plan() -> Plan {
    Plan { provider: "p".to_owned(), model: "m".to_owned() }
}

fn nonce(bits: u128) -> Nonce {
    Nonce::new(bits)
}

/// A record of sequence 7, held by `nonce(1)` with one open attempt.
fn record(phase: Phase, age: Duration) -> Record {
    let mut state = blank(head(), phase, nonce(1), "w1", lane());
    state.attempts = ledger::opened(Vec::new(), &nonce(1), &plan(), NOW);
    Record { seq: 7, state: Box::new(state), written_at: NOW.before(age) }
}

fn delivered(carrier: Carrier) -> Delivered {
    Delivered { head: head(), carrier, stored_at: NOW }
}

fn claim(delivered: &Delivered, record: Option<&Record>) -> Decision<Unclaimed> {
    claim_of(delivered).decide(record, NOW)
}

fn claim_of(delivered: &Delivered) -> Claim {
    let (nonce, plan, delivered) = (nonce(2), plan(), delivered.clone());
    Claim { delivered, nonce, holder: "w2".to_owned(), plan: Some(plan), policy: POLICY }
}

fn written(decision: Decision<Unclaimed>) -> Write {
    match decision {
        Decision::Write(write) => write,
        other => panic!("expected a write, got {other:?}"),
    }
}

fn outcomes(state: &JobState) -> Vec<Option<Outcome>> {
    state.attempts.iter().map(|attempt| attempt.outcome).collect()
}

#[test]
fn a_fresh_job_is_claimed_with_its_first_attempt() {
    let write = written(claim(&delivered(lane()), None));
    assert_eq!((write.expect, write.state.phase), (0, Phase::Running));
    assert_eq!(outcomes(&write.state), [None]);
    assert_eq!((&write.state.nonce, &write.state.carrier), (&nonce(2), &lane()));
}

#[test]
fn a_message_that_outlived_its_record_expires() {
    let old = Delivered { stored_at: NOW.before(POLICY.retention), ..delivered(lane()) };
    let write = written(claim(&old, None));
    assert_eq!((write.expect, write.state.phase), (0, Phase::Expired));
    assert!(write.state.attempts.is_empty());
}

#[test]
fn a_job_past_its_deadline_expires_and_keeps_its_ledger() {
    let mut late = delivered(lane());
    late.head.deadline = Some(NOW);
    assert_eq!(written(claim(&late, None)).state.phase, Phase::Expired);
    let dead = record(Phase::Running, LEASE * 2);
    let write = written(claim(&late, Some(&dead)));
    assert_eq!((write.expect, write.state.phase), (7, Phase::Expired));
    assert_eq!(outcomes(&write.state), [Some(Outcome::Ambiguous)]);
}

#[test]
fn an_ended_job_is_finished_whoever_carries_it() {
    for phase in [Phase::Completed, Phase::Failed, Phase::Cancelled, Phase::Expired, Phase::Incomplete] {
        for carrier in [lane(), Carrier::Due(nonce(5))] {
            let decision = claim(&delivered(carrier), Some(&record(phase, LEASE * 9)));
            assert!(matches!(decision, Decision::Settled(Unclaimed::Finished(_))), "{phase}");
        }
    }
}

#[test]
fn my_own_claim_is_recognised_by_its_nonce() {
    let mut mine = record(Phase::Running, Duration::ZERO);
    mine.state.nonce = nonce(2);
    assert!(matches!(claim(&delivered(lane()), Some(&mine)), Decision::Settled(Unclaimed::Mine(_))));
    let mut same_worker = record(Phase::Running, Duration::ZERO);
    same_worker.state.holder = "w2".to_owned();
    assert!(matches!(claim(&delivered(lane()), Some(&same_worker)), Decision::Settled(Unclaimed::Held(_))));
}

#[test]
fn only_the_carrier_advances_a_job() {
    let mut carried = record(Phase::Parked, LEASE);
    carried.state.carrier = Carrier::Due(nonce(5));
    assert_eq!(claim(&delivered(lane()), Some(&carried)), Decision::Settled(Unclaimed::Superseded));
    let stray = claim(&delivered(Carrier::Due(nonce(6))), Some(&carried));
    assert_eq!(stray, Decision::Settled(Unclaimed::Held(STRAY_DELAY)));
    assert!(matches!(claim(&delivered(Carrier::Due(nonce(5))), Some(&carried)), Decision::Write(_)));
}

#[test]
fn a_live_lease_holds_until_lease_and_margin_are_over() {
    let held = claim(&delivered(lane()), Some(&record(Phase::Running, Duration::from_secs(25))));
    assert_eq!(held, Decision::Settled(Unclaimed::Held(Duration::from_secs(6))));
    let over = LEASE + POLICY.margin;
    let write = written(claim(&delivered(lane()), Some(&record(Phase::Running, over))));
    assert_eq!(write.expect, 7);
    assert_eq!(outcomes(&write.state), [Some(Outcome::Ambiguous), None]);
}

#[test]
fn a_park_holds_until_it_is_due_whatever_woke_us() {
    let mut parked = record(Phase::Parked, LEASE * 9);
    parked.state.until = Some(NOW.after(Duration::from_secs(21)));
    let held = claim(&delivered(lane()), Some(&parked));
    assert_eq!(held, Decision::Settled(Unclaimed::Held(Duration::from_secs(20))));
    parked.state.until = Some(NOW);
    let write = written(claim(&delivered(lane()), Some(&parked)));
    assert_eq!((write.state.phase, write.state.until, &write.state.reason), (Phase::Running, None, &None));
}

#[test]
fn two_lost_workers_are_poison_and_failures_are_not() {
    let mut dead = record(Phase::Running, LEASE * 2);
    dead.state.attempts[0].outcome = Some(Outcome::Ambiguous);
    dead.state.nonce = nonce(3);
    dead.state.attempts = ledger::opened(dead.state.attempts.clone(), &nonce(3), &plan(), NOW);
    assert!(matches!(claim(&delivered(lane()), Some(&dead)), Decision::Settled(Unclaimed::Poison(_))));
    dead.state.attempts[0].outcome = Some(Outcome::Failed);
    assert!(matches!(claim(&delivered(lane()), Some(&dead)), Decision::Write(_)));
}

#[test]
fn a_call_and_its_hedge_are_lost_with_one_worker() {
    let mut dead = record(Phase::Running, LEASE * 2);
    dead.state.attempts = ledger::hedged(dead.state.attempts.clone(), &nonce(1), &plan(), NOW);
    let write = written(claim(&delivered(lane()), Some(&dead)));
    assert_eq!(outcomes(&write.state), [Some(Outcome::Ambiguous), Some(Outcome::Ambiguous), None]);
    assert_eq!(schemas::state::generation(&write.state.attempts), 1, "one of the two may have published deltas");
    let lost_again = Record { state: write.state, ..dead };
    let claimed = Claim { nonce: nonce(4), ..claim_of(&delivered(lane())) }.decide(Some(&lost_again), NOW);
    assert!(matches!(claimed, Decision::Settled(Unclaimed::Poison(_))), "{claimed:?}");
}

/// The loser's end is told by its number; both would be ambiguous otherwise.
#[test]
fn a_race_ends_with_both_in_the_ledger() {
    let held = Held::stored(record(Phase::Running, Duration::ZERO), Duration::ZERO, &POLICY);
    let racing = Record { seq: 8, state: Box::new(held.hedging(&plan(), NOW)), written_at: NOW };
    assert_eq!(racing.state.attempts.iter().map(|attempt| attempt.hedge).collect::<Vec<_>>(), [false, true]);
    assert_eq!(outcomes(&racing.state), [None, None]);
    let held = Held::stored(racing.clone(), Duration::ZERO, &POLICY);
    let end = |number, outcome| Resolution { number: Some(number), ..Resolution::bare(outcome) };
    for (ends, expected) in [
        ([end(2, Outcome::Ok), end(1, Outcome::Cancelled)], [Outcome::Cancelled, Outcome::Ok]),
        ([end(1, Outcome::Ok), end(2, Outcome::Cancelled)], [Outcome::Ok, Outcome::Cancelled]),
        ([end(1, Outcome::Ok), Resolution::bare(Outcome::Aborted)], [Outcome::Ok, Outcome::Aborted]),
        ([Resolution::bare(Outcome::Aborted), end(2, Outcome::Ok)], [Outcome::Ambiguous, Outcome::Aborted]),
    ] {
        let mine = Box::new(held.resolved(&ends, NOW));
        let finish = Finish { mine, phase: Phase::Completed, result: Box::default() };
        let Decision::Write(write) = finish.decide(Some(&racing), NOW) else { panic!("not written") };
        assert_eq!(outcomes(&write.state), expected.map(Some), "{ends:?}");
    }
    let cancel = Cancel { waiting: None, nonce: nonce(9), holder: "i1".to_owned() };
    let Decision::Write(write) = cancel.decide(Some(&racing), NOW) else { panic!("not written") };
    assert_eq!(outcomes(&write.state), [Some(Outcome::Cancelled), Some(Outcome::Cancelled)]);
}

#[test]
fn a_client_may_refuse_a_second_call() {
    let mut dead = record(Phase::Running, LEASE * 2);
    dead.state.head.on_ambiguous = OnAmbiguous::Fail;
    let write = written(claim(&delivered(lane()), Some(&dead)));
    assert_eq!(write.state.phase, Phase::Failed);
    assert_eq!(outcomes(&write.state), [Some(Outcome::Ambiguous)]);
    dead.state.attempts[0].outcome = Some(Outcome::Failed);
    assert_eq!(written(claim(&delivered(lane()), Some(&dead))).state.phase, Phase::Running);
}

#[test]
fn an_update_writes_over_mine_alone() {
    let mine = record(Phase::Running, Duration::ZERO);
    let mut intended = (*mine.state).clone();
    intended.attempts = ledger::opened(intended.attempts, &nonce(1), &plan(), NOW);
    let update = |nonce: &Nonce, record: Option<&Record>| {
        Update { nonce: nonce.clone(), intended: Box::new(intended.clone()), renewal: false }.decide(record, NOW)
    };
    assert!(matches!(update(&nonce(1), Some(&mine)), Decision::Write(Write { expect: 7, .. })));
    assert_eq!(update(&nonce(2), Some(&mine)), Decision::Settled(NotMine::Lost));
    assert_eq!(update(&nonce(1), None), Decision::Settled(NotMine::Lost));
    let ended = record(Phase::Cancelled, Duration::ZERO);
    assert!(matches!(update(&nonce(1), Some(&ended)), Decision::Settled(NotMine::Finished(_))));
    let landed = Record { seq: 9, state: Box::new(intended.clone()), written_at: NOW };
    assert_eq!(update(&nonce(1), Some(&landed)), Decision::Settled(NotMine::Landed(landed.clone())));
}

#[test]
fn a_result_is_written_over_whoever_holds_the_job_by_now() {
    let mut mine = (*record(Phase::Running, Duration::ZERO).state).clone();
    mine.attempts[0].outcome = Some(Outcome::Ok);
    let mut theirs = record(Phase::Running, Duration::ZERO);
    theirs.state.nonce = nonce(2);
    theirs.state.attempts[0].outcome = Some(Outcome::Ambiguous);
    theirs.state.attempts = ledger::opened(theirs.state.attempts.clone(), &nonce(2), &plan(), NOW);
    let finish = Finish { mine: Box::new(mine), phase: Phase::Completed, result: Box::default() };
    let Decision::Write(write) = finish.decide(Some(&theirs), NOW) else { panic!("not written") };
    assert_eq!((write.expect, write.state.phase), (7, Phase::Completed));
    assert_eq!(outcomes(&write.state), [Some(Outcome::Ok), Some(Outcome::Ambiguous)]);
    let ended = record(Phase::Cancelled, Duration::ZERO);
    assert_eq!(finish.decide(Some(&ended), NOW), Decision::Settled(AlreadyEnded(ended.clone())));
}

/// Found by the search: the answer to an attempt's write is lost, and the deadline passes before it is asked for again.
#[test]
fn an_attempt_recorded_unheard_was_never_sent() {
    let mine = (*record(Phase::Running, Duration::ZERO).state).clone();
    let mut theirs = record(Phase::Running, Duration::ZERO);
    theirs.state.attempts = ledger::opened(theirs.state.attempts.clone(), &nonce(1), &plan(), NOW);
    let mine = ledger::closed(&mine.attempts, Outcome::Failed, NOW);
    let ledger = ledger::merged(&theirs.state.attempts, &mine, &nonce(1), NOW);
    let outcomes: Vec<_> = ledger.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Failed), Some(Outcome::Aborted)]);
}

#[test]
fn poison_is_buried_only_as_it_was_judged() {
    let judged = record(Phase::Running, LEASE * 2);
    let result = Box::new(JobResult { dead: true, ..JobResult::default() });
    let bury = Bury { judged: judged.clone(), result };
    let Decision::Write(write) = bury.decide(Some(&judged), NOW) else { panic!("not written") };
    assert_eq!((write.expect, write.state.phase), (7, Phase::Failed));
    let moved = Record { seq: 8, ..judged.clone() };
    assert_eq!(bury.decide(Some(&moved), NOW), Decision::Settled(MovedOn));
}

#[test]
fn an_entry_in_dead_counts_only_where_its_job_ended_there() {
    let judge = |record: Option<&Record>| dead::standing(NOW, record, &POLICY);
    for phase in [Phase::Running, Phase::Parked] {
        assert_eq!(judge(Some(&record(phase, LEASE))), Standing::Early, "{phase}: its end may be on its way");
    }
    for phase in [Phase::Completed, Phase::Failed, Phase::Cancelled, Phase::Expired, Phase::Incomplete] {
        let mut ended = record(phase, LEASE);
        assert_eq!(judge(Some(&ended)), Standing::Stray, "{phase}");
        ended.state.result = Some(Box::new(JobResult { dead: true, ..JobResult::default() }));
        let counts = if phase == Phase::Failed { Standing::Counts } else { Standing::Stray };
        assert_eq!(judge(Some(&ended)), counts, "{phase}");
        ended.state.head.created_at = NOW.after(POLICY.margin * 2);
        assert_eq!(judge(Some(&ended)), Standing::Forgotten, "a later job of the same id");
    }
    assert_eq!(judge(None), Standing::Forgotten);
}

#[test]
fn history_speaks_for_a_forgotten_record() {
    let job = Job {
        id: JobId::new(NOW, 1),
        head: head(),
        context: ContextOptions::default(),
        request: Payload::Inline(Box::default()),
        warnings: Vec::new(),
        surface: None,
    };
    let said = |status| JobView { status, ..JobView::queued(&job, false) };
    let judge = |view: Option<&JobView>| dead::outlived(NOW, view, &POLICY);
    for status in [Status::Queued, Status::Running, Status::Failed] {
        assert_eq!(judge(Some(&said(status))), Standing::Counts, "{status}");
    }
    for status in [Status::Completed, Status::Cancelled, Status::Expired, Status::Incomplete] {
        assert_eq!(judge(Some(&said(status))), Standing::Stray, "{status}");
        let later = JobView { created_at: NOW.after(POLICY.margin * 2), ..said(status) };
        assert_eq!(judge(Some(&later)), Standing::Counts, "a later job of the same id");
    }
    assert_eq!(judge(None), Standing::Counts, "nothing known: a true entry must not be lost");
}

#[test]
fn a_cancel_never_replaces_an_end() {
    let (head, carrier, nonce) = (head(), lane(), nonce(3));
    let cancel = |waiting, record: Option<&Record>| {
        Cancel { waiting, nonce: nonce.clone(), holder: "i1".to_owned() }.decide(record, NOW)
    };
    let running = record(Phase::Running, Duration::ZERO);
    let Decision::Write(write) = cancel(None, Some(&running)) else { panic!("not written") };
    assert_eq!((write.expect, write.state.phase), (7, Phase::Cancelled));
    assert_eq!(outcomes(&write.state), [Some(Outcome::Cancelled)]);
    let done = record(Phase::Completed, Duration::ZERO);
    assert_eq!(cancel(None, Some(&done)), Decision::Settled(NotCancelled::Ended(done.clone())));
    assert_eq!(cancel(None, None), Decision::Settled(NotCancelled::NoRecord));
    let waiting = cancel(Some(Waiting { head: Box::new(head), carrier }), None);
    assert!(matches!(waiting, Decision::Write(Write { expect: 0, .. })));
}

#[test]
fn anything_but_stored_is_read_again_and_stale_reads_are_discarded() {
    let mine = record(Phase::Running, Duration::ZERO);
    let renew = || Update { nonce: nonce(1), intended: mine.state.clone(), renewal: true };
    let read = || Continue(Action::Read);
    for outcome in [Written::Refused, Written::Unknown] {
        let (mut cas, next) = Cas::assuming(renew(), Some(&mine), NOW);
        assert!(matches!(next, Continue(Action::Write(_))));
        assert_eq!(cas.step(Event::Written(outcome), NOW), read());
        let stale = Record { seq: 6, ..mine.clone() };
        assert_eq!(cas.step(Event::Record(Some(stale)), NOW), read());
        assert_eq!(cas.step(Event::Record(None), NOW), read());
        let landed = Record { seq: 8, ..mine.clone() };
        let again = cas.step(Event::Record(Some(landed)), NOW);
        assert!(matches!(again, Continue(Action::Write(Write { expect: 8, .. }))));
        let stored = cas.step(Event::Written(Written::Stored(9)), NOW);
        assert_eq!(stored, Break(Ended::Stored(9, mine.state.clone())));
    }
}
