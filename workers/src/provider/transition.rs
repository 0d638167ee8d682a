//! A breaker's change as operators hear of it.

use std::collections::BTreeMap;

use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use schemas::breaker::BreakerPhase;
use schemas::timestamp::Timestamp;

/// A change that this process made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The provider's configured name.
    pub provider: String,
    /// The model's name at that provider.
    pub model: String,
    /// What it became.
    pub phase: BreakerPhase,
    /// The whole fleet changed, by our hand. False when the broker was away and this process changed alone.
    pub shared: bool,
}

impl Transition {
    /// The alert that it is worth. Only who changed the fleet raises one, and a probe on its way is none.
    #[must_use]
    pub fn alert(&self, at: Timestamp, source: &str) -> Option<AlertEvent> {
        let (provider, model) = (&self.provider, &self.model);
        let (state, severity, summary) = match self.phase {
            _ if !self.shared => return None,
            BreakerPhase::HalfOpen { .. } => return None,
            BreakerPhase::Open { until } => (
                AlertState::Firing,
                Severity::Warning,
                format!("{provider} fails repeatedly for {model}: no calls before {until}"),
            ),
            BreakerPhase::Closed => {
                (AlertState::Resolved, Severity::Info, format!("{provider} answers again for {model}"))
            }
        };
        let labels = [("provider", provider), ("model", model)];
        Some(AlertEvent {
            kind: AlertKind::BreakerOpen,
            severity,
            state,
            labels: BTreeMap::from(labels.map(|(name, value)| (name.to_owned(), value.clone()))),
            summary,
            value: None,
            threshold: None,
            at,
            source: source.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transition(phase: BreakerPhase, shared: bool) -> Transition {
        Transition { provider: "openai".to_owned(), model: "gpt".to_owned(), phase, shared }
    }

    #[test]
    fn opening_fires_and_closing_resolves_the_same_alert() {
        let now = Timestamp::from_millis(0);
        let opened = transition(BreakerPhase::Open { until: now }, true).alert(now, "w").unwrap();
        let closed = transition(BreakerPhase::Closed, true).alert(now, "w").unwrap();
        assert_eq!((opened.state, closed.state), (AlertState::Firing, AlertState::Resolved));
        assert_eq!(opened.fingerprint(), closed.fingerprint());
    }

    #[test]
    fn a_probe_and_a_lone_change_are_no_alerts() {
        let now = Timestamp::from_millis(0);
        assert_eq!(transition(BreakerPhase::HalfOpen { probe: 1, until: now }, true).alert(now, "w"), None);
        assert_eq!(transition(BreakerPhase::Closed, false).alert(now, "w"), None);
    }
}
