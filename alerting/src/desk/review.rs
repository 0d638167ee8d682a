//! What time alone brings about, and what others are to know of the desk: gauges, what fires, which chats are ours.

use std::time::Duration;

use schemas::alert::Severity;
use schemas::timestamp::Timestamp;
use strum::IntoEnumIterator;
use tokio::time::Instant;

use super::state::Desk;
use crate::errand::Known;
use crate::plan::{self, Now};
use crate::rules::{Concern, KINDS};

impl Desk {
    /// Brings about what is due by now.
    pub(super) fn review(&mut self, now: Timestamp) {
        self.work.unsaved.extend(self.book.review(now));
        self.publish_firing();
    }

    fn publish_firing(&self) {
        let of_rules =
            self.book.incidents.values().filter(|incident| KINDS.contains(&incident.kind) && incident.is_firing());
        let firing: Vec<Concern> = of_rules.map(|incident| (incident.kind, incident.labels.clone())).collect();
        self.firing.send_if_modified(|known| {
            let news = *known != firing;
            if news {
                *known = firing;
            }
            news
        });
    }

    /// Lets whoever receives know what is so.
    pub(crate) fn publish_known(&self, now: Instant) {
        let held = self.pacer.held(now);
        let held_until = (!held.is_zero()).then(|| now + held);
        let chats = self.chats.all();
        self.surface.known.send_if_modified(|known| {
            let news = known.chats != chats || known.held_until != held_until;
            if news {
                *known = Known { chats, held_until };
            }
            news
        });
    }

    pub(super) fn measure(&self, now: Now) {
        self.measure_muted();
        for severity in Severity::iter() {
            self.metrics.open.with_label_values(&[<&str>::from(severity)]).set(level(self.book.firing(severity)));
        }
        let untold_since = plan::untold_since(&self.book, &self.chats, now.wall);
        let oldest = untold_since.map_or(Duration::ZERO, |since| now.wall.since(since));
        self.metrics.oldest_unsent_seconds.set(level(oldest.as_secs()));
        self.metrics.possible_duplicates.set(level(self.outbox.possible_duplicates));
        self.metrics.hold_seconds.set(level(self.pacer.held(now.monotonic).as_secs()));
        self.metrics.incidents.set(level(self.book.incidents.len()));
    }

    fn measure_muted(&self) {
        let firing = || self.book.incidents.iter().filter(|(_, incident)| incident.is_firing());
        let silenced = firing().filter(|(_, incident)| incident.silenced.is_some()).count();
        let inhibited = firing().filter(|(key, _)| self.book.inhibited.contains_key(*key)).count();
        for (reason, count) in [("silenced", silenced), ("inhibited", inhibited)] {
            self.metrics.muted.with_label_values(&[reason]).set(level(count));
        }
    }
}

/// What a gauge shows.
fn level(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
