//! The rules over time: reports and looks go in, what to tell comes out. Pure, so that recorded statistics can be played
//! again.

use std::sync::Arc;
use std::time::Duration;

use runtime::config::AlertsConfig;
use schemas::alert::AlertState;
use schemas::stats::{ProcessStats, QueueDepth};
use schemas::timestamp::Timestamp;

use super::cost::Costs;
use super::evaluate::{Scene, evaluate};
use super::facts::Facts;
use super::hold::{Holds, Verdict};
use super::reading::{Concern, Reading};
use super::window::Window;

/// Everything that the rules remember.
#[derive(Debug)]
pub(crate) struct Engine {
    config: Arc<AlertsConfig>,
    window: Window,
    costs: Option<Costs>,
    holds: Holds,
}

/// What the rules found in one look.
#[derive(Debug)]
pub(crate) struct Judged {
    /// Everything found.
    pub(crate) readings: Vec<Reading>,
    /// What is to be told: an index into the readings, and what becomes of it.
    pub(crate) news: Vec<(usize, AlertState)>,
}

impl Engine {
    /// Nothing heard yet; listening from `now`.
    pub(crate) fn new(config: Arc<AlertsConfig>, now: Timestamp) -> Self {
        Self { window: Window::new(span(&config), now), config, costs: None, holds: Holds::default() }
    }

    /// The rules in force.
    pub(crate) const fn config(&self) -> &Arc<AlertsConfig> {
        &self.config
    }

    /// Other rules from now on; since when things have been as they are is not forgotten.
    pub(crate) fn configure(&mut self, config: Arc<AlertsConfig>) {
        self.window.stretch(span(&config));
        self.config = config;
    }

    /// What days cost, as it was kept; nothing while that is not known.
    pub(crate) fn set_costs(&mut self, costs: Option<Costs>) {
        self.costs = costs;
    }

    /// What days cost.
    pub(crate) const fn costs(&self) -> Option<&Costs> {
        self.costs.as_ref()
    }

    /// Takes in a report; whether anything was spent.
    pub(crate) fn hear(&mut self, stats: ProcessStats, now: Timestamp) -> bool {
        let spent = self.costs.as_mut().is_some_and(|costs| costs.hear(&stats, now));
        self.window.add(stats, now);
        spent
    }

    /// Evaluates every rule. `firing` are the alerts of rules that fire as far as is known.
    pub(crate) fn judge(&mut self, facts: &Facts, firing: &[Concern], now: Timestamp) -> Judged {
        if let Some(depth) = &facts.depth {
            self.window.waits(QueueDepth::total(depth).pending, now);
        }
        let (window, costs, config) = (&self.window, self.costs.as_ref(), &*self.config);
        let readings = evaluate(Scene { window, facts, costs, config, firing, now });
        let mut news = Vec::new();
        for (index, reading) in readings.iter().enumerate() {
            let fires = firing.iter().any(|(kind, labels)| *kind == reading.kind && *labels == reading.labels);
            if let Verdict::Tell(state) = self.holds.judge(reading, fires, now) {
                news.push((index, state));
            }
        }
        self.holds.forget_unseen();
        Judged { readings, news }
    }

    /// Processes heard lately.
    pub(crate) fn processes(&self, now: Timestamp) -> usize {
        self.window.alive(now).count()
    }

    /// An event was published.
    pub(crate) fn told(&mut self, reading: &Reading, state: AlertState, now: Timestamp) {
        self.holds.told(reading, state, now);
    }
}

/// How far back anything looks.
fn span(config: &AlertsConfig) -> Duration {
    config.window.max(config.rules.queue_stalled.threshold.0)
}
