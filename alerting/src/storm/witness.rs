//! Who keeps an eye on what rings: no message without its cause, none within a silence or under an inhibition, none late.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemas::alert::{AlertKind, AlertState, Severity};
use schemas::timestamp::Timestamp;

use crate::incidents::{Book, Cause, Incident, Operation};
use crate::task::{Action, Task};

/// The longest that something may wait for its message while nothing throttles: what is gathered, an interval, and the
/// pace of a few messages.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is remembered of each alert since its last message, by the witness's own notes.
#[derive(Debug, Clone, Copy)]
struct Rung {
    at: Timestamp,
    severity: Severity,
    ended: bool,
}

#[derive(Default)]
pub(super) struct Witness {
    rung: BTreeMap<String, Rung>,
    /// Each episode has one message.
    episodes: BTreeSet<(String, u32)>,
    /// When each was last acknowledged.
    acknowledged: BTreeMap<String, Timestamp>,
    /// Until when a provider is silenced.
    silences: BTreeMap<String, Timestamp>,
    /// When each was last seen muted.
    muted: BTreeMap<String, Timestamp>,
    throttled_until: Timestamp,
}

impl Witness {
    pub(super) fn ended(&mut self, key: &str) {
        if let Some(rung) = self.rung.get_mut(key) {
            rung.ended = true;
        }
    }

    pub(super) fn operated(&mut self, operation: &Operation, now: Timestamp) {
        match operation {
            Operation::Acknowledge { key } => {
                self.acknowledged.insert(key.clone(), now);
            }
            Operation::Resolve { key } => self.ended(key),
            Operation::Silence(silence) => {
                self.silences.insert(silence.id.clone(), silence.until);
            }
            Operation::Unsilence { id } => {
                self.silences.insert(id.clone(), now);
            }
            Operation::Unacknowledge { .. } => {}
        }
    }

    pub(super) fn throttled(&mut self, until: Timestamp) {
        self.throttled_until = self.throttled_until.max(until);
    }

    /// A call is about to be made.
    pub(super) fn sees(&mut self, task: &Task, book: &Book, now: Timestamp) {
        if matches!(task.action, Action::Edit { .. }) {
            return;
        }
        for member in &task.members {
            let incident = &book.incidents[&member.key];
            let provider = &incident.labels["provider"];
            let silenced = self.silences.get(provider);
            assert!(silenced.is_none_or(|until| *until <= now), "{:?} within a silence", task.action);
            let symptom = incident.kind == AlertKind::BreakerOpen;
            assert!(!symptom || !has_cause(book, provider), "{:?} while its cause fires", task.action);
            if task.action == Action::Send {
                self.rings(&member.key, member.number, member.severity, incident, book, now);
            }
        }
    }

    fn rings(&mut self, key: &str, number: u32, severity: Severity, incident: &Incident, book: &Book, now: Timestamp) {
        assert!(self.episodes.insert((key.to_owned(), number)), "episode {number} of {incident:?} told twice");
        let episode = incident.episodes.iter().find(|episode| episode.number == number).unwrap();
        let provider = &incident.labels["provider"];
        if let Some(last) = self.rung.get(key) {
            let passed = now.since(last.at);
            let silenced = self.silences.get(provider).is_some_and(|until| *until > last.at);
            let acknowledged = self.acknowledged.get(key);
            // Acknowledged again while it waited to be told, it is told all the same.
            let acknowledged = acknowledged.is_some_and(|at| {
                now.since(*at) >= book.policy.acknowledge_timeout
                    || episode.untold_since.is_some_and(|since| since <= *at)
            });
            let justified = match episode.cause {
                Cause::First => passed > book.policy.cooldown,
                Cause::Refired => last.ended,
                Cause::Again => passed >= book.policy.cooldown,
                Cause::Escalated => severity > last.severity,
                Cause::Repeated => passed >= book.policy.repeat_interval,
                Cause::AcknowledgeTimeout => acknowledged,
                Cause::SilenceEnded => silenced,
            };
            assert!(justified, "{:?} of {last:?} at {now}: {incident:?}", episode.cause);
        }
        let ended = episode.state == AlertState::Resolved;
        self.rung.insert(key.to_owned(), Rung { at: now, severity, ended });
    }

    /// What the book has forgotten begins anew.
    pub(super) fn forgets(&mut self, book: &Book) {
        self.rung.retain(|key, _| book.incidents.contains_key(key));
        self.episodes.retain(|(key, _)| book.incidents.contains_key(key));
    }

    pub(super) fn nobody_waits_too_long(&mut self, book: &Book, now: Timestamp) {
        for (key, incident) in &book.incidents {
            if book.is_muted(key) {
                self.muted.insert(key.clone(), now);
            }
            let Some(episode) = incident.live().filter(|episode| episode.posted.is_none()) else { continue };
            let Some(since) = episode.untold_since else { continue };
            let muted = self.muted.get(key).copied().unwrap_or_default();
            let waited = now.since(since.max(episode.not_before).max(self.throttled_until).max(muted));
            assert!(waited <= PATIENCE, "{incident:?} waits since {since}, it is {now}");
        }
    }

    /// Whatever fires and may be told of was told at its severity.
    pub(super) fn everything_is_told(&self, book: &Book) {
        for (key, incident) in &book.incidents {
            if incident.is_firing() && !book.is_muted(key) {
                let live = incident.live().unwrap();
                assert!(self.episodes.contains(&(key.clone(), live.number)), "{incident:?} was never told");
                assert_eq!(self.rung[key].severity, live.severity, "{incident:?} was told as something less");
            }
        }
    }
}

fn has_cause(book: &Book, provider: &str) -> bool {
    let causes = book.incidents.values().filter(|incident| incident.kind == AlertKind::ProviderAuth);
    causes.filter(|incident| incident.labels["provider"] == provider).any(Incident::is_firing)
}
