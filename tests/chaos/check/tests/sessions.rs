//! Three turns of one session, and what can be wrong with them.

use schemas::id::JobId;
use schemas::state::{Outcome, Phase};
use schemas::view::Status;

use super::{TEXT, at, attempt, call, client, event, fault, id, record, sound, version};
use crate::check::{Rule, check};
use crate::history::{Blow, Ending, History, Jobs, PROVIDER, Seen, Session, Turn};

const KEY: &str = "chaos.session";
/// Its turns: the first and the last were answered, the one between failed.
const TURNS: [u128; 3] = [3, 4, 5];

fn asked(number: u128) -> String {
    format!("m{number} please")
}

fn turn(job: u128, number: u64) -> Turn {
    Turn { id: id(job), number: Some(number), said: vec![asked(job), TEXT.to_owned()] }
}

fn jobs(seconds: i64, jobs: &[u128]) -> Jobs {
    Jobs { written: at(seconds), jobs: jobs.iter().map(|job| id(*job)).collect() }
}

/// Adds a job that ran from `start` to two seconds later, beside those that it was told of.
fn run(history: &mut History, job: u128, start: i64, earlier: &[u128]) {
    let (seq, nonce) = (job as u64 * 2, job * 10);
    let mut ended =
        record(seq + 1, start + 2, nonce, "worker-1", vec![attempt(1, nonce, (start, start + 2), Outcome::Ok)]);
    (ended.session, ended.created) = (Some(KEY.to_owned()), at(20));
    history.records.insert(id(job), ended);
    let running = version(seq, start, Phase::Running, nonce, "worker-1", &[(1, nonce)]);
    let done = version(seq + 1, start + 2, Phase::Completed, nonce, "worker-1", &[(1, nonce)]);
    history.versions.insert(id(job), vec![running, done]);
    let mut called = call(job, "worker-1", (start + 1, start + 2), Ending::Answered);
    called.told = earlier.iter().flat_map(|job| [asked(*job), TEXT.to_owned()]).chain([asked(job)]).collect();
    history.calls.push(called);
    let read = Seen::Read(Status::Completed, Some(TEXT.to_owned()));
    history.clients.push(client(job, vec![event(20, Seen::Accepted(id(job))), event(40, read)]));
    history.rows.as_mut().unwrap().insert(id(job), "completed".to_owned());
}

/// The sound history with a session beside what else it has.
pub(super) fn whole() -> History {
    let mut history = sound();
    run(&mut history, 3, 21, &[]);
    run(&mut history, 4, 24, &[3]);
    run(&mut history, 5, 27, &[3]);
    failed(&mut history);
    let session = Session {
        turns: vec![turn(3, 1), turn(5, 2)],
        appended: 2,
        line: Vec::new(),
        lines: vec![jobs(20, &[3]), jobs(20, &[3, 4]), jobs(20, &TURNS), jobs(23, &[4, 5]), jobs(26, &[5])],
        histories: vec![jobs(23, &[3]), jobs(29, &[3, 5])],
    };
    history.sessions.insert(KEY.to_owned(), session);
    (job(&mut history, 3).turn, job(&mut history, 5).turn) = (Some(1), Some(2));
    history
}

/// The turn between was refused by the provider.
fn failed(history: &mut History) {
    let record = job(history, 4);
    (record.phase, record.output) = (Phase::Failed, None);
    record.attempts[0].outcome = Some(Outcome::Failed);
    history.versions.get_mut(&id(4)).unwrap()[1].phase = Phase::Failed;
    let calls = &mut history.calls;
    calls.iter_mut().find(|call| call.id == Some(id(4))).unwrap().ending = Ending::Refused;
    let client = history.clients.iter_mut().find(|client| client.marker == "m4").unwrap();
    client.events[1].what = Seen::Read(Status::Failed, None);
    history.rows.as_mut().unwrap().insert(id(4), "failed".to_owned());
}

fn job(history: &mut History, number: u128) -> &mut crate::history::Record {
    history.records.get_mut(&id(number)).unwrap()
}

fn last_call(history: &mut History) -> &mut crate::history::Call {
    history.calls.last_mut().unwrap()
}

/// What breaks each rule of sessions.
pub(super) fn plant(rule: Rule, history: &mut History) {
    let mut session = history.sessions.remove(KEY).unwrap();
    match rule {
        Rule::TurnLost => drop(session.turns.pop()),
        Rule::TurnDoubled => session.turns.push(turn(5, 3)),
        Rule::TurnUnanswered => session.turns.push(turn(4, 3)),
        Rule::TurnDiffers => session.turns[1].said[1] = "something else".to_owned(),
        Rule::TurnMisnumbered => session.turns[1].number = Some(3),
        Rule::SessionRewritten => session.histories.push(jobs(30, &[5])),
        Rule::LineLeft => session.line.push(id(5)),
        Rule::TurnOutOfOrder => session.lines.insert(0, jobs(20, &[5, 3])),
        Rule::TurnsInterleaved => last_call(history).started = at(25),
        Rule::PromptDiffers => drop(last_call(history).told.remove(0)),
        other => panic!("{other} is no rule of sessions"),
    }
    history.sessions.insert(KEY.to_owned(), session);
}

fn rules(history: &History) -> Vec<Rule> {
    let mut rules: Vec<_> = check(history).iter().map(|violation| violation.rule).collect();
    rules.dedup();
    rules
}

fn session(history: &mut History) -> &mut Session {
    history.sessions.get_mut(KEY).unwrap()
}

/// What a turn was told is held against what the calls before it were asked and answered, not against the history.
#[test]
fn a_prompt_has_every_answered_turn_before_it_once_and_none_after_it() {
    let words = |jobs: &[u128]| jobs.iter().flat_map(|job| [asked(*job), TEXT.to_owned()]).collect::<Vec<_>>();
    for told in [words(&[]), words(&[3, 3]), words(&[4]), words(&[3, 4]), words(&[5])] {
        let mut history = whole();
        last_call(&mut history).told = [told, vec![asked(5)]].concat();
        assert_eq!(rules(&history), [Rule::PromptDiffers]);
    }
    let mut swapped = whole();
    last_call(&mut swapped).told.swap(0, 1);
    assert_eq!(rules(&swapped), [Rule::PromptDiffers]);
}

/// A claim ahead of one's turn is seen even where no call came of it.
#[test]
fn a_claim_before_the_end_of_the_turn_before_is_named() {
    let mut history = whole();
    history.versions.get_mut(&id(5)).unwrap()[0].seq = 8;
    assert!(rules(&history).contains(&Rule::TurnsInterleaved));
}

/// Who is cancelled or expires in the line ends while another one runs.
#[test]
fn who_ends_in_the_line_waits_for_nobody() {
    let mut history = whole();
    let record = job(&mut history, 4);
    (record.seq, record.written) = (7, at(23));
    record.attempts.clear();
    history.versions.get_mut(&id(4)).unwrap().clear();
    history.calls.retain(|call| call.id != Some(id(4)));
    job(&mut history, 3).seq = 8;
    history.versions.get_mut(&id(3)).unwrap()[1].seq = 8;
    assert_eq!(rules(&history), []);
    history.calls.push(call(4, "worker-1", (22, 23), Ending::Refused));
    assert!(rules(&history).contains(&Rule::TurnOutOfOrder));
    assert!(rules(&history).contains(&Rule::TurnsInterleaved));
}

/// What a frozen link held back of an ended turn arrives while the next one runs.
#[test]
fn a_late_call_of_an_ended_turn_is_no_second_turn() {
    let mut history = whole();
    let late = history.calls.iter_mut().find(|call| call.id == Some(id(3))).unwrap();
    (late.started, late.ended) = (at(25), Some(at(25)));
    history.faults.push(fault(Blow::Freeze, "worker-1", Some(PROVIDER), (21, 25), &[]));
    assert_eq!(rules(&history), []);
}

/// An unknown write may put a turn in line once more, after it has ended.
#[test]
fn a_place_after_ones_end_counts_for_nothing() {
    let mut history = whole();
    session(&mut history).lines.push(jobs(27, &[5, 3]));
    assert_eq!(rules(&history), []);
    session(&mut history).lines.push(jobs(20, &[5, 3]));
    assert_eq!(rules(&history), [Rule::TurnOutOfOrder]);
}

/// Turns come in the order of their answers, except those that were not to be started at once.
#[test]
fn who_was_accepted_first_comes_first() {
    let mut history = whole();
    job(&mut history, 3).created = at(22);
    assert_eq!(rules(&history), [Rule::TurnOutOfOrder]);
    (job(&mut history, 4).delayed, job(&mut history, 5).delayed) = (true, true);
    assert_eq!(rules(&history), []);
}

/// A gap is one even where the job was told the same number, and so is a turn that no history has any more.
#[test]
fn a_number_is_the_turns_place_and_what_its_job_was_told() {
    let mut gap = whole();
    session(&mut gap).turns[1].number = Some(3);
    job(&mut gap, 5).turn = Some(3);
    assert_eq!(rules(&gap), [Rule::TurnMisnumbered]);
    let mut told = whole();
    job(&mut told, 5).turn = Some(1);
    assert_eq!(rules(&told), [Rule::TurnMisnumbered]);
    let mut dropped = whole();
    session(&mut dropped).appended = 3;
    assert_eq!(rules(&dropped), [Rule::TurnMisnumbered]);
}

/// A history whose session nobody's record names is named too.
#[test]
fn a_turn_of_no_job_is_named() {
    let mut history = whole();
    let stranger: JobId = id(9);
    let turns = vec![Turn { id: stranger, number: Some(1), said: Vec::new() }];
    history.sessions.insert("chaos.other".to_owned(), Session { turns, appended: 1, ..Session::default() });
    assert!(check(&history).iter().any(|one| one.rule == Rule::TurnUnanswered && one.job == Some(stranger)));
}
