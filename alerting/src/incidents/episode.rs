//! A stretch of events told in one message: what it says, and what is still to be said of it. Pure: time is an argument.

use schemas::alert::{AlertEvent, AlertState, Severity};
use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

use crate::task::Task;

/// Why an episode has a message of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Cause {
    /// It is the first of its alert.
    #[default]
    First,
    /// It fires again after it was over.
    Refired,
    /// It was heard of again after some quiet.
    Again,
    /// It became more severe.
    Escalated,
    /// It fires on.
    Repeated,
    /// It fires on although somebody acknowledged it.
    AcknowledgeTimeout,
    /// It fires still after its silence.
    SilenceEnded,
}

/// What one message tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    /// Which episode of its incident.
    pub(crate) number: u32,
    /// The highest severity seen in it.
    pub(crate) severity: Severity,
    /// Whether it is still so.
    #[serde(default)]
    pub(crate) state: AlertState,
    /// The last event's sentence.
    #[serde(default)]
    pub(crate) summary: String,
    /// The last measured value.
    #[serde(default)]
    pub(crate) value: Option<f64>,
    /// The limit it crossed.
    #[serde(default)]
    pub(crate) threshold: Option<f64>,
    /// Firing events in it.
    #[serde(default)]
    pub(crate) count: u64,
    /// The earliest of them, by its sender's clock.
    #[serde(default)]
    pub(crate) first_seen: Timestamp,
    /// The latest of them.
    #[serde(default)]
    pub(crate) last_seen: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub(crate) resolved_at: Option<Timestamp>,
    /// The message that tells it.
    #[serde(default)]
    pub(crate) posted: Option<Posted>,
    /// Counts changes, so that a call knows whether it told the newest state.
    #[serde(default)]
    pub(crate) version: u64,
    /// Since when there has been something to tell.
    #[serde(default)]
    pub(crate) untold_since: Option<Timestamp>,
    /// It ended after it was told, and the short notice of that is still to be sent.
    #[serde(default)]
    pub(crate) notice: bool,
    /// A newer episode of the same alert goes on in a message of its own.
    #[serde(default)]
    pub(crate) superseded: bool,
    /// Telegram refused its HTML: it goes out as plain text.
    #[serde(default)]
    pub(crate) plain: bool,
    /// Why it has a message of its own.
    #[serde(default)]
    pub(crate) cause: Cause,
    /// Firing events of the same stretch that earlier messages tell.
    #[serde(default)]
    pub(crate) earlier: u64,
    /// It is not sent earlier, since another message about the same alert went out lately or its cause was just over.
    #[serde(default)]
    pub(crate) not_before: Timestamp,
    /// When its message was last brought up to date.
    #[serde(default)]
    pub(crate) edited_at: Timestamp,
    /// An operator acted on it: its message is brought up to date at once.
    #[serde(default)]
    pub(crate) restated: bool,
    /// It was to be kept quiet before it was ever told: when it ends like that nobody needs to hear of it.
    #[serde(default)]
    pub(crate) hushed: bool,
    /// Who declared it over, if it was an operator.
    #[serde(default)]
    pub(crate) resolved_by: Option<String>,
}

/// A message in a chat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Posted {
    /// The chat, as configured or as it moved.
    pub(crate) chat: String,
    /// The message's number in it.
    pub(crate) message: i32,
    /// The topic it is in, in a chat that has topics.
    #[serde(default)]
    pub(crate) topic: Option<i32>,
    /// When it was sent, by our clock.
    #[serde(default)]
    pub(crate) at: Timestamp,
}

impl Posted {
    /// What `task` sent, as this message.
    pub(crate) fn new(task: &Task, message: i32, at: Timestamp) -> Self {
        Self { chat: task.chat.clone(), message, topic: task.topic, at }
    }
}

impl Episode {
    /// Begins with `event`.
    pub(crate) fn new(number: u32, event: &AlertEvent, now: Timestamp) -> Self {
        Self {
            number,
            severity: event.severity,
            state: AlertState::Firing,
            summary: event.summary.clone(),
            value: event.value,
            threshold: event.threshold,
            count: 1,
            first_seen: event.at,
            last_seen: event.at,
            resolved_at: None,
            posted: None,
            version: 1,
            untold_since: Some(now),
            notice: false,
            superseded: false,
            plain: false,
            cause: Cause::First,
            earlier: 0,
            not_before: Timestamp::default(),
            edited_at: Timestamp::default(),
            restated: false,
            hushed: false,
            resolved_by: None,
        }
    }

    /// Goes on in another message, with no event yet.
    pub(crate) fn next(&self, number: u32, cause: Cause, now: Timestamp) -> Self {
        Self {
            number,
            cause,
            earlier: self.earlier + self.count,
            count: 0,
            posted: None,
            version: 1,
            untold_since: Some(now),
            notice: false,
            superseded: false,
            not_before: Timestamp::default(),
            edited_at: Timestamp::default(),
            restated: false,
            hushed: false,
            ..self.clone()
        }
    }

    /// Marks that there is something to tell.
    pub(crate) fn changed(&mut self, now: Timestamp) {
        self.version += 1;
        self.untold_since.get_or_insert(now);
    }

    /// Marks that an operator changed it.
    pub(crate) fn restate(&mut self, now: Timestamp) {
        self.restated = true;
        self.changed(now);
    }

    /// When it was last seen to in its chat.
    pub(crate) fn told_at(&self) -> Timestamp {
        self.edited_at.max(self.posted.as_ref().map_or(Timestamp::default(), |posted| posted.at))
    }

    /// Whether everything about it has been said.
    pub(crate) const fn is_told(&self) -> bool {
        self.untold_since.is_none() && !self.notice
    }

    /// It is over.
    pub(crate) fn end(&mut self, at: Timestamp, now: Timestamp) {
        self.state = AlertState::Resolved;
        self.resolved_at = Some(at);
        self.changed(now);
        self.forget_if_unseen();
    }

    /// What was kept quiet from before it was told until its end needs not be told.
    pub(super) fn forget_if_unseen(&mut self) {
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
