//! What operators are told: one event of one kind, and the fingerprint by which repeats are folded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

use crate::timestamp::Timestamp;

/// How bad it is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Severity {
    /// Good to know; recoveries are told so.
    Info,
    /// Look at it today.
    Warning,
    /// Get up.
    Critical,
}

/// What happened.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AlertKind {
    /// More jobs wait than configured.
    QueueBacklog,
    /// Jobs wait and nothing completes.
    QueueStalled,
    /// No worker is alive.
    NoWorker,
    /// Too many jobs fail.
    ErrorRate,
    /// Jobs take too long.
    Latency,
    /// A process uses too much memory.
    Memory,
    /// The disk is nearly full: submits are refused.
    Disk,
    /// A provider's breaker opened or closed.
    BreakerOpen,
    /// A provider refuses our credential.
    ProviderAuth,
    /// A job failed for good.
    DeadLetter,
    /// NATS, SQL, Redis or Telegram is down or back.
    ComponentDown,
    /// The oldest waiting job has waited for too long.
    QueueAge,
    /// Doing what waits takes too long, and more waits all the time.
    QueueDrain,
    /// Many jobs failed for good within a short time.
    DeadLetterRate,
    /// A process was there and is gone without saying goodbye.
    ReplicaLost,
    /// A server of the NATS cluster is away or behind, or a stream has no leader.
    ClusterDegraded,
    /// What is to be told has been waiting for too long.
    OutboxStuck,
    /// Today costs far more than the days before.
    CostAnomaly,
    /// The day's budget is nearly spent, or is.
    Budget,
    /// A certificate or credential ends soon, or has.
    CertificateExpiry,
    /// The configuration file cannot be used: the rules before it stay.
    ConfigInvalid,
    /// Somebody else's alert, as Alertmanager's: its labels tell which.
    External,
    /// An operator tries the path.
    Test,
}

/// Whether it begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AlertState {
    /// It is so.
    #[default]
    Firing,
    /// It is over.
    Resolved,
}

/// One event on ALERTS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// What happened.
    pub kind: AlertKind,
    /// How bad it is.
    pub severity: Severity,
    /// Whether it begins or ends.
    #[serde(default)]
    pub state: AlertState,
    /// What it concerns: `provider`, `model`, `component`, ... These and the kind identify the alert.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// One sentence for a person woken at night. No secret, no prompt.
    pub summary: String,
    /// The measured value, where there is one.
    #[serde(default)]
    pub value: Option<f64>,
    /// The configured limit that it crossed.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// When it was seen.
    pub at: Timestamp,
    /// The process that saw it.
    #[serde(default)]
    pub source: String,
}

impl AlertEvent {
    /// Equal for repeats of one alert, begun or ended: 16 hexadecimal digits of a SHA-256 over kind and labels.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new().chain_update(<&str>::from(self.kind));
        for part in self.labels.iter().flat_map(|(name, value)| [name, value]) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(labels: &[(&str, &str)]) -> AlertEvent {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        AlertEvent {
            kind: AlertKind::BreakerOpen,
            severity: Severity::Critical,
            state: AlertState::Firing,
            labels: labels.iter().map(own).collect(),
            summary: "open".to_owned(),
            value: None,
            threshold: None,
            at: Timestamp::from_millis(1),
            source: "w1".to_owned(),
        }
    }

    #[test]
    fn repeats_and_recoveries_have_one_fingerprint() {
        let first = event(&[("provider", "p"), ("model", "m")]);
        let (state, at) = (AlertState::Resolved, Timestamp::from_millis(2));
        let later = AlertEvent { state, at, severity: Severity::Info, summary: "closed".to_owned(), ..first.clone() };
        assert_eq!(first.fingerprint(), later.fingerprint());
        // Stored with open incidents: it may never change.
        assert_eq!(first.fingerprint(), "fa05e21e3c099a66");
    }

    #[test]
    fn what_differs_has_another_fingerprint() {
        let prints = [
            event(&[]).fingerprint(),
            event(&[("a", "bc")]).fingerprint(),
            event(&[("ab", "c")]).fingerprint(),
            event(&[("a", "b"), ("c", "")]).fingerprint(),
            AlertEvent { kind: AlertKind::Latency, ..event(&[]) }.fingerprint(),
        ];
        let distinct: std::collections::BTreeSet<_> = prints.iter().collect();
        assert_eq!(distinct.len(), prints.len());
    }

    #[test]
    fn severities_rank() {
        assert!(Severity::Critical > Severity::Warning && Severity::Warning > Severity::Info);
    }
}
