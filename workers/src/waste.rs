//! Provider calls that were paid for, or may have been, and gave no job its answer.

use broker::Resolution;
use prometheus::{CounterVec, Error, IntCounterVec, Opts, Registry};
use runtime::metrics::registered;
use schemas::chat::Usage;
use strum::{EnumIter, IntoStaticStr};

/// Why a call was for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Reason {
    /// Its worker was lost, or stopped, and nobody knows whether the call happened. Counted by whoever marks it so.
    Ambiguous,
    /// It brought a whole answer to a job that had ended.
    LostResult,
    /// It was dropped while it ran: the job was cancelled, ended elsewhere, or its deadline passed.
    Cancelled,
    /// It failed after the provider had counted tokens or sent a part of its answer.
    Failed,
    /// It was dropped because another, asked beside it, spoke first.
    HedgeLost,
}

/// `portbroker_wasted_*`: by reason, provider and model. Tokens and dollars are those that the provider told of and the
/// catalog has prices for; of a call that broke off they are mostly not known, and then it is counted alone.
#[derive(Debug, Clone)]
pub(crate) struct WasteMetrics {
    calls: IntCounterVec,
    tokens: IntCounterVec,
    dollars: CounterVec,
}

/// One wasted call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waste<'a> {
    /// Why.
    pub(crate) reason: Reason,
    /// Who was asked.
    pub(crate) provider: &'a str,
    /// For which model, as a label.
    pub(crate) model: &'a str,
    /// Tokens, where told.
    pub(crate) usage: Option<Usage>,
    /// Millionths of a US dollar, where known.
    pub(crate) cost_micros: Option<u64>,
}

impl WasteMetrics {
    /// Registers the series.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        let calls = Opts::new(
            "portbroker_wasted_calls_total",
            "Provider calls that gave no job its answer: ambiguous (their worker was lost), lost_result (the job had \
             ended), cancelled (dropped while running), failed (after tokens were spent), hedge_lost (another, asked \
             beside it, spoke first)",
        );
        let tokens =
            Opts::new("portbroker_wasted_tokens_total", "Tokens of wasted calls, as far as providers told, by type");
        let dollars = Opts::new(
            "portbroker_wasted_cost_dollars_total",
            "Cost of wasted calls, as far as it is known, in dollars",
        );
        Ok(Self {
            calls: registered(registry, IntCounterVec::new(calls, &["reason", "provider", "model"])?)?,
            tokens: registered(registry, IntCounterVec::new(tokens, &["reason", "provider", "model", "type"])?)?,
            dollars: registered(registry, CounterVec::new(dollars, &["reason", "provider", "model"])?)?,
        })
    }

    /// Counts one call.
    pub(crate) fn count(&self, waste: &Waste<'_>) {
        let Waste { reason, provider, model, usage, cost_micros } = *waste;
        let reason: &str = reason.into();
        self.calls.with_label_values(&[reason, provider, model]).inc();
        if let Some(usage) = usage {
            for (kind, count) in [("input", usage.input_tokens), ("output", usage.output_tokens)] {
                self.tokens.with_label_values(&[reason, provider, model, kind]).inc_by(count);
            }
        }
        if let Some(micros) = cost_micros {
            self.dollars.with_label_values(&[reason, provider, model]).inc_by(micros as f64 / 1e6);
        }
    }
}

impl<'a> Waste<'a> {
    /// A call that ended so.
    pub(crate) fn of(reason: Reason, provider: &'a str, model: &'a str, end: &Resolution) -> Self {
        Self { reason, provider, model, usage: end.usage, cost_micros: end.cost_micros }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn what_is_known_is_counted_and_nothing_else() {
        let registry = Registry::new();
        let metrics = WasteMetrics::register(&registry).unwrap();
        let usage = Usage { input_tokens: 100, output_tokens: 20, ..Usage::default() };
        for reason in Reason::iter() {
            let unknown = Waste { reason, provider: "p", model: "m", usage: None, cost_micros: None };
            metrics.count(&unknown);
            metrics.count(&Waste { usage: Some(usage), cost_micros: Some(1500), ..unknown });
        }
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            r#"portbroker_wasted_calls_total{model="m",provider="p",reason="lost_result"} 2"#,
            r#"portbroker_wasted_tokens_total{model="m",provider="p",reason="ambiguous",type="input"} 100"#,
            r#"portbroker_wasted_tokens_total{model="m",provider="p",reason="failed",type="output"} 20"#,
            r#"portbroker_wasted_calls_total{model="m",provider="p",reason="hedge_lost"} 2"#,
            r#"portbroker_wasted_cost_dollars_total{model="m",provider="p",reason="cancelled"} 0.0015"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
