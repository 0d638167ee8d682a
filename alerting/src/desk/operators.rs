//! The desk does what operators order, and what whoever receives from them wants done in Telegram.

use runtime::clock;
use schemas::timestamp::Timestamp;
use tokio::time::Instant;

use super::state::Desk;
use crate::errand::Errand;
use crate::incidents::{Operation, Refused, Tally};
use crate::order::{Order, Outcomes};

impl Desk {
    /// Does what an operator wants. They are answered when it is kept.
    pub(super) fn carry_out(&mut self, order: Order) {
        let (operations, by, answer) = match order {
            Order::Look(look) => return look(&self.book),
            Order::Operate { operations, by, answer } => (operations, by, answer),
        };
        let now = clock::now();
        let outcomes: Outcomes = operations.into_iter().map(|operation| self.audited(operation, &by, now)).collect();
        if outcomes.iter().any(Result::is_ok) {
            self.review(now);
            self.work.unanswered.push((answer, outcomes));
        } else {
            // Whoever asked may be gone.
            let _ = answer.send(outcomes);
        }
    }

    fn audited(&mut self, operation: Operation, by: &str, now: Timestamp) -> Result<(), Refused> {
        let (action, about) = (<&str>::from(&operation), operation.about().to_owned());
        let outcome = self.operate(operation, by, now);
        match &outcome {
            Ok(()) => tracing::info!(target: "audit", actor = by, action, key = about, outcome = "done"),
            Err(refused) => {
                let reason = <&str>::from(refused);
                tracing::info!(target: "audit", actor = by, action, key = about, outcome = "refused", reason);
            }
        }
        outcome
    }

    fn operate(&mut self, operation: Operation, by: &str, now: Timestamp) -> Result<(), Refused> {
        let label = <&str>::from(&operation);
        let resolved = match &operation {
            Operation::Resolve { key } => Some(key.clone()),
            _ => None,
        };
        let outcome = self.book.operate(operation, by, now);
        self.metrics.operations.with_label_values(&[label, if outcome.is_ok() { "done" } else { "refused" }]).inc();
        self.work.unsaved.extend(outcome?);
        if let Some(key) = resolved {
            self.tally(&key, Tally::of(false, None, true));
        }
        Ok(())
    }

    /// Takes up an errand of the receiver.
    pub(super) fn run_errand(&mut self, errand: Errand) {
        let now = Instant::now();
        match errand {
            // Whoever asked may be gone: the answer is told all the same.
            Errand::Say { place, texts, taken } => drop(taken.send(self.surface.replies.add(&place, texts, now))),
            Errand::Hold(retry_after) => {
                self.metrics.throttled.inc();
                self.pacer.hold(retry_after, now);
                self.record_pace(now);
            }
        }
    }
}
