//! What a rule finds about one thing. Pure.

use std::collections::BTreeMap;

use runtime::config::rules::Timing;
use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use schemas::timestamp::Timestamp;

/// What an alert of a rule is about.
pub(crate) type Concern = (AlertKind, BTreeMap<String, String>);

/// What a rule found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Found {
    /// The limit is crossed.
    Breached,
    /// All is well, or there is too little to tell from.
    Clear,
    /// It cannot be told: whatever was so stays so.
    Unknown,
}

/// One rule's finding about one thing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    pub(crate) kind: AlertKind,
    pub(crate) severity: Severity,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) result: Found,
    pub(crate) value: Option<f64>,
    pub(crate) threshold: Option<f64>,
    pub(crate) summary: String,
    pub(crate) timing: Timing,
}

impl Reading {
    /// All is well, as far as nothing else is said.
    pub(super) const fn new(kind: AlertKind, severity: Severity, timing: Timing) -> Self {
        Self {
            kind,
            severity,
            labels: BTreeMap::new(),
            result: Found::Clear,
            value: None,
            threshold: None,
            summary: String::new(),
            timing,
        }
    }

    pub(super) fn label(mut self, name: &str, value: impl Into<String>) -> Self {
        self.labels.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn found(mut self, breached: bool, bad: impl Into<String>, good: impl Into<String>) -> Self {
        self.result = if breached { Found::Breached } else { Found::Clear };
        self.summary = if breached { bad.into() } else { good.into() };
        self
    }

    pub(super) fn unknown(mut self) -> Self {
        self.result = Found::Unknown;
        self
    }

    pub(super) const fn limit(mut self, threshold: f64) -> Self {
        self.threshold = Some(threshold);
        self
    }

    pub(super) const fn value(mut self, value: f64) -> Self {
        self.value = Some(value);
        self
    }

    /// The event that tells it.
    pub(crate) fn event(&self, state: AlertState, source: &str, at: Timestamp) -> AlertEvent {
        AlertEvent {
            kind: self.kind,
            severity: self.severity,
            state,
            labels: self.labels.clone(),
            summary: self.summary.clone(),
            value: self.value,
            threshold: self.threshold,
            at,
            source: source.to_owned(),
        }
    }
}
