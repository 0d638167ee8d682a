//! Each violation planted into a sound history, and named. A checker that finds nothing is only as good as this table.

mod sessions;

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::id::JobId;
use schemas::job::OnAmbiguous;
use schemas::state::{Attempt, Nonce, Outcome, Phase};
use schemas::timestamp::Timestamp;
use schemas::view::Status;
use strum::IntoEnumIterator;

use super::{Rule, check};
use crate::history::{Blow, Call, Client, Ending, Event, Fault, History, Mishap, PROVIDER, Record, Seen, Version};

const TEXT: &str = "a whole answer";

/// Seconds into the run.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + seconds * 1000)
}

fn id(number: u128) -> JobId {
    JobId::new(at(0), number)
}

fn event(seconds: i64, what: Seen) -> Event {
    Event { at: at(seconds), ingress: "ingress-1".to_owned(), what }
}

fn attempt(number: u32, nonce: u128, (from, to): (i64, i64), outcome: Outcome) -> Attempt {
    Attempt {
        number,
        nonce: Nonce::new(nonce),
        provider: PROVIDER.to_owned(),
        model: "chaos".to_owned(),
        started_at: at(from),
        ended_at: Some(at(to)),
        outcome: Some(outcome),
        error: None,
        usage: None,
        cost_micros: None,
        hedge: false,
    }
}

fn call(number: u128, holder: &str, (from, to): (i64, i64), ending: Ending) -> Call {
    Call {
        id: Some(id(number)),
        marker: format!("m{number}"),
        told: vec![format!("m{number} please")],
        holder: holder.to_owned(),
        started: at(from),
        ended: Some(at(to)),
        ending,
        text: TEXT.to_owned(),
    }
}

fn version(seq: u64, seconds: i64, phase: Phase, nonce: u128, holder: &str, attempts: &[(u32, u128)]) -> Version {
    let attempts = attempts.iter().map(|(number, nonce)| (*number, Nonce::new(*nonce))).collect();
    let (nonce, holder) = (Nonce::new(nonce), holder.to_owned());
    Version { seq, written: at(seconds), phase, nonce, holder, attempts }
}

fn record(seq: u64, seconds: i64, nonce: u128, holder: &str, attempts: Vec<Attempt>) -> Record {
    Record {
        seq,
        written: at(seconds),
        phase: Phase::Completed,
        nonce: Nonce::new(nonce),
        holder: holder.to_owned(),
        attempts,
        on_ambiguous: OnAmbiguous::Retry,
        output: Some(TEXT.to_owned()),
        dead: false,
        lost: false,
        created: at(1),
        delayed: false,
        session: None,
        turn: None,
    }
}

fn client(number: u128, events: Vec<Event>) -> Client {
    Client { marker: format!("m{number}"), key: None, events }
}

/// A blow that reached the workers named.
fn fault(blow: Blow, victim: &str, peer: Option<&str>, (from, to): (i64, i64), reached: &[&str]) -> Fault {
    let (victim, peer) = (victim.to_owned(), peer.map(str::to_owned));
    let reached = reached.iter().map(|name| (*name).to_owned()).collect();
    Fault { blow, victim, peer, began: at(from), ended: at(to), reached, led: false, shift: 0 }
}

/// Job 1 ran plainly. Job 2 was held by a worker that was killed at 11, and ran again elsewhere from 15.
fn sound() -> History {
    let read = |seconds| event(seconds, Seen::Read(Status::Completed, Some(TEXT.to_owned())));
    let accepted = |number| event(1, Seen::Accepted(id(number)));
    let crashed = vec![attempt(1, 20, (10, 15), Outcome::Ambiguous), attempt(2, 21, (15, 17), Outcome::Ok)];
    History {
        clients: vec![client(1, vec![accepted(1), read(5), read(6)]), client(2, vec![accepted(2), read(18)])],
        calls: vec![
            call(1, "worker-1", (3, 4), Ending::Answered),
            call(2, "worker-1", (10, 11), Ending::Dropped),
            call(2, "worker-2", (15, 17), Ending::Answered),
        ],
        faults: vec![fault(Blow::Kill, "worker-1", None, (11, 12), &["worker-1"])],
        lease: Duration::from_secs(3),
        records: BTreeMap::from([
            (id(1), record(2, 4, 10, "worker-1", vec![attempt(1, 10, (2, 4), Outcome::Ok)])),
            (id(2), record(5, 17, 21, "worker-2", crashed)),
        ]),
        versions: BTreeMap::from([
            (
                id(1),
                vec![
                    version(1, 2, Phase::Running, 10, "worker-1", &[(1, 10)]),
                    version(2, 4, Phase::Completed, 10, "worker-1", &[(1, 10)]),
                ],
            ),
            (
                id(2),
                vec![
                    version(3, 10, Phase::Running, 20, "worker-1", &[(1, 20)]),
                    version(4, 15, Phase::Running, 21, "worker-2", &[(1, 20), (2, 21)]),
                    version(5, 17, Phase::Completed, 21, "worker-2", &[(1, 20), (2, 21)]),
                ],
            ),
        ]),
        rows: Some(BTreeMap::from([(id(1), "completed".to_owned()), (id(2), "completed".to_owned())])),
        ..History::default()
    }
}

fn plain(history: &mut History) -> &mut Record {
    history.records.get_mut(&id(1)).unwrap()
}

fn crashed(history: &mut History) -> &mut Record {
    history.records.get_mut(&id(2)).unwrap()
}

/// What breaks each rule.
fn plant(rule: Rule, history: &mut History) {
    let text = || Some(TEXT.to_owned());
    match rule {
        Rule::Lost => drop(history.records.remove(&id(1))),
        Rule::Stuck => plain(history).phase = Phase::Parked,
        Rule::MessageLost => plain(history).lost = true,
        Rule::Vanished => history.clients[0].events.push(event(7, Seen::Missing(404))),
        Rule::EndChanged => history.clients[0].events.push(event(7, Seen::Read(Status::Failed, text()))),
        Rule::EndReplaced => {
            let late = version(6, 20, Phase::Failed, 22, "worker-3", &[(1, 20), (2, 21)]);
            history.versions.get_mut(&id(2)).unwrap().push(late);
            crashed(history).seq = 6;
        }
        Rule::TwoResults => history.clients[0].events.push(event(7, Seen::Read(Status::Completed, None))),
        Rule::LedgerShrank => drop(crashed(history).attempts.remove(0)),
        Rule::AttemptLeftOpen => crashed(history).attempts[0].outcome = None,
        Rule::DeadMissing => plain(history).dead = true,
        Rule::HistoryDiffers => {
            history.rows.as_mut().unwrap().insert(id(1), "running".to_owned());
        }
        Rule::UnrecordedCall => history.calls.push(call(9, "worker-1", (3, 4), Ending::Answered)),
        Rule::CallBeforeRecord => history.calls[0].started = at(1),
        Rule::WrongHolder => history.calls[0].holder = "worker-3".to_owned(),
        Rule::CallOutsideAttempt => history.calls[0].started = at(9),
        Rule::TwoCallsOneAttempt => history.calls.push(call(1, "worker-1", (3, 5), Ending::Answered)),
        Rule::AbortedWasSent => crashed(history).attempts[0].outcome = Some(Outcome::Aborted),
        Rule::SecondCallWithoutCause => {
            plain(history).attempts.push(attempt(2, 10, (4, 5), Outcome::Ok));
        }
        Rule::CalledAgainAgainstWish => crashed(history).on_ambiguous = OnAmbiguous::Fail,
        Rule::UnexplainedAmbiguity => history.faults.clear(),
        Rule::KeyDoubled => history.clients[0].events.push(event(2, Seen::Accepted(id(2)))),
        Rule::IdShared => history.clients.push(client(9, vec![event(2, Seen::Accepted(id(1)))])),
        Rule::CancelIgnored => history.clients[0].events.push(event(2, Seen::CancelSaid(Status::Cancelled))),
        Rule::CallOutlivedCancel => {
            plain(history).phase = Phase::Cancelled;
            history.calls[0].ended = Some(at(9));
        }
        Rule::TruncatedCompleted => history.calls[0].ending = Ending::Truncated,
        Rule::StreamDiffers => {
            let torn = Seen::Streamed(Status::Completed, text(), Some("a whole".to_owned()));
            history.clients[0].events.push(event(6, torn));
        }
        Rule::ChatDiffers => history.clients[0].events.push(event(6, Seen::Chatted("a whole".to_owned()))),
        Rule::TurnLost
        | Rule::TurnDoubled
        | Rule::TurnUnanswered
        | Rule::TurnDiffers
        | Rule::TurnMisnumbered
        | Rule::TurnOutOfOrder
        | Rule::TurnsInterleaved
        | Rule::PromptDiffers
        | Rule::SessionRewritten
        | Rule::LineLeft => sessions::plant(rule, history),
        Rule::Mishap => {
            let what = "it ended with 101".to_owned();
            history.mishaps.push(Mishap { victim: "worker-1".to_owned(), at: at(3), what });
        }
    }
}

#[test]
fn a_sound_history_is_sound() {
    assert_eq!(check(&sessions::whole()), []);
}

#[test]
fn every_planted_violation_is_named() {
    for rule in Rule::iter() {
        let mut history = sessions::whole();
        plant(rule, &mut history);
        let found = check(&history);
        assert!(found.iter().any(|violation| violation.rule == rule), "{rule} was not named: {found:#?}");
    }
}

fn unexplained(history: &History) -> bool {
    check(history).iter().any(|one| one.rule == Rule::UnexplainedAmbiguity)
}

/// Only who was signalled, or had a connection that was hit, is excused; and everyone by a hit on who led STATE.
#[test]
fn a_fault_that_did_not_reach_the_holder_explains_nothing() {
    let hit = |victim: &str, peer: Option<&str>, reached: &[&str]| fault(Blow::Kill, victim, peer, (11, 12), reached);
    for (fault, explains) in [
        (hit("worker-1", None, &["worker-1"]), true),
        (hit("worker-2", None, &["worker-2"]), false),
        (hit("worker-1", Some("nats-a"), &["worker-1"]), true),
        (hit("worker-1", Some("nats-b"), &[]), false),
        (hit("worker-1", Some(PROVIDER), &[]), false),
        (hit("nats-a", None, &["worker-1", "ingress-1"]), true),
        (hit("nats-a", None, &["worker-2", "ingress-1"]), false),
        (hit("nats-a", None, &[]), false),
        (Fault { led: true, ..hit("nats-a", None, &[]) }, true),
        (hit("nats-a", Some("nats-b"), &["worker-1"]), true),
        (hit("nats-a", Some("nats-b"), &["worker-2"]), false),
        (Fault { led: true, ..hit("nats-a", Some("nats-b"), &[]) }, true),
        (Fault { shift: 3600, ..fault(Blow::Jump, "worker-1", None, (11, 11), &[]) }, false),
    ] {
        let mut history = sound();
        history.faults = vec![fault.clone()];
        assert_eq!(unexplained(&history), !explains, "{fault:?}");
    }
}

/// The fault must have been there after its holder's last write, and before its answer or its next renewal was stored.
#[test]
fn a_fault_at_another_time_explains_nothing() {
    let mut history = sound();
    for ((from, to), explains) in [((8, 9), false), ((9, 10), true), ((12, 13), true), ((13, 15), false)] {
        history.faults = vec![fault(Blow::Stop, "worker-1", None, (from, to), &["worker-1"])];
        assert_eq!(unexplained(&history), !explains, "{from} to {to}");
    }
    // It renewed at 12, and its call went on: a fault before that did it no harm, one after that did.
    history.calls[1].ended = Some(at(15));
    let versions = history.versions.get_mut(&id(2)).unwrap();
    versions.insert(1, version(4, 12, Phase::Running, 20, "worker-1", &[(1, 20)]));
    (versions[2].seq, versions[3].seq) = (5, 6);
    crashed(&mut history).seq = 6;
    for ((from, to), explains) in [((10, 11), false), ((11, 12), true), ((14, 15), true), ((15, 15), false)] {
        history.faults = vec![fault(Blow::Stop, "worker-1", None, (from, to), &["worker-1"])];
        assert_eq!(unexplained(&history), !explains, "renewed, {from} to {to}");
    }
}

/// Where processes were seen to wait for their turn, a write may take longer; never longer than the lease.
#[test]
fn a_busy_machine_is_given_what_was_seen_of_it() {
    let mut history = sound();
    history.faults = vec![fault(Blow::Kill, "worker-1", None, (13, 14), &["worker-1"])];
    assert!(unexplained(&history));
    history.lateness = Duration::from_millis(200);
    assert!(!unexplained(&history));
    history.lateness = Duration::from_secs(60);
    history.faults[0].began = at(14);
    assert!(unexplained(&history));
}

/// Without a call the attempt was exposed from its record on.
#[test]
fn an_attempt_that_made_no_call_needs_a_fault_too() {
    let mut history = sound();
    history.calls.remove(1);
    assert!(!unexplained(&history));
    history.faults[0].began = at(14);
    history.faults[0].ended = at(14);
    assert!(unexplained(&history));
}

/// A call that a frozen link held back came after its holder was killed: it is the record that was exposed.
#[test]
fn a_call_held_back_does_not_hide_what_hit_its_holder() {
    let mut history = sound();
    (history.calls[1].started, history.calls[1].ended) = (at(13), Some(at(13)));
    assert!(unexplained(&history));
    history.faults.push(fault(Blow::Freeze, "worker-1", Some(PROVIDER), (10, 13), &[]));
    assert!(!unexplained(&history));
}

/// A worker that was frozen comes back with its answer and ends the job over the one that had taken it.
#[test]
fn an_answer_that_comes_back_late_is_no_second_result() {
    let mut history = sound();
    let record = crashed(&mut history);
    (record.attempts[0].outcome, record.attempts[1].outcome) = (Some(Outcome::Ok), Some(Outcome::Ambiguous));
    (record.nonce, record.holder) = (Nonce::new(20), "worker-1".to_owned());
    let last = history.versions.get_mut(&id(2)).unwrap().last_mut().unwrap();
    (last.nonce, last.holder) = (Nonce::new(20), "worker-1".to_owned());
    history.calls[1].ending = Ending::Answered;
    (history.faults[0].blow, history.faults[0].ended) = (Blow::Stop, at(16));
    assert_eq!(check(&history), []);
    history.faults.clear();
    let rules: Vec<_> = check(&history).iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [Rule::SecondCallWithoutCause, Rule::UnexplainedAmbiguity]);
}

/// A hedge of job 1: it answered, and the one before it was dropped.
#[test]
fn a_hedge_needs_no_other_cause_and_excuses_nobody_after_it() {
    let hedged = |number| Attempt { hedge: true, ..attempt(number, 10, (4, 4), Outcome::Ok) };
    let mut history = sound();
    history.calls.push(call(1, "worker-1", (4, 4), Ending::Answered));
    history.calls[0].ending = Ending::Dropped;
    plain(&mut history).attempts = vec![attempt(1, 10, (2, 4), Outcome::Cancelled), hedged(2)];
    assert_eq!(check(&history), []);
    let rules = |history: &History| check(history).iter().map(|violation| violation.rule).collect::<Vec<_>>();
    let mut foreign = history.clone();
    plain(&mut foreign).attempts[1].nonce = Nonce::new(11);
    assert!(rules(&foreign).contains(&Rule::SecondCallWithoutCause));
    let mut third = history.clone();
    plain(&mut third).attempts[1].outcome = Some(Outcome::Failed);
    plain(&mut third).attempts.push(attempt(3, 10, (4, 5), Outcome::Ok));
    assert!(rules(&third).contains(&Rule::SecondCallWithoutCause), "the first was dropped, not failed");
    plain(&mut third).attempts[0].outcome = Some(Outcome::Failed);
    assert!(!rules(&third).contains(&Rule::SecondCallWithoutCause));
}

/// Deltas are lost with the broker's memory, and only then; what is left is still the beginning of the output.
#[test]
fn a_stream_may_lose_its_end_to_a_fault_alone() {
    let named = |history: &History| check(history).iter().any(|one| one.rule == Rule::StreamDiffers);
    let streamed = |number: u128, text: &str| {
        let mut history = sound();
        let what = Seen::Streamed(Status::Completed, Some(TEXT.to_owned()), Some(text.to_owned()));
        history.clients[number as usize - 1].events.push(event(18, what));
        history.faults = vec![fault(Blow::Kill, "nats-a", None, (11, 12), &["worker-1"])];
        history
    };
    assert!(!named(&streamed(2, "a whole")));
    assert!(named(&streamed(2, "whole")));
    let mut calm = streamed(2, "a whole");
    calm.faults.clear();
    assert!(named(&calm));
}

/// What a frozen link still held arrives after its attempt was given up: nobody can call it back.
#[test]
fn a_call_held_back_by_its_link_may_come_late() {
    let mut history = sound();
    history.calls[0].started = at(9);
    let frozen = |victim: &str| fault(Blow::Freeze, victim, Some(PROVIDER), (3, 9), &[]);
    history.faults.push(frozen("worker-2"));
    assert_eq!(check(&history).len(), 1);
    history.faults.push(frozen("worker-1"));
    assert_eq!(check(&history), []);
}
