//! What the fleet shares of a circuit breaker: its phase, as one value of the KV bucket BREAKERS.

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// Whether calls may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerPhase {
    /// They may.
    #[default]
    Closed,
    /// They may not, before `until`.
    Open {
        /// When a probe may be sent.
        until: Timestamp,
    },
    /// One probe is on its way; nothing else may pass.
    HalfOpen {
        /// Random, names the probe: only its own outcome counts.
        probe: u64,
        /// When the probe counts as lost and another may be sent.
        until: Timestamp,
    },
}

impl BreakerPhase {
    /// As the metric `chat_orchestrator_circuit_breaker` shows it: 0 closed, 1 open, 2 half-open.
    #[must_use]
    pub const fn gauge(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::Open { .. } => 1,
            Self::HalfOpen { .. } => 2,
        }
    }

    /// Its name in labels and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }
}

/// The value under [`key`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerRecord {
    /// The provider's configured name.
    pub provider: String,
    /// The model's name at that provider.
    pub model: String,
    /// Whether calls may pass.
    #[serde(default)]
    pub state: BreakerPhase,
}

/// Where the breaker of `model` at `provider` lies in BREAKERS. A KV key allows fewer characters than a subject token:
/// what may not stand in one becomes `=` and two hexadecimal digits.
#[must_use]
pub fn key(provider: &str, model: &str) -> String {
    format!("{}.{}", escape(provider), escape(model))
}

fn escape(name: &str) -> String {
    if name.is_empty() {
        return "=".to_owned();
    }
    name.bytes().fold(String::with_capacity(name.len()), |mut token, byte| {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(char::from(byte));
        } else {
            token.push_str(&format!("={byte:02x}"));
        }
        token
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope;

    #[test]
    fn keys_hold_only_what_a_kv_key_may_and_stay_apart() {
        assert_eq!(key("openai", "gpt-4o.mini"), "openai.gpt-4o=2emini");
        assert_eq!(key("a.b", ""), "a=2eb.=");
        assert_ne!(key("a", "b=2e"), key("a", "b."));
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=.".contains(&byte);
        assert!(key("ü %/*>", "\u{0}").bytes().all(allowed));
    }

    #[test]
    fn a_record_survives_its_envelope() {
        let until = Timestamp::from_millis(7);
        for state in
            [BreakerPhase::Closed, BreakerPhase::Open { until }, BreakerPhase::HalfOpen { probe: u64::MAX, until }]
        {
            let record = BreakerRecord { provider: "p".to_owned(), model: "m".to_owned(), state };
            let bytes = envelope::encode(&record).unwrap();
            assert_eq!(envelope::decode::<BreakerRecord>(&bytes).unwrap(), record);
        }
    }
}
