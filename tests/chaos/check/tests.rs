//! Each violation planted into a sound history, and named. A checker that finds nothing is only as good as this table.

use std::collections::BTreeMap;

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
    }
}

fn call(number: u128, holder: &str, (from, to): (i64, i64), ending: Ending) -> Call {
    Call {
        id: Some(id(number)),
        marker: format!("m{number}"),
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
    }
}

fn client(number: u128, events: Vec<Event>) -> Client {
    Client { marker: format!("m{number}"), key: None, events }
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
        faults: vec![Fault {
            blow: Blow::Kill,
            victim: "worker-1".to_owned(),
            peer: None,
            began: at(11),
            ended: at(12),
        }],
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
        Rule::UnrecordedCall => history.calls.push(call(3, "worker-1", (3, 4), Ending::Answered)),
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
        Rule::Mishap => {
            let what = "it ended with 101".to_owned();
            history.mishaps.push(Mishap { victim: "worker-1".to_owned(), at: at(3), what });
        }
    }
}

#[test]
fn a_sound_history_is_sound() {
    assert_eq!(check(&sound()), []);
}

#[test]
fn every_planted_violation_is_named() {
    for rule in Rule::iter() {
        let mut history = sound();
        plant(rule, &mut history);
        let found = check(&history);
        assert!(found.iter().any(|violation| violation.rule == rule), "{rule} was not named: {found:#?}");
    }
}

/// The first call ended before the fault that would explain it, or the fault hit somebody else.
#[test]
fn a_fault_elsewhere_or_later_explains_nothing() {
    let named = |history: &History| check(history).iter().any(|one| one.rule == Rule::UnexplainedAmbiguity);
    for (victim, peer, explains) in [
        ("worker-1", None, true),
        ("worker-1", Some("nats-a"), true),
        ("nats-a", None, true),
        ("worker-2", None, false),
        ("worker-1", Some(PROVIDER), false),
        ("ingress-1", Some("nats-a"), false),
    ] {
        let mut history = sound();
        (history.faults[0].victim, history.faults[0].peer) = (victim.to_owned(), peer.map(str::to_owned));
        assert_eq!(named(&history), !explains, "{victim} {peer:?}");
    }
    let mut late = sound();
    (late.faults[0].began, late.faults[0].ended) = (at(14), at(15));
    assert!(named(&late));
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

/// Deltas are lost with the broker's memory, and only then; what is left is still the beginning of the output.
#[test]
fn a_stream_may_lose_its_end_to_a_fault_alone() {
    let named = |history: &History| check(history).iter().any(|one| one.rule == Rule::StreamDiffers);
    let streamed = |number: u128, text: &str| {
        let mut history = sound();
        let what = Seen::Streamed(Status::Completed, Some(TEXT.to_owned()), Some(text.to_owned()));
        history.clients[number as usize - 1].events.push(event(18, what));
        (history.faults[0].victim, history.faults[0].blow) = ("nats-a".to_owned(), Blow::Kill);
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
    let frozen = |victim: &str| Fault {
        blow: Blow::Freeze,
        victim: victim.to_owned(),
        peer: Some(PROVIDER.to_owned()),
        began: at(3),
        ended: at(9),
    };
    history.faults.push(frozen("worker-2"));
    assert_eq!(check(&history).len(), 1);
    history.faults.push(frozen("worker-1"));
    assert_eq!(check(&history), []);
}
