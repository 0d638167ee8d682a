//! Folds events into incidents: repeats are counted into the message that tells the alert; a re-fire after its end or
//! after some quiet, or higher severity, begins a new one. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::alert::{AlertEvent, AlertState};
use schemas::timestamp::Timestamp;

use super::book::{Book, Policy};
use super::episode::{Cause, Episode};
use super::incident::{Incident, MAX_EPISODES, MAX_FOLDED, MAX_VALUES, MORE};

/// Most alerts kept at once. Further ones are folded into one of their kind, labelled [`MORE`].
pub(crate) const MAX_INCIDENTS: usize = 10_000;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Folded {
    /// It begins an alert, or tells it anew.
    Opened,
    /// It is counted into the alert's episode.
    Repeated,
    /// It ends the alert.
    Resolved,
    /// It ends what was not so; nobody is told.
    Idle,
    /// It had been folded in before.
    Duplicate,
}

/// Where an event went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The incident.
    pub(crate) key: String,
    /// What became of the event.
    pub(crate) folded: Folded,
    /// Whether that incident was firing before.
    pub(crate) fired: bool,
}

impl Book {
    /// Folds in the event that ALERTS holds at `sequence`.
    pub(crate) fn fold(&mut self, sequence: u64, event: &AlertEvent, now: Timestamp) -> Placed {
        let (key, event) = self.place(event);
        let fired = self.is_firing(&key);
        let inhibited = self.inhibited.contains_key(&key);
        let incident = self.incidents.entry(key.clone()).or_insert_with(|| Incident::new(&event));
        let severity = incident.live().map(|episode| episode.severity);
        let folded = incident.fold(sequence, &event, &self.policy, now);
        if incident.live().map(|episode| episode.severity) != severity {
            incident.match_silences(&key, &self.silences, now);
        }
        if incident.silenced.is_some() || inhibited {
            incident.keep_quiet();
        }
        Placed { key, folded, fired }
    }

    fn place(&self, event: &AlertEvent) -> (String, AlertEvent) {
        let key = event.fingerprint();
        if self.incidents.contains_key(&key) || self.incidents.len() < MAX_INCIDENTS {
            return (key, event.clone());
        }
        let labels = BTreeMap::from([(MORE.to_owned(), "true".to_owned())]);
        let overflow = AlertEvent { labels, ..event.clone() };
        (overflow.fingerprint(), overflow)
    }
}

impl Incident {
    fn fold(&mut self, sequence: u64, event: &AlertEvent, policy: &Policy, now: Timestamp) -> Folded {
        if !self.folded.insert(sequence) {
            return Folded::Duplicate;
        }
        while self.folded.len() > MAX_FOLDED {
            self.folded.pop_first();
        }
        let late = sequence < self.last_sequence;
        self.last_sequence = self.last_sequence.max(sequence);
        let quiet = now.since(self.touched);
        self.touched = now;
        match event.state {
            AlertState::Firing if late => self.fire_late(event, now),
            AlertState::Firing => self.fire(event, quiet, policy, now),
            AlertState::Resolved if late => Folded::Idle,
            AlertState::Resolved => self.resolve(event, now),
        }
    }

    fn fire(&mut self, event: &AlertEvent, quiet: Duration, policy: &Policy, now: Timestamp) -> Folded {
        self.measure(event);
        let told_at = self.live().map_or(Timestamp::default(), Episode::told_at);
        let quiet = quiet.min(now.since(told_at)) >= policy.cooldown && self.acknowledged.is_none();
        let cause = self.live().map_or(Some(Cause::First), |episode| episode.outgrown_by(event, quiet));
        let Some(cause) = cause else { return self.repeat(event, now) };
        if cause == Cause::Escalated {
            // Whoever saw to it saw to something less severe.
            self.acknowledged = None;
        }
        if self.episodes.len() >= MAX_EPISODES {
            return self.fire_again(event, cause, policy, now);
        }
        let mut next = Episode { cause, ..Episode::new(self.number(), event, now) };
        if let Some(last) = self.episodes.last_mut() {
            next.follow(last, policy.group_interval);
            last.supersede(now);
        }
        self.episodes.push(next);
        Folded::Opened
    }

    /// There is no room for another episode: the live one goes on in a new message.
    fn fire_again(&mut self, event: &AlertEvent, cause: Cause, policy: &Policy, now: Timestamp) -> Folded {
        let posted_at = self.live().and_then(|episode| episode.posted.as_ref()).map(|posted| posted.at);
        let folded = self.repeat(event, now);
        if let Some(episode) = self.episodes.last_mut() {
            episode.tell_again(cause, now);
            if let Some(at) = posted_at.filter(|_| cause != Cause::Escalated) {
                episode.not_before = at.after(policy.group_interval);
            }
        }
        folded
    }

    fn repeat(&mut self, event: &AlertEvent, now: Timestamp) -> Folded {
        if let Some(episode) = self.episodes.last_mut() {
            episode.repeat(event, now);
        }
        Folded::Repeated
    }

    /// An event that a newer one overtook, as after a crash: it counts, and the newer one says how things are.
    fn fire_late(&mut self, event: &AlertEvent, now: Timestamp) -> Folded {
        if let Some(episode) = self.episodes.last_mut() {
            episode.count_in(event);
            episode.changed(now);
            return Folded::Repeated;
        }
        let episode = Episode::new(self.number(), event, now);
        self.episodes.push(Episode { state: AlertState::Resolved, resolved_at: Some(event.at), ..episode });
        Folded::Opened
    }

    fn resolve(&mut self, event: &AlertEvent, now: Timestamp) -> Folded {
        let overflow = self.labels.contains_key(MORE);
        let Some(episode) = self.episodes.last_mut().filter(|episode| episode.state == AlertState::Firing && !overflow)
        else {
            return Folded::Idle;
        };
        episode.end(event.at, now);
        if !event.summary.is_empty() {
            episode.summary.clone_from(&event.summary);
        }
        episode.notice = episode.posted.is_some();
        self.acknowledged = None;
        Folded::Resolved
    }

    /// What ends or ended unseen is not told any more, and no end is noticed.
    fn keep_quiet(&mut self) {
        let Some(episode) = self.episodes.last_mut() else { return };
        episode.notice = false;
        if episode.posted.is_none() {
            episode.hushed = true;
            episode.forget_if_unseen();
        }
    }

    fn measure(&mut self, event: &AlertEvent) {
        self.values.extend(event.value);
        while self.values.len() > MAX_VALUES {
            self.values.pop_front();
        }
    }
}

impl Episode {
    /// Why `event` is worth a message of its own, if it is. What nobody has been told yet is never outgrown.
    fn outgrown_by(&self, event: &AlertEvent, quiet: bool) -> Option<Cause> {
        self.posted.as_ref()?;
        let ended = self.state == AlertState::Resolved;
        let escalated = event.severity > self.severity;
        let causes = [(ended, Cause::Refired), (escalated, Cause::Escalated), (quiet, Cause::Again)];
        causes.into_iter().find_map(|(applies, cause)| applies.then_some(cause))
    }

    /// Takes over from `last`: not too soon after it, unless things got worse.
    fn follow(&mut self, last: &Self, interval: Duration) {
        if last.state == AlertState::Firing {
            self.earlier = last.earlier + last.count;
        }
        if let Some(posted) = last.posted.as_ref().filter(|_| self.severity <= last.severity) {
            self.not_before = posted.at.after(interval);
        }
    }

    fn repeat(&mut self, event: &AlertEvent, now: Timestamp) {
        self.count_in(event);
        // Whether this stretch is seen is yet to be known.
        self.hushed &= self.state == AlertState::Firing;
        self.state = AlertState::Firing;
        self.resolved_at = None;
        self.resolved_by = None;
        self.notice = false;
        if event.severity > self.severity {
            self.severity = event.severity;
            self.not_before = Timestamp::default();
        }
        self.summary.clone_from(&event.summary);
        self.value = event.value;
        self.threshold = event.threshold;
        self.changed(now);
    }

    fn count_in(&mut self, event: &AlertEvent) {
        self.count += 1;
        self.first_seen = self.first_seen.min(event.at);
        self.last_seen = self.last_seen.max(event.at);
    }
}

#[cfg(test)]
mod tests;
