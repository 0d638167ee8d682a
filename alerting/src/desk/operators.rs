//! The desk does what operators order, and what whoever receives from them wants done in Telegram.

use runtime::clock;
use tokio::time::Instant;

use super::state::Desk;
use crate::errand::Errand;
use crate::incidents::{Operation, Refused, Tally};
use crate::order::Order;
use crate::plan::Now;

impl Desk {
    /// Does what an operator wants. They are answered when it is kept.
    pub(super) fn carry_out(&mut self, order: Order) {
        let (operation, by, answer) = match order {
            Order::Look(look) => return look(&self.book),
            Order::Operate { operation, by, answer } => (operation, by, answer),
        };
        let (action, about) = (<&str>::from(&operation), operation.about().to_owned());
        match self.operate(operation, &by) {
            Ok(()) => {
                tracing::info!(target: "audit", actor = by, action, key = about, outcome = "done");
                self.work.unanswered.push(answer);
            }
            Err(refused) => {
                let reason = <&str>::from(&refused);
                tracing::info!(target: "audit", actor = by, action, key = about, outcome = "refused", reason);
                // Whoever asked may be gone.
                let _ = answer.send(Err(refused));
            }
        }
    }

    fn operate(&mut self, operation: Operation, by: &str) -> Result<(), Refused> {
        let now = clock::now();
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
        self.review(now);
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
                self.record_pace(Now { wall: clock::now(), monotonic: now });
            }
        }
    }
}
