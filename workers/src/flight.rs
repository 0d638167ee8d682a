//! How far a job's current request is, for whoever drops the job while it runs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use broker::{Plan, Resolution};
use schemas::catalog::Prices;
use schemas::chat::Usage;
use schemas::state::Outcome;

/// The request on its way, or the end of the one before that the ledger does not have yet.
#[derive(Debug, Default)]
pub(crate) struct Flight(Mutex<Stage>);

#[derive(Debug, Default)]
struct Stage {
    sent: Option<Sent>,
    last: Option<Resolution>,
}

/// A request that the provider has, perhaps.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Who was asked, for what.
    pub(crate) plan: Plan,
    prices: Prices,
    usage: Option<Usage>,
}

impl Sent {
    /// Its end, should it be dropped now.
    pub(crate) fn dropped(&self, outcome: Outcome) -> Resolution {
        let cost_micros = self.usage.and_then(|usage| self.prices.cost_micros(&usage));
        Resolution { outcome, error: None, usage: self.usage, cost_micros }
    }
}

impl Flight {
    /// A request is sent.
    pub(crate) fn send(&self, plan: Plan, prices: Prices) {
        self.lock().sent = Some(Sent { plan, prices, usage: None });
    }

    /// The provider told the tokens of the request on its way.
    pub(crate) fn told(&self, usage: Usage) {
        if let Some(sent) = &mut self.lock().sent {
            sent.usage = Some(usage);
        }
    }

    /// The request has ended.
    pub(crate) fn land(&self) {
        self.lock().sent = None;
    }

    /// The request on its way.
    pub(crate) fn sent(&self) -> Option<Sent> {
        self.lock().sent.clone()
    }

    /// How the last request went; the ledger does not have it yet.
    pub(crate) fn ended(&self, last: Resolution) {
        self.lock().last = Some(last);
    }

    /// The end that the ledger does not have yet.
    pub(crate) fn last(&self) -> Option<Resolution> {
        self.lock().last.clone()
    }

    /// The same, to be written now.
    pub(crate) fn take_last(&self) -> Option<Resolution> {
        self.lock().last.take()
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_request_costs_what_was_told_of_it() {
        let flight = Flight::default();
        let usage = Usage { input_tokens: 10, ..Usage::default() };
        flight.told(usage);
        assert!(flight.sent().is_none());
        let plan = Plan { provider: "p".to_owned(), model: "m".to_owned() };
        flight.send(plan, Prices { input: 3.0, output: 1.0 });
        assert_eq!(flight.sent().unwrap().dropped(Outcome::Cancelled), Resolution::bare(Outcome::Cancelled));
        flight.told(usage);
        let dropped = flight.sent().unwrap().dropped(Outcome::Cancelled);
        assert_eq!((dropped.usage, dropped.cost_micros), (Some(usage), Some(30)));
        flight.land();
        assert!(flight.sent().is_none());
    }
}
