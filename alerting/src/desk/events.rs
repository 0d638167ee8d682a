//! The desk folds events in.

use broker::AlertDelivery;
use runtime::clock;
use schemas::alert::{AlertEvent, AlertState};

use super::state::Desk;
use crate::incidents::{Folded, Placed, Tally};
use crate::scrub::clean;

impl Desk {
    /// Folds a batch in. It is acknowledged when all it changed is kept.
    pub(super) fn fold(&mut self, batch: Vec<AlertDelivery>) {
        let now = clock::now();
        for delivery in batch {
            let event = &clean(&self.surface.scrubber, delivery.event.clone());
            let Placed { key, folded, fired } = self.book.fold(delivery.seq, event, now);
            self.count_in(&key, folded, event, fired);
            let labels = [<&str>::from(event.kind), <&str>::from(event.severity), <&str>::from(folded)];
            self.metrics.events.with_label_values(&labels).inc();
            self.work.unsaved.insert(key);
            self.work.unacknowledged.push(delivery);
        }
        self.review(now);
    }

    /// Counts into the day what an event brought about, the alert having been `fired` before it or not.
    fn count_in(&mut self, key: &str, folded: Folded, event: &AlertEvent, fired: bool) {
        let fires = self.book.is_firing(key);
        let began = (fires && !fired).then_some(event.severity);
        let counts = folded != Folded::Duplicate && event.state == AlertState::Firing;
        self.tally(key, Tally::of(counts, began, fired && !fires));
    }
}
