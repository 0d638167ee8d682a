//! What silences, acknowledgements and operators do to what is told.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use schemas::timestamp::Timestamp;
use tokio::time::Instant;

use crate::chats::Chats;
use crate::fixture::{self, NOON, firing, resolved};
use crate::incidents::silence::MAX_MATCHERS;
use crate::incidents::{Book, Cause, Episode, Operation, Refused, Settled, Silence, Standing};
use crate::pace::Pacer;
use crate::plan::{self, Now};
use crate::task::{Action, Task};

const KIND: AlertKind = AlertKind::Disk;
const HOUR: u64 = 3600;

/// A book at some second after noon, told as soon as something may be.
struct Night {
    book: Book,
    second: u64,
    sequence: u64,
    messages: i32,
}

impl Night {
    fn new() -> Self {
        Self { book: Book::new(fixture::policy(), BTreeMap::new()), second: 0, sequence: 0, messages: 0 }
    }

    fn now(&self) -> Timestamp {
        NOON.after(Duration::from_secs(self.second))
    }

    fn fold(&mut self, event: &AlertEvent) {
        self.sequence += 1;
        self.book.fold(self.sequence, event, self.now());
    }

    fn operate(&mut self, operation: Operation) -> Result<(), Refused> {
        self.book.operate(operation, "telegram:7", self.now()).map(drop)
    }

    fn silence(&mut self, id: &str, matchers: &[&str], seconds: u64) -> Result<(), Refused> {
        let matchers = matchers.iter().map(|text| text.parse().unwrap()).collect();
        let (starts, until) = (self.now(), self.now().after(Duration::from_secs(seconds)));
        let silence =
            Silence { id: id.into(), matchers, starts, until, by: "telegram:7".into(), comment: String::new() };
        self.operate(Operation::Silence(silence))
    }

    /// Everything that is to be called at `second`, all of it taken by the chat.
    fn told(&mut self, second: u64) -> Vec<Action> {
        self.second = second;
        let (chats, pacer) = (Chats::new(&fixture::telegram()), Pacer::new(20));
        let mut actions = Vec::new();
        self.book.review(self.now());
        while let Some(task) = self.next(&chats, &pacer) {
            let message = if let Action::Edit { message } = task.action { message } else { self.messages + 1 };
            self.messages = self.messages.max(message);
            self.book.settle(&task, Settled::Told(message), self.now());
            actions.push(task.action);
        }
        actions
    }

    fn next(&self, chats: &Chats, pacer: &Pacer) -> Option<Task> {
        plan::next(&self.book, chats, pacer, Now { wall: self.now(), monotonic: Instant::now() })
    }

    fn live(&self) -> &Episode {
        self.book.incidents.values().next().unwrap().live().unwrap()
    }

    fn standing(&self) -> Standing {
        self.book.incidents()[0].2
    }
}

fn key() -> String {
    firing(KIND, "a").fingerprint()
}

const SEND: Action = Action::Send;
const fn edit(message: i32) -> Action {
    Action::Edit { message }
}

#[test]
fn what_was_told_before_its_silence_is_told_again_after_it() {
    let mut night = Night::new();
    night.fold(&firing(KIND, "a"));
    assert_eq!(night.told(0), [SEND]);
    night.silence("s", &["kind=disk", "provider=~a|b"], HOUR).unwrap();
    assert_eq!((night.standing(), night.told(1)), (Standing::Silenced, vec![edit(1)]));
    night.second = 10;
    night.fold(&AlertEvent { severity: Severity::Critical, ..firing(KIND, "a") });
    assert_eq!(night.told(10), [edit(1)], "the old message says that another goes on, which nobody is told yet");
    assert_eq!(night.told(HOUR - 1), []);
    assert_eq!(night.told(HOUR), [SEND]);
    assert_eq!((night.live().cause, night.live().severity), (Cause::Escalated, Severity::Critical));
    assert!(night.book.silences.is_empty());
}

#[test]
fn what_fires_on_through_its_silence_is_told_when_it_ends() {
    let mut night = Night::new();
    night.fold(&firing(KIND, "a"));
    night.told(0);
    night.silence("s", &["kind=disk"], HOUR).unwrap();
    night.told(1);
    assert_eq!(night.told(HOUR), [SEND, edit(1)]);
    assert_eq!((night.live().cause, night.live().earlier, night.live().count), (Cause::SilenceEnded, 1, 0));
}

#[test]
fn what_comes_and_goes_within_a_silence_is_told_to_nobody() {
    let mut night = Night::new();
    night.silence("s", &["fingerprint=~[0-9a-f]+"], HOUR).unwrap();
    night.fold(&firing(KIND, "a"));
    assert_eq!(night.told(1), []);
    night.fold(&resolved(KIND, "a"));
    assert_eq!((night.told(2), night.standing()), (vec![], Standing::Resolved));
    assert_eq!(night.told(HOUR), []);
    // Then it fires for everyone: nothing that was counted is lost.
    night.fold(&firing(KIND, "a"));
    assert_eq!(night.told(HOUR + 1), [SEND]);
    assert_eq!(night.live().count, 2);
    night.fold(&resolved(KIND, "a"));
    assert_eq!(night.told(HOUR + 2), [Action::Notice { reply_to: Some(1) }, edit(1)]);
}

#[test]
fn an_end_within_a_silence_is_shown_and_not_noticed() {
    let mut night = Night::new();
    night.fold(&firing(KIND, "a"));
    night.told(0);
    night.silence("s", &["kind=disk"], HOUR).unwrap();
    night.fold(&resolved(KIND, "a"));
    assert_eq!(night.told(1), [edit(1)]);
    assert_eq!(night.told(HOUR), []);
}

#[test]
fn moments_within_a_silence_are_told_after_it_and_earlier_ones_are_not() {
    for (within, told) in [(true, vec![SEND, edit(1)]), (false, vec![edit(1)])] {
        let mut night = Night::new();
        night.book.policy.cooldown = Duration::from_secs(10 * HOUR);
        night.fold(&firing(AlertKind::DeadLetter, "a"));
        night.told(0);
        night.second = 1;
        night.silence("s", &["kind=dead_letter"], HOUR).unwrap();
        night.told(1);
        if within {
            night.fold(&firing(AlertKind::DeadLetter, "a"));
            assert_eq!(night.told(2), [edit(1)]);
        }
        assert_eq!(night.told(HOUR + 1), told);
    }
}

#[test]
fn a_silence_that_is_removed_ends() {
    let mut night = Night::new();
    night.silence("s", &["severity!=critical", "kind=disk"], HOUR).unwrap();
    night.fold(&firing(KIND, "a"));
    assert_eq!(night.told(1), []);
    night.operate(Operation::Unsilence { id: "s".into() }).unwrap();
    assert_eq!(night.told(2), [SEND]);
    assert_eq!(night.operate(Operation::Unsilence { id: "s".into() }), Err(Refused::UnknownSilence));
}

#[test]
fn higher_severity_leaves_a_silence_that_is_not_about_it() {
    let mut night = Night::new();
    night.silence("s", &["severity=warning"], HOUR).unwrap();
    night.fold(&firing(KIND, "a"));
    assert_eq!(night.told(1), []);
    night.fold(&AlertEvent { severity: Severity::Critical, ..firing(KIND, "a") });
    assert_eq!(night.told(2), [SEND]);
}

#[test]
fn a_silence_has_its_bounds() {
    let mut night = Night::new();
    let many: Vec<_> = (0..=MAX_MATCHERS).map(|_| "kind=disk").collect();
    for (id, matchers, seconds, refused) in [
        ("", &["kind=disk"][..], 1, Refused::SilenceId),
        ("a.b", &["kind=disk"], 1, Refused::SilenceId),
        ("s", &[], 1, Refused::SilenceMatchers),
        ("s", &["provider=~.*", "a!=b"], 1, Refused::SilenceMatchers),
        ("s", &many, 1, Refused::SilenceMatchers),
        ("s", &["kind=disk"], 0, Refused::SilenceOver),
        ("s", &["kind=disk"], 25 * HOUR, Refused::SilenceTooLong(Duration::from_secs(24 * HOUR))),
    ] {
        assert_eq!(night.silence(id, matchers, seconds), Err(refused), "{id} {matchers:?} {seconds}");
    }
    for number in 0..20 {
        night.silence(&number.to_string(), &["kind=disk"], 20 - number).unwrap();
    }
    assert_eq!(night.silence("s", &["kind=disk"], 1), Err(Refused::TooManySilences(20)));
    night.silence("7", &["kind=disk"], HOUR).unwrap();
    assert_eq!((night.book.silences()[0].id.as_str(), night.book.silences()[19].id.as_str()), ("19", "7"));
}

#[test]
fn what_somebody_sees_to_is_told_again_only_if_it_takes_too_long_or_gets_worse() {
    let mut night = Night::new();
    night.fold(&firing(KIND, "a"));
    night.told(0);
    night.operate(Operation::Acknowledge { key: key() }).unwrap();
    assert_eq!((night.standing(), night.told(1)), (Standing::Acknowledged, vec![edit(1)]));
    let refused = night.operate(Operation::Acknowledge { key: key() });
    assert_eq!(refused, Err(Refused::Acknowledged("telegram:7".into())));
    night.fold(&firing(KIND, "a"));
    assert_eq!(night.told(HOUR - 1), [edit(1)]);
    assert_eq!(night.told(HOUR), [SEND, edit(1)]);
    assert_eq!((night.live().cause, night.standing()), (Cause::AcknowledgeTimeout, Standing::Firing));
    night.operate(Operation::Acknowledge { key: key() }).unwrap();
    night.fold(&AlertEvent { severity: Severity::Critical, ..firing(KIND, "a") });
    assert_eq!((night.standing(), night.told(HOUR + 1)), (Standing::Firing, vec![SEND, edit(2)]));
}

#[test]
fn an_acknowledgement_can_be_taken_back_and_ends_with_its_alert() {
    let mut night = Night::new();
    assert_eq!(night.operate(Operation::Acknowledge { key: key() }), Err(Refused::UnknownAlert));
    night.fold(&firing(KIND, "a"));
    assert_eq!(night.operate(Operation::Unacknowledge { key: key() }), Err(Refused::NotAcknowledged));
    night.operate(Operation::Acknowledge { key: key() }).unwrap();
    night.operate(Operation::Unacknowledge { key: key() }).unwrap();
    night.operate(Operation::Acknowledge { key: key() }).unwrap();
    night.fold(&resolved(KIND, "a"));
    night.told(0);
    assert_eq!(night.operate(Operation::Unacknowledge { key: key() }), Err(Refused::NotFiring));
    night.fold(&firing(KIND, "a"));
    assert_eq!(night.standing(), Standing::Firing);
}

#[test]
fn what_an_operator_declares_over_is_new_when_it_fires_again() {
    let mut night = Night::new();
    night.fold(&firing(KIND, "a"));
    night.told(0);
    night.operate(Operation::Resolve { key: key() }).unwrap();
    assert_eq!(night.told(1), [edit(1)], "who acts needs no notice");
    assert_eq!((night.live().state, night.live().resolved_by.as_deref()), (AlertState::Resolved, Some("telegram:7")));
    assert_eq!(night.operate(Operation::Resolve { key: key() }), Err(Refused::NotFiring));
    night.fold(&firing(KIND, "a"));
    assert_eq!(night.told(2), [SEND]);
    assert_eq!(night.live().cause, Cause::Refired);
}

#[test]
fn what_fires_on_is_told_again_unless_somebody_knows() {
    let mut night = Night::new();
    night.fold(&firing(KIND, "a"));
    assert_eq!(night.told(0), [SEND]);
    night.fold(&firing(AlertKind::DeadLetter, "a"));
    assert_eq!(night.told(0), [SEND]);
    assert_eq!(night.told(4 * HOUR - 1), []);
    assert_eq!(night.told(4 * HOUR), [SEND, edit(1)]);
    assert_eq!(night.told(8 * HOUR), [SEND, edit(3)]);
}

#[test]
fn what_comes_and_goes_is_told_in_intervals() {
    let mut night = Night::new();
    night.book.policy.group_interval = Duration::from_secs(15);
    night.fold(&firing(KIND, "a"));
    assert_eq!(night.told(0), [SEND]);
    for second in 1..15 {
        night.second = second;
        let event = if second % 2 == 1 { resolved(KIND, "a") } else { firing(KIND, "a") };
        night.fold(&event);
        let told = night.told(second);
        assert!(!told.contains(&SEND), "{told:?} at {second}");
    }
    night.second = 15;
    night.fold(&AlertEvent { severity: Severity::Critical, ..firing(KIND, "a") });
    assert_eq!(night.told(15), [SEND]);
    night.fold(&firing(KIND, "a"));
    assert_eq!(night.told(29), []);
    assert_eq!(night.told(30), [edit(night.messages)]);
}
