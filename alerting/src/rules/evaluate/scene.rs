//! What every rule looks at, and what rules find. Pure.

use std::collections::BTreeSet;

use runtime::config::AlertsConfig;
use runtime::config::rules::{Rule, Switch, Timing};
use schemas::alert::AlertKind;
use schemas::timestamp::Timestamp;

use crate::rules::cost::Costs;
use crate::rules::facts::Facts;
use crate::rules::reading::{Concern, Reading};
use crate::rules::window::Window;

/// Everything that rules look at.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) window: &'a Window,
    pub(crate) facts: &'a Facts,
    /// What days cost; absent while it could not be read.
    pub(crate) costs: Option<&'a Costs>,
    pub(crate) config: &'a AlertsConfig,
    /// Alerts of rules that fire as far as is known.
    pub(crate) firing: &'a [Concern],
    pub(crate) now: Timestamp,
}

/// What the rules found, and of which kinds they could not tell everything.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) readings: Vec<Reading>,
    pub(super) partial: BTreeSet<AlertKind>,
}

impl Findings {
    pub(super) fn push(&mut self, reading: Reading) {
        self.readings.push(reading);
    }

    pub(super) fn extend(&mut self, readings: impl IntoIterator<Item = Reading>) {
        self.readings.extend(readings);
    }

    /// Not everything of this kind can be told now: what fires and is not spoken of fires on.
    pub(super) fn partial(&mut self, kind: AlertKind) {
        self.partial.insert(kind);
    }
}

impl Scene<'_> {
    /// The rule's times, when it is enabled. Its alerts that still fire then end as any that nobody speaks of.
    pub(super) fn rule<T>(&self, rule: &Rule<T>) -> Option<Timing> {
        rule.enabled.then(|| self.config.timing(rule.hold, rule.keep_firing_for))
    }

    /// As [`Self::rule`], of one without a threshold.
    pub(super) fn switch(&self, switch: &Switch) -> Option<Timing> {
        switch.enabled.then(|| self.config.timing(switch.hold, switch.keep_firing_for))
    }
}

/// Exact up to 2^53, and good enough for people beyond.
#[expect(clippy::cast_precision_loss, reason = "shown to people and compared with limits far below 2^53")]
pub(super) const fn float(count: u64) -> f64 {
    count as f64
}
