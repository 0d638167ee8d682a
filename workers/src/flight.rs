//! How far a job's current requests are, for whoever drops the job while they run: one, or one and its hedge.

use std::sync::{Mutex, MutexGuard, PoisonError};

use broker::{Plan, Resolution};
use schemas::catalog::Prices;
use schemas::chat::Usage;
use schemas::state::Outcome;

/// The requests on their way, and the ends of those before that the ledger does not have yet.
#[derive(Debug, Default)]
pub(crate) struct Flight(Mutex<Stage>);

#[derive(Debug, Default)]
struct Stage {
    sent: Vec<Sent>,
    ended: Vec<Resolution>,
}

/// A request that the provider has, perhaps.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Its attempt's number.
    number: u32,
    /// Who was asked, for what.
    pub(crate) plan: Plan,
    prices: Prices,
    usage: Option<Usage>,
}

impl Sent {
    /// Its end, should it be dropped now.
    pub(crate) fn dropped(&self, outcome: Outcome) -> Resolution {
        let cost_micros = self.usage.and_then(|usage| self.prices.cost_micros(&usage));
        Resolution { number: Some(self.number), outcome, error: None, usage: self.usage, cost_micros }
    }
}

impl Flight {
    /// The attempt of this number is sent.
    pub(crate) fn send(&self, number: u32, plan: Plan, prices: Prices) {
        self.lock().sent.push(Sent { number, plan, prices, usage: None });
    }

    /// The provider told the tokens of a request on its way.
    pub(crate) fn told(&self, number: u32, usage: Usage) {
        if let Some(sent) = self.lock().sent.iter_mut().find(|sent| sent.number == number) {
            sent.usage = Some(usage);
        }
    }

    /// A request has ended: what is known of it, if it was on its way.
    pub(crate) fn land(&self, number: u32) -> Option<Sent> {
        let mut stage = self.lock();
        let index = stage.sent.iter().position(|sent| sent.number == number)?;
        Some(stage.sent.remove(index))
    }

    /// The requests on their way.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.lock().sent.clone()
    }

    /// How a request went; the ledger does not have it yet.
    pub(crate) fn ended(&self, end: Resolution) {
        self.lock().ended.push(end);
    }

    /// The ends that the ledger does not have yet.
    pub(crate) fn ends(&self) -> Vec<Resolution> {
        self.lock().ended.clone()
    }

    /// The ledger has them now.
    pub(crate) fn written(&self) {
        self.lock().ended.clear();
    }

    /// The ends of all attempts, should the job be dropped now. What is on its way ends as `outcome`; what then still
    /// stands open in the ledger was never sent.
    pub(crate) fn all_ends(&self, outcome: Outcome) -> Vec<Resolution> {
        let stage = self.lock();
        let dropped = stage.sent.iter().map(|sent| sent.dropped(outcome));
        stage.ended.iter().cloned().chain(dropped).chain([Resolution::bare(Outcome::Aborted)]).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan { provider: "p".to_owned(), model: "m".to_owned() }
    }

    #[test]
    fn a_dropped_request_costs_what_was_told_of_it() {
        let flight = Flight::default();
        let usage = Usage { input_tokens: 10, ..Usage::default() };
        flight.told(1, usage);
        assert!(flight.sent().is_empty());
        flight.send(1, plan(), Prices { input: 3.0, output: 1.0 });
        let bare = Resolution { number: Some(1), ..Resolution::bare(Outcome::Cancelled) };
        assert_eq!(flight.sent()[0].dropped(Outcome::Cancelled), bare);
        flight.told(1, usage);
        let dropped = flight.land(1).unwrap().dropped(Outcome::Cancelled);
        assert_eq!((dropped.usage, dropped.cost_micros), (Some(usage), Some(30)));
        assert!(flight.sent().is_empty() && flight.land(1).is_none());
    }

    #[test]
    fn whatever_is_on_its_way_ends_with_the_job() {
        let flight = Flight::default();
        let numbered = |number, outcome| Resolution { number: Some(number), ..Resolution::bare(outcome) };
        flight.ended(numbered(1, Outcome::Failed));
        for number in [2, 3] {
            flight.send(number, plan(), Prices { input: 0.0, output: 0.0 });
        }
        flight.told(3, Usage::default());
        let ends = flight.all_ends(Outcome::Ambiguous);
        assert_eq!(ends[..2], [numbered(1, Outcome::Failed), numbered(2, Outcome::Ambiguous)]);
        assert_eq!((ends[2].number, ends[2].usage), (Some(3), Some(Usage::default())));
        assert_eq!(ends[3..], [Resolution::bare(Outcome::Aborted)], "what else is open was never sent");
        flight.written();
        assert_eq!(flight.ends(), []);
    }
}
