//! The rules of alerting: `[alerts.rules.<name>]`. Each has its own struct only where it needs more than a threshold.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::AlertsConfig;

/// Every rule, by the word of the alert that it raises.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RulesConfig {
    /// Jobs waiting.
    pub queue_backlog: Rule<u64>,
    /// Age of the oldest waiting job.
    pub queue_age: Rule<Span>,
    /// Jobs wait and none has ended for this long.
    pub queue_stalled: Rule<Span>,
    /// Time that the waiting jobs will take, while more and more wait.
    pub queue_drain: Rule<Span>,
    /// Share of failed jobs, 0 to 1.
    pub error_rate: Rule<f64>,
    /// Median of run times.
    pub latency_p50: Rule<Span>,
    /// 95th percentile of run times.
    pub latency_p95: Rule<Span>,
    /// 99th percentile of run times.
    pub latency_p99: Rule<Span>,
    /// Breakers that are not closed.
    pub breaker_open: Switch,
    /// Calls refused for their credential within the window.
    pub provider_auth: Rule<u64>,
    /// Jobs put into DEAD within the window.
    pub dead_letter_rate: Rule<u64>,
    /// Memory of one process in bytes.
    pub memory: Rule<u64>,
    /// Fewer workers than this.
    pub no_worker: Rule<u64>,
    /// How long a lost process is remembered that nobody replaces.
    pub replica_lost: Rule<Span>,
    /// Servers away or behind, streams without a leader.
    pub cluster_degraded: Switch,
    /// Components that a process reports as down.
    pub component_down: Switch,
    /// How long the oldest news has been waiting to be told.
    pub outbox_stuck: Rule<Span>,
    /// Today's cost as a multiple of the mean of the seven days before.
    pub cost_anomaly: Rule<f64>,
    /// Share of the day's budget that is spent.
    pub budget: BudgetRule,
    /// Time until a certificate or credential ends.
    pub certificate_expiry: Rule<Span>,
    /// A changed configuration file that cannot be used.
    pub config_invalid: Switch,
}

/// A rule with a threshold.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule<T> {
    /// Whether it is looked at.
    pub enabled: bool,
    /// The limit.
    pub threshold: T,
    /// How long it must be crossed before that is told; absent takes `alerts.hold`.
    #[serde(rename = "for", with = "or_empty")]
    pub hold: Option<Duration>,
    /// How long it must be kept again before that is told; absent takes `alerts.hold`.
    #[serde(with = "or_empty")]
    pub keep_firing_for: Option<Duration>,
}

/// A rule that has nothing to be compared with.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// Whether it is looked at.
    pub enabled: bool,
    /// How long it must be so before it is told; absent takes `alerts.hold`.
    #[serde(rename = "for", with = "or_empty")]
    pub hold: Option<Duration>,
    /// How long it must be over before that is told; absent takes `alerts.hold`.
    #[serde(with = "or_empty")]
    pub keep_firing_for: Option<Duration>,
}

/// The rule of the day's budget.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetRule {
    /// Whether it is looked at.
    pub enabled: bool,
    /// What a day (UTC) may cost in US dollars; 0 for no budget.
    pub daily_dollars: f64,
    /// Share of it, 0 to 1.
    pub threshold: f64,
    /// How long it must be crossed before that is told; absent takes `alerts.hold`.
    #[serde(rename = "for", with = "or_empty")]
    pub hold: Option<Duration>,
    /// How long it must be kept again before that is told; absent takes `alerts.hold`.
    #[serde(with = "or_empty")]
    pub keep_firing_for: Option<Duration>,
}

/// A duration with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Span(#[serde(with = "humantime_serde")] pub Duration);

/// How long a rule waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Before it says that something is so.
    pub hold: Duration,
    /// Before it says that it is over.
    pub keep_firing_for: Duration,
    /// Before it says again that something is so; zero for never.
    pub refresh: Duration,
}

impl AlertsConfig {
    /// The times of a rule, where it has none of its own those of all.
    #[must_use]
    pub fn timing(&self, hold: Option<Duration>, keep_firing_for: Option<Duration>) -> Timing {
        let (hold, keep_firing_for) = (hold.unwrap_or(self.hold), keep_firing_for.unwrap_or(self.hold));
        Timing { hold, keep_firing_for, refresh: self.refresh }
    }
}

/// A duration with its unit, or `""` for none.
mod or_empty {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => humantime_serde::serialize(value, serializer),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        let parsed = humantime_serde::deserialize(serde::de::value::StrDeserializer::<D::Error>::new(&text));
        parsed.map(Some).map_err(|_| D::Error::invalid_value(serde::de::Unexpected::Str(&text), &"a duration"))
    }
}
