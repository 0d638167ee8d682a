//! Folds events into incidents: repeats are counted into the message that tells the alert; a re-fire after its end or
//! after some quiet, or higher severity, begins a new one. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::alert::{AlertEvent, AlertState, Severity};
use schemas::timestamp::Timestamp;

use crate::incident::{Cause, Episode, Incident, MAX_EPISODES, MAX_FOLDED, MAX_VALUES, MORE};
use crate::inhibit::Inhibition;
use crate::silence::Silence;

/// Most alerts kept at once. Further ones are folded into one of their kind, labelled [`MORE`].
pub(crate) const MAX_INCIDENTS: usize = 10_000;

/// How events are folded, and when what came of them is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// An alert heard of again after this much quiet is told anew.
    pub(crate) cooldown: Duration,
    /// Changes are gathered for this long before they are told.
    pub(crate) group_wait: Duration,
    /// Least time between two changes of a message, and between two messages about one alert.
    pub(crate) group_interval: Duration,
    /// A firing alert is told again after this time.
    pub(crate) repeat_interval: Duration,
    /// So is one that somebody acknowledged, after this time.
    pub(crate) acknowledge_timeout: Duration,
    /// A firing alert of which nothing was heard for this long is forgotten.
    pub(crate) max_age: Duration,
    /// Most silences at once.
    pub(crate) max_silences: usize,
    /// How long a silence may last.
    pub(crate) longest_silence: Duration,
}

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

/// All incidents by fingerprint, and what keeps some of them quiet.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    pub(crate) policy: Policy,
    pub(crate) incidents: BTreeMap<String, Incident>,
    /// By id.
    pub(crate) silences: BTreeMap<String, Silence>,
    /// When the next of them begins or ends.
    pub(crate) silences_due: Timestamp,
    pub(crate) inhibitions: Vec<Inhibition>,
    /// What is kept quiet by a cause that fires, and that cause; as of the last review.
    pub(crate) inhibited: BTreeMap<String, String>,
}

impl Book {
    /// The incidents as they were kept.
    pub(crate) fn new(policy: Policy, incidents: BTreeMap<String, Incident>) -> Self {
        Self {
            policy,
            incidents,
            silences: BTreeMap::new(),
            silences_due: Timestamp::default(),
            inhibitions: Vec::new(),
            inhibited: BTreeMap::new(),
        }
    }

    /// Folds in the event that ALERTS holds at `sequence`, and names the incident it went to.
    pub(crate) fn fold(&mut self, sequence: u64, event: &AlertEvent, now: Timestamp) -> (String, Folded) {
        let (key, event) = self.place(event);
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
        (key, folded)
    }

    /// Whether no new message may tell of it now.
    pub(crate) fn is_muted(&self, key: &str) -> bool {
        self.inhibited.contains_key(key) || self.incidents.get(key).is_some_and(|incident| incident.silenced.is_some())
    }

    /// Firing alerts of one severity.
    pub(crate) fn firing(&self, severity: Severity) -> usize {
        let live = self.incidents.values().filter(|incident| incident.is_firing());
        live.filter(|incident| incident.live().is_some_and(|episode| episode.severity == severity)).count()
    }

    /// Since when something has been waiting that may be told, or shown by an edit.
    pub(crate) fn untold_since(&self) -> Option<Timestamp> {
        let untold = |(key, incident): (&String, &Incident)| incident.untold_since(self.is_muted(key));
        self.incidents.iter().filter_map(untold).min()
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
            let folded = self.repeat(event, now);
            if let Some(episode) = self.episodes.last_mut().filter(|_| cause == Cause::Escalated) {
                episode.tell_again(cause, now);
            }
            return folded;
        }
        let mut next = Episode { cause, ..Episode::new(self.number(), event, now) };
        if let Some(last) = self.episodes.last_mut() {
            next.follow(last, policy.group_interval);
            last.supersede(now);
        }
        self.episodes.push(next);
        Folded::Opened
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

    fn untold_since(&self, muted: bool) -> Option<Timestamp> {
        let open = self.episodes.iter().filter(|episode| !muted || episode.posted.is_some());
        open.filter_map(|episode| episode.untold_since).min()
    }

    /// The number of its next episode.
    pub(crate) fn number(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        number
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

    /// It is over.
    pub(crate) fn end(&mut self, at: Timestamp, now: Timestamp) {
        self.state = AlertState::Resolved;
        self.resolved_at = Some(at);
        self.changed(now);
        self.forget_if_unseen();
    }

    /// What was kept quiet from before it was told until its end needs not be told.
    fn forget_if_unseen(&mut self) {
        if self.hushed && self.posted.is_none() && self.state == AlertState::Resolved {
            self.untold_since = None;
        }
    }

    /// The same episode, in a new message.
    pub(crate) fn tell_again(&mut self, cause: Cause, now: Timestamp) {
        self.posted = None;
        self.cause = cause;
        self.not_before = Timestamp::default();
        self.changed(now);
    }

    /// Its message says that another goes on, unless it already says that the alert ended.
    pub(crate) fn supersede(&mut self, now: Timestamp) {
        if self.state == AlertState::Firing {
            self.superseded = true;
            self.changed(now);
        }
    }
}

#[cfg(test)]
mod tests;
