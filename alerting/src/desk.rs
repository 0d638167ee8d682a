//! The leader's desk, a loop of one thing at a time: fold a batch of events, keep what changed, acknowledge, call Telegram
//! when the pace allows, take in what came of it. Nothing is told before it is kept, and nothing acknowledged.

use std::collections::BTreeSet;
use std::time::Duration;

use broker::AlertDelivery;
use runtime::clock;
use schemas::alert::Severity;
use strum::IntoEnumIterator;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::calls::{Ended, call};
use crate::chats::Chats;
use crate::fold::Book;
use crate::leader::{Leadership, Renewed};
use crate::metrics::AlertMetrics;
use crate::pace::Pacer;
use crate::plan::{self, Action, Now};
use crate::rules::{Concern, KINDS};
use crate::store::{Incidents, StoreError};
use crate::telegram::Outlet;

/// How often the desk looks whether there is something to tell.
const TICK: Duration = Duration::from_millis(100);
/// How often it forgets what is over and counts what is open.
const TIDY: Duration = Duration::from_secs(5);
/// How long it waits after a failed write.
const RETRY: Duration = Duration::from_millis(500);

/// All that the leader works with.
pub(crate) struct Desk {
    pub(crate) book: Book,
    pub(crate) chats: Chats,
    pub(crate) pacer: Pacer,
    pub(crate) store: Incidents,
    pub(crate) leadership: Leadership,
    pub(crate) outlet: std::sync::Arc<Outlet>,
    pub(crate) metrics: AlertMetrics,
    pub(crate) firing: watch::Sender<Vec<Concern>>,
    pub(crate) work: Work,
}

/// What is not finished.
#[derive(Default)]
pub(crate) struct Work {
    /// Incidents that changed since they were kept.
    pub(crate) unsaved: BTreeSet<String>,
    /// A chat moved, and that is not kept.
    pub(crate) moved: bool,
    unacknowledged: Vec<AlertDelivery>,
    calls: JoinSet<Ended>,
    retry_at: Option<Instant>,
    tidied: Option<Instant>,
}

impl Desk {
    /// Works until shutdown, or until another replica leads.
    pub(crate) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Vec<AlertDelivery>>,
        shutdown: &CancellationToken,
    ) -> Result<(), StoreError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.keep().await?;
            let ready = self.is_kept() && self.leadership.is_valid(Instant::now());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = self.work.calls.join_next() => self.take_in(ended),
                Some(batch) = inbox.recv(), if ready => self.fold(batch),
                _ = tick.tick() => self.tick().await?,
            }
        }
        self.leave().await
    }

    /// Folds a batch in. It is acknowledged when all it changed is kept.
    fn fold(&mut self, batch: Vec<AlertDelivery>) {
        let now = clock::now();
        for delivery in batch {
            let event = &delivery.event;
            let (key, folded) = self.book.fold(delivery.seq, event, now);
            let labels = [<&str>::from(event.kind), <&str>::from(event.severity), <&str>::from(folded)];
            self.metrics.events.with_label_values(&labels).inc();
            self.work.unsaved.insert(key);
            self.work.unacknowledged.push(delivery);
        }
        self.publish_firing();
    }

    /// Writes what changed, then acknowledges. A failed write is tried again later; until then nothing else is taken up.
    async fn keep(&mut self) -> Result<(), StoreError> {
        if self.work.retry_at.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        self.work.retry_at = None;
        if self.work.moved {
            match self.store.save_moves(&self.chats).await {
                Ok(()) => self.work.moved = false,
                Err(error) => self.failed(error)?,
            }
        }
        if !self.work.unsaved.is_empty() {
            let unsaved = std::mem::take(&mut self.work.unsaved);
            if let Err((failed, error)) = self.store.save(&unsaved, &self.book.incidents).await {
                self.work.unsaved = failed;
                self.failed(error)?;
            } else {
                self.metrics.writes.with_label_values(&["stored"]).inc_by(unsaved.len() as u64);
            }
        }
        if self.is_kept() {
            let deliveries = self.work.unacknowledged.drain(..);
            futures::future::join_all(deliveries.map(AlertDelivery::ack)).await;
        }
        Ok(())
    }

    fn failed(&mut self, error: StoreError) -> Result<(), StoreError> {
        if matches!(error, StoreError::Deposed) {
            return Err(error);
        }
        self.metrics.writes.with_label_values(&["failed"]).inc();
        self.work.retry_at = Some(Instant::now() + RETRY);
        tracing::warn!(error = &error as &dyn std::error::Error, "alerts not kept, tried again");
        Ok(())
    }

    fn is_kept(&self) -> bool {
        self.work.unsaved.is_empty() && !self.work.moved
    }

    async fn tick(&mut self) -> Result<(), StoreError> {
        let now = Now { wall: clock::now(), monotonic: Instant::now() };
        if self.leadership.is_due(now.monotonic) {
            match self.leadership.renew().await {
                Ok(Renewed::Held) => {}
                Ok(Renewed::Deposed) => return Err(StoreError::Deposed),
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "leadership not renewed"),
            }
        }
        if self.work.tidied.is_none_or(|at| now.monotonic.duration_since(at) >= TIDY) {
            self.work.tidied = Some(now.monotonic);
            let pruned = self.book.prune(now.wall);
            self.work.unsaved.extend(pruned);
            self.publish_firing();
            self.measure(now);
        }
        let ready = self.is_kept() && self.leadership.is_valid(now.monotonic);
        if ready && self.work.calls.is_empty() {
            self.call_next(now);
        }
        Ok(())
    }

    /// One call at a time: the pace of one chat needs to know when the last one ended.
    fn call_next(&mut self, now: Now) {
        let Some(task) = plan::next(&self.book, &self.chats, &self.pacer, now) else { return };
        if task.action == Action::Send && task.members.len() > 1 {
            self.metrics.digested.inc_by(task.members.len() as u64);
        }
        self.pacer.began(&task.chat, now.monotonic);
        self.work.calls.spawn(call(self.outlet.clone(), task));
    }

    fn measure(&self, now: Now) {
        for severity in Severity::iter() {
            let open = i64::try_from(self.book.firing(severity)).unwrap_or(i64::MAX);
            self.metrics.open.with_label_values(&[<&str>::from(severity)]).set(open);
        }
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let oldest = self.book.untold_since().map_or(Duration::ZERO, |since| now.wall.since(since));
        self.metrics.oldest_unsent_seconds.set(seconds(oldest));
        self.metrics.hold_seconds.set(seconds(self.pacer.held(now.monotonic)));
        self.metrics.incidents.set(i64::try_from(self.book.incidents.len()).unwrap_or(i64::MAX));
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

    /// Waits for the call under way, which is bounded by its timeout, keeps what came of it and frees the lead.
    async fn leave(mut self) -> Result<(), StoreError> {
        while let Some(ended) = self.work.calls.join_next().await {
            self.take_in(ended);
        }
        self.work.retry_at = None;
        self.keep().await?;
        if let Err(error) = self.leadership.release().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "leadership not released, it lapses");
        }
        Ok(())
    }
}
