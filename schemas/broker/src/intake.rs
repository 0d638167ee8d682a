//! Fetching jobs for free slots: never more than can be run at once, since a fetched message's lease time runs whether
//! or not anyone works on it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{Consumer, pull};
use futures::StreamExt;
use schemas::job::Lane;
use schemas::subject;
use strum::IntoEnumIterator;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::broker::{Broker, patiently};
use crate::delivery::Delivery;
use crate::error::BrokerError;
use crate::scheduler::Scheduler;

/// Short, since a server that restarts forgets who waits. No heartbeats: with them the client's batch sleeps through
/// messages that come after the first.
const POLL_EXPIRES: Duration = Duration::from_secs(3);
const POLL_GRACE: Duration = Duration::from_secs(1);
const FETCH_EXPIRES: Duration = Duration::from_secs(2);
const AFTER_ERROR: Duration = Duration::from_millis(500);
const LARGEST_FETCH: usize = 64;

/// A job and the slot it runs in; the slot is free again when `slot` is dropped.
pub struct Work {
    /// The job in hand.
    pub delivery: Delivery,
    /// Its slot.
    pub slot: OwnedSemaphorePermit,
}

/// Jobs as they come, no more than there are free slots.
pub struct Intake {
    work: mpsc::Receiver<Work>,
    fetching: JoinSet<()>,
    side_door: SideDoor,
}

/// A way in for jobs that no consumer delivers, while there is a free slot.
#[derive(Clone)]
pub struct SideDoor {
    /// Weak: it keeps no intake open.
    ready: mpsc::WeakSender<Work>,
    slots: Arc<Semaphore>,
}

impl SideDoor {
    /// Hands a job to the worker. Whether it was taken.
    pub(crate) fn pass(&self, delivery: Delivery) -> bool {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok();
        let Some((ready, slot)) = self.ready.upgrade().zip(slot) else { return false };
        ready.try_send(Work { delivery, slot }).is_ok()
    }
}

impl Broker {
    /// Begins to fetch jobs for `slots` slots. Dropping the intake stops fetching; what was claimed stays claimed.
    ///
    /// # Errors
    /// [`BrokerError`] when the consumers cannot be reached.
    pub async fn intake(&self, slots: Arc<Semaphore>) -> Result<Intake, BrokerError> {
        let mut sources = Vec::new();
        for lane in Lane::iter() {
            sources.push(self.worker_consumer(subject::jobs_stream(lane)).await?);
        }
        sources.push(self.worker_consumer(subject::DELAYED).await?);
        let worker = &self.0.config.worker;
        let weights = [worker.weight_high, worker.weight_normal, worker.weight_low, worker.weight_high];
        let (ready, work) = mpsc::channel(LARGEST_FETCH);
        let side_door = SideDoor { ready: ready.downgrade(), slots: Arc::clone(&slots) };
        let fetcher = Fetcher {
            broker: self.clone(),
            ready,
            slots,
            scheduler: Scheduler::new(&weights),
            moods: vec![Mood::Full; sources.len()],
            sources,
            fetches: JoinSet::new(),
        };
        let mut fetching = JoinSet::new();
        fetching.spawn(fetcher.run());
        Ok(Intake { work, fetching, side_door })
    }

    async fn worker_consumer(&self, stream: &str) -> Result<Consumer<pull::Config>, BrokerError> {
        let get = || async {
            let found = self.0.js.get_consumer_from_stream(subject::WORKERS, stream).await;
            found.map_err(BrokerError::other("the workers' consumer cannot be reached"))
        };
        patiently(self.0.config.nats.connect_timeout, get).await
    }
}

impl Intake {
    /// The next job with its slot; `None` when fetching has stopped.
    pub async fn next(&mut self) -> Option<Work> {
        self.work.recv().await
    }

    /// A way in for jobs that the sweeper finds.
    #[must_use]
    pub fn side_door(&self) -> SideDoor {
        self.side_door.clone()
    }

    /// Stops fetching. Jobs already fetched can still be received.
    pub fn stop(&mut self) {
        self.fetching.abort_all();
    }
}

/// What is known of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// It may have more: ask without waiting.
    Full,
    /// It had less than asked for: wait at it.
    Empty,
    /// It is being asked.
    Busy,
}

struct Fetcher {
    broker: Broker,
    ready: mpsc::Sender<Work>,
    slots: Arc<Semaphore>,
    scheduler: Scheduler,
    moods: Vec<Mood>,
    sources: Vec<Consumer<pull::Config>>,
    fetches: JoinSet<(usize, Mood)>,
}

impl Fetcher {
    async fn run(mut self) {
        loop {
            let idle = self.moods.iter().any(|mood| *mood != Mood::Busy);
            tokio::select! {
                Some(done) = self.fetches.join_next() => {
                    if let Ok((source, mood)) = done {
                        self.moods[source] = mood;
                    }
                }
                permit = Arc::clone(&self.slots).acquire_owned(), if idle => match permit {
                    Ok(permit) => self.start(permit),
                    Err(_) => return,
                },
            }
        }
    }

    /// Starts one fetch: without waiting where there may be more, else a waiting one that holds no slot.
    fn start(&mut self, first: OwnedSemaphorePermit) {
        let full: Vec<_> = self.moods.iter().map(|mood| *mood == Mood::Full).collect();
        if let Some(source) = self.scheduler.next(&full) {
            let share = self.scheduler.share(source, self.slots.available_permits() + 1, &full).min(LARGEST_FETCH);
            let mut permits = vec![first];
            while permits.len() < share {
                let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() else { break };
                permits.push(permit);
            }
            return self.spawn(source, permits);
        }
        drop(first);
        for source in 0..self.moods.len() {
            if self.moods[source] == Mood::Empty {
                self.spawn(source, Vec::new());
            }
        }
    }

    fn spawn(&mut self, source: usize, permits: Vec<OwnedSemaphorePermit>) {
        self.moods[source] = Mood::Busy;
        let ask = Ask {
            broker: self.broker.clone(),
            consumer: self.sources[source].clone(),
            ready: self.ready.clone(),
            slots: Arc::clone(&self.slots),
        };
        self.fetches.spawn(async move {
            let outcome = if permits.is_empty() { ask.wait().await } else { ask.take(permits).await };
            let mood = match outcome {
                Ok(mood) => mood,
                Err(error) => {
                    tracing::debug!(error = %error, "fetch failed");
                    tokio::time::sleep(AFTER_ERROR).await;
                    Mood::Full
                }
            };
            (source, mood)
        });
    }
}

/// One question to one source.
struct Ask {
    broker: Broker,
    consumer: Consumer<pull::Config>,
    ready: mpsc::Sender<Work>,
    slots: Arc<Semaphore>,
}

impl Ask {
    /// Takes as many as there are permits, without waiting.
    async fn take(self, mut permits: Vec<OwnedSemaphorePermit>) -> Result<Mood, async_nats::Error> {
        let mut messages = self.consumer.fetch().max_messages(permits.len()).expires(FETCH_EXPIRES).messages().await?;
        while let Some(message) = messages.next().await {
            let Some(slot) = permits.pop() else { break };
            self.hand_over(message?, slot).await;
        }
        Ok(if permits.is_empty() { Mood::Full } else { Mood::Empty })
    }

    /// Waits for one message. It holds no slot while it waits: when none is free by then, the message goes back.
    async fn wait(self) -> Result<Mood, async_nats::Error> {
        let mut messages = self.consumer.batch().max_messages(1).expires(POLL_EXPIRES).messages().await?;
        let message = tokio::time::timeout(POLL_EXPIRES + POLL_GRACE, messages.next()).await;
        let Ok(Some(message)) = message else { return Ok(Mood::Empty) };
        let message = message?;
        match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => self.hand_over(message, slot).await,
            Err(_) => message.ack_with(async_nats::jetstream::AckKind::Nak(None)).await?,
        }
        Ok(Mood::Full)
    }

    async fn hand_over(&self, message: Message, slot: OwnedSemaphorePermit) {
        let Some(delivery) = Delivery::read(&self.broker, message).await else { return };
        if self.ready.send(Work { delivery, slot }).await.is_err() {
            tracing::debug!("a fetched job was not taken: it will be delivered again");
        }
    }
}
