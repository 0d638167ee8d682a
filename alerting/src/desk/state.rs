//! All that lies on the desk.

use std::collections::BTreeSet;
use std::sync::Arc;

use broker::{AlertDelivery, Broker};
use runtime::clock;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::surface::Surface;
use crate::chats::Chats;
use crate::incidents::{Book, Tally, count};
use crate::leader::Leadership;
use crate::metrics::AlertMetrics;
use crate::order::Outcomes;
use crate::outbox::Outbox;
use crate::pace::Pacer;
use crate::rules::Concern;
use crate::store::{Incidents, OUTBOX};
use crate::task::Task;
use crate::telegram::{Ended, Outlet};

/// All that the leader works with.
pub(crate) struct Desk {
    pub(crate) book: Book,
    pub(crate) chats: Chats,
    pub(crate) pacer: Pacer,
    pub(crate) outbox: Outbox,
    pub(crate) store: Incidents,
    pub(crate) broker: Broker,
    pub(crate) leadership: Leadership,
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) metrics: AlertMetrics,
    pub(crate) firing: watch::Sender<Vec<Concern>>,
    pub(crate) surface: Surface,
    pub(crate) work: Work,
}

/// What is not finished.
#[derive(Default)]
pub(crate) struct Work {
    /// Keys of what changed since it was kept.
    pub(crate) unsaved: BTreeSet<String>,
    pub(super) unacknowledged: Vec<AlertDelivery>,
    /// Operators whose orders are carried out, but not kept, and what became of those.
    pub(super) unanswered: Vec<(oneshot::Sender<Outcomes>, Outcomes)>,
    /// The call that is about to be on record.
    pub(super) planned: Option<Task>,
    pub(super) calls: JoinSet<Ended>,
    pub(super) retry_at: Option<Instant>,
    pub(super) tidied: Option<Instant>,
}

impl Work {
    /// Whether everything is kept, and everybody knows who is to.
    pub(super) fn is_kept(&self) -> bool {
        self.unsaved.is_empty() && self.unanswered.is_empty() && self.unacknowledged.is_empty()
    }
}

impl Desk {
    /// What a successor must know of the pace is to be kept, and who calls beside us is to know of it at once.
    /// Its moments are the broker's: a successor's own clock may be far from ours.
    pub(super) fn record_pace(&mut self, now: Instant) {
        self.publish_known(now);
        self.outbox.paced = self.pacer.paced(now, self.broker.now());
        self.work.unsaved.insert(OUTBOX.to_owned());
    }

    /// Counts into the day what happened to an incident.
    pub(super) fn tally(&mut self, key: &str, tally: Tally) {
        if let Some(day) = self.surface.calendar.day(clock::now())
            && let Some(incident) = self.book.incidents.get_mut(key)
        {
            count(&mut incident.days, day, tally);
        }
    }
}
