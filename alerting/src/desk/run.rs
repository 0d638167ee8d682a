//! The desk's loop.

use std::time::Duration;

use broker::AlertDelivery;
use runtime::clock;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::state::Desk;
use crate::leader::Renewed;
use crate::order::Order;
use crate::plan::Now;
use crate::store::{Keeping, OUTBOX, StoreError};
use crate::task::{Action, Own};
use crate::telegram::call;

/// How often the desk looks whether there is something to tell.
const TICK: Duration = Duration::from_millis(100);
/// How often it forgets what is over, counts what is open and looks what time alone brought about.
const TIDY: Duration = Duration::from_secs(1);
/// How long it waits after a failed write.
const RETRY: Duration = Duration::from_millis(500);

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
            let ready = self.work.is_kept() && self.leadership.is_valid(Instant::now());
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

    /// Writes what changed, then acknowledges. A failed write is tried again later; until then nothing else is taken up.
    /// Whoever leads after us took the lead before it read what is kept: a renewal after our writes proves that it will read
    /// them, and without one nothing is answered or acknowledged.
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
        if !self.work.is_kept() && !self.leads_on().await? {
            self.work.retry_at = Some(Instant::now() + RETRY);
            return Ok(());
        }
        self.work.unanswered.drain(..).for_each(|(answer, outcomes)| drop(answer.send(outcomes)));
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

    /// Renews the lead; whether it was renewed is told, unless another took it.
    async fn leads_on(&mut self) -> Result<bool, StoreError> {
        match self.leadership.renew().await {
            Ok(Renewed::Held) => Ok(true),
            Ok(Renewed::Deposed) => Err(StoreError::Deposed),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "leadership not renewed");
                Ok(false)
            }
        }
    }

    async fn tick(&mut self) -> Result<(), StoreError> {
        let now = Now { wall: clock::now(), monotonic: Instant::now() };
        if self.leadership.is_due(now.monotonic) {
            self.leads_on().await?;
        }
        if self.work.tidied.is_none_or(|at| now.monotonic.duration_since(at) >= TIDY) {
            self.work.tidied = Some(now.monotonic);
            let pruned = self.book.prune(now.wall);
            self.work.unsaved.extend(pruned);
            self.review(now.wall);
            self.measure(now);
            self.publish_known(now.monotonic);
            if self.work.is_kept() {
                self.store.sweep().await;
            }
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
            self.record_pace(now.monotonic);
        }
    }

    /// Makes the call that is on record, unless calls were forbidden while it was written down.
    fn call(&mut self) {
        if !self.pacer.held(Instant::now()).is_zero() {
            return self.shelve();
        }
        let Some(task) = self.work.planned.take() else { return };
        if task.action == Action::Send && task.members.len() > 1 {
            self.metrics.digested.inc_by(task.members.len() as u64);
        }
        self.work.calls.spawn(call(self.outlet.clone(), task));
    }

    /// What was to be called is not: it is planned again.
    fn shelve(&mut self) {
        if self.work.planned.take().is_some() {
            if let Some(reply) = self.surface.telling.take() {
                self.surface.replies.put_back(reply);
            }
            self.outbox.refused();
            self.work.unsaved.insert(OUTBOX.to_owned());
        }
    }

    /// Waits for the call under way, which is bounded by its timeout, keeps what came of it and frees the lead.
    async fn leave(mut self) -> Result<(), StoreError> {
        while let Some(ended) = self.work.calls.join_next().await {
            self.take_in(ended);
        }
        self.shelve();
        self.work.retry_at = None;
        self.keep().await?;
        if let Err(error) = self.leadership.release().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "leadership not released, it lapses");
        }
        Ok(())
    }
}
