//! The leader's desk, a loop of one thing at a time: fold a batch of events, do what operators order, keep what changed,
//! acknowledge, call Telegram when the pace allows, take in what came of it. Nothing is told before it is kept, and
//! nothing acknowledged; no call is made before it is on record.

use std::collections::BTreeSet;
use std::time::Duration;

use broker::AlertDelivery;
use runtime::clock;
use schemas::alert::Severity;
use schemas::timestamp::Timestamp;
use strum::IntoEnumIterator;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::calls::{Ended, call};
use crate::chats::Chats;
use crate::incidents::{Book, Operation, Refused, Tally};
use crate::leader::{Leadership, Renewed};
use crate::metrics::AlertMetrics;
use crate::order::Order;
use crate::outbox::Outbox;
use crate::pace::Pacer;
use crate::plan::{self, Now};
use crate::rules::{Concern, KINDS};
use crate::scrub::clean;
use crate::store::{Incidents, Keeping, OUTBOX, StoreError};
use crate::surface::Surface;
use crate::task::{Action, Own, Task};
use crate::telegram::Outlet;

/// How often the desk looks whether there is something to tell.
const TICK: Duration = Duration::from_millis(100);
/// How often it forgets what is over, counts what is open and looks what time alone brought about.
const TIDY: Duration = Duration::from_secs(1);
/// How long it waits after a failed write.
const RETRY: Duration = Duration::from_millis(500);

/// All that the leader works with.
pub(crate) struct Desk {
    pub(crate) book: Book,
    pub(crate) chats: Chats,
    pub(crate) pacer: Pacer,
    pub(crate) outbox: Outbox,
    pub(crate) store: Incidents,
    pub(crate) leadership: Leadership,
    pub(crate) outlet: std::sync::Arc<Outlet>,
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
    unacknowledged: Vec<AlertDelivery>,
    /// Operators whose orders are carried out, but not kept.
    unanswered: Vec<oneshot::Sender<Result<(), Refused>>>,
    /// The call that is about to be on record.
    planned: Option<Task>,
    calls: JoinSet<Ended>,
    retry_at: Option<Instant>,
    tidied: Option<Instant>,
}

impl Desk {
    /// Works until shutdown, or until another replica leads.
    pub(crate) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Vec<AlertDelivery>>,
        mut orders: mpsc::Receiver<Order>,
        shutdown: &CancellationToken,
    ) -> Result<(), StoreError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.keep().await?;
            let ready = self.work.unsaved.is_empty() && self.leadership.is_valid(Instant::now());
            if ready {
                self.call();
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = self.work.calls.join_next() => self.take_in(ended),
                _ = tick.tick() => self.tick().await?,
                Some(order) = orders.recv(), if ready => self.carry_out(order),
                errand = self.surface.errand() => self.run_errand(errand),
                Some(batch) = inbox.recv(), if ready => self.fold(batch),
            }
        }
        self.leave().await
    }

    /// Folds a batch in. It is acknowledged when all it changed is kept.
    fn fold(&mut self, batch: Vec<AlertDelivery>) {
        let now = clock::now();
        for delivery in batch {
            let event = &clean(&self.surface.scrubber, delivery.event.clone());
            let fired = self.book.is_firing(&event.fingerprint());
            let (key, folded) = self.book.fold(delivery.seq, event, now);
            self.count_in(&key, folded, event, fired);
            let labels = [<&str>::from(event.kind), <&str>::from(event.severity), <&str>::from(folded)];
            self.metrics.events.with_label_values(&labels).inc();
            self.work.unsaved.insert(key);
            self.work.unacknowledged.push(delivery);
        }
        self.review(now);
    }

    /// Does what an operator wants. They are answered when it is kept.
    fn carry_out(&mut self, order: Order) {
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

    /// Brings about what is due by now.
    fn review(&mut self, now: Timestamp) {
        self.work.unsaved.extend(self.book.review(now));
        self.publish_firing();
    }

    /// Writes what changed, then acknowledges. A failed write is tried again later; until then nothing else is taken up.
    async fn keep(&mut self) -> Result<(), StoreError> {
        if self.work.retry_at.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        self.work.retry_at = None;
        if !self.work.unsaved.is_empty() {
            let unsaved = std::mem::take(&mut self.work.unsaved);
            let keeping = Keeping { book: &self.book, chats: &self.chats, outbox: &self.outbox };
            if let Err((failed, error)) = self.store.save(&unsaved, keeping).await {
                self.work.unsaved = failed;
                return self.failed(error);
            }
            self.metrics.writes.with_label_values(&["stored"]).inc_by(unsaved.len() as u64);
        }
        self.work.unanswered.drain(..).for_each(|answer| drop(answer.send(Ok(()))));
        let deliveries = self.work.unacknowledged.drain(..);
        futures::future::join_all(deliveries.map(AlertDelivery::ack)).await;
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
            self.review(now.wall);
            self.measure(now);
            self.publish_known(now.monotonic);
        }
        if self.work.calls.is_empty() && self.work.planned.is_none() {
            self.plan(now);
        }
        Ok(())
    }

    /// Puts the next call on record. One at a time: the pace of one chat needs to know when the last one ended.
    fn plan(&mut self, now: Now) {
        self.work.planned = self.next_task(now);
        if let Some(task) = &self.work.planned {
            self.pacer.began(&task.chat, now.monotonic);
            if task.own == Some(Own::Reply) {
                // An answer is told once or not at all: who misses it asks again.
                self.outbox.call = None;
            } else {
                self.outbox.intend(task, now.wall);
            }
            self.record_pace(now);
        }
    }

    /// What a successor must know of the pace is to be kept.
    pub(crate) fn record_pace(&mut self, now: Now) {
        self.outbox.paced = self.pacer.paced(now.monotonic, now.wall);
        self.work.unsaved.insert(OUTBOX.to_owned());
    }

    /// Makes the call that is on record.
    fn call(&mut self) {
        let Some(task) = self.work.planned.take() else { return };
        if task.action == Action::Send && task.members.len() > 1 {
            self.metrics.digested.inc_by(task.members.len() as u64);
        }
        self.work.calls.spawn(call(self.outlet.clone(), task));
    }

    fn measure(&self, now: Now) {
        self.measure_muted();
        for severity in Severity::iter() {
            let open = i64::try_from(self.book.firing(severity)).unwrap_or(i64::MAX);
            self.metrics.open.with_label_values(&[<&str>::from(severity)]).set(open);
        }
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let untold_since = plan::untold_since(&self.book, &self.chats, now.wall);
        let oldest = untold_since.map_or(Duration::ZERO, |since| now.wall.since(since));
        self.metrics.oldest_unsent_seconds.set(seconds(oldest));
        let possible_duplicates = i64::try_from(self.outbox.possible_duplicates).unwrap_or(i64::MAX);
        self.metrics.possible_duplicates.set(possible_duplicates);
        self.metrics.hold_seconds.set(seconds(self.pacer.held(now.monotonic)));
        self.metrics.incidents.set(i64::try_from(self.book.incidents.len()).unwrap_or(i64::MAX));
    }

    fn measure_muted(&self) {
        let firing = || self.book.incidents.iter().filter(|(_, incident)| incident.is_firing());
        let silenced = firing().filter(|(_, incident)| incident.silenced.is_some()).count();
        let inhibited = firing().filter(|(key, _)| self.book.inhibited.contains_key(*key)).count();
        for (reason, count) in [("silenced", silenced), ("inhibited", inhibited)] {
            self.metrics.muted.with_label_values(&[reason]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
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
        if self.work.planned.take().is_some() {
            self.outbox.refused();
            self.work.unsaved.insert(OUTBOX.to_owned());
        }
        self.work.retry_at = None;
        self.keep().await?;
        if let Err(error) = self.leadership.release().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "leadership not released, it lapses");
        }
        Ok(())
    }
}
