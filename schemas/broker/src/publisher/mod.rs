//! One small publisher per stream: publishes go out singly while few wait, and as one atomic batch when many do, so that
//! a lone job is not slower and a crowd shares its fsyncs.

mod batch;
mod send;

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use prometheus::{Histogram, IntCounterVec};
use runtime::config::PublisherConfig;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use batch::take_batch;

/// One message on its way.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

impl Outgoing {
    /// What it will weigh in a batch, roughly.
    fn size(&self) -> usize {
        self.payload.len() + self.subject.len() + 256
    }
}

/// What a publish came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Published {
    /// Stored under this sequence; `duplicate` when an earlier message had the same id.
    Stored { seq: u64, duplicate: bool },
    /// The stream refused it.
    Refused { code: u64, description: String },
    /// Nobody knows.
    Unknown,
}

pub(crate) struct Waiting {
    message: Outgoing,
    answer: oneshot::Sender<Published>,
}

/// What one stream's publisher needs to know.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) client: Client,
    pub(crate) timeout: Duration,
    pub(crate) outcomes: IntCounterVec,
    pub(crate) batch_sizes: Histogram,
}

/// A handle to a stream's publisher.
#[derive(Clone)]
pub(crate) struct Publisher {
    queue: mpsc::Sender<Waiting>,
}

impl Publisher {
    /// The handle, and the loop that somebody must run.
    pub(crate) fn new(wire: Wire, limits: &PublisherConfig) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, incoming) = mpsc::channel(limits.queue);
        let wire = Arc::new(wire);
        let pump = Pump {
            wire,
            limits: limits.clone(),
            waiting: Vec::new(),
            singles: JoinSet::new(),
            batches: JoinSet::new(),
        };
        (Self { queue }, pump.run(incoming))
    }

    /// Publishes and waits for the outcome. Waits longer while the queue is full.
    pub(crate) async fn publish(&self, message: Outgoing) -> Published {
        let (answer, outcome) = oneshot::channel();
        if self.queue.send(Waiting { message, answer }).await.is_err() {
            return Published::Unknown;
        }
        outcome.await.unwrap_or(Published::Unknown)
    }
}

struct Pump {
    wire: Arc<Wire>,
    limits: PublisherConfig,
    waiting: Vec<Waiting>,
    singles: JoinSet<()>,
    batches: JoinSet<()>,
}

impl Pump {
    async fn run(mut self, mut incoming: mpsc::Receiver<Waiting>) {
        let mut open = true;
        while open || !self.idle() {
            let room = self.limits.batch_max.saturating_mul(2).saturating_sub(self.waiting.len());
            tokio::select! {
                taken = incoming.recv_many(&mut self.waiting, room), if open && room > 0 => open = taken > 0,
                Some(_) = self.singles.join_next() => {}
                Some(_) = self.batches.join_next() => {}
            }
            self.dispatch();
        }
    }

    fn idle(&self) -> bool {
        self.waiting.is_empty() && self.singles.is_empty() && self.batches.is_empty()
    }

    fn dispatch(&mut self) {
        let few = self.waiting.len() + self.singles.len() < self.limits.batch_threshold;
        if few && self.batches.is_empty() {
            for Waiting { message, answer } in self.waiting.drain(..) {
                let wire = Arc::clone(&self.wire);
                self.singles.spawn(async move { drop(answer.send(send::single(&wire, &message).await)) });
            }
        }
        while self.waiting.len() >= self.limits.batch_threshold && self.batches.len() < self.limits.batches_in_flight {
            let batch = take_batch(&mut self.waiting, self.limits.batch_max, self.limits.batch_max_bytes);
            let wire = Arc::clone(&self.wire);
            self.batches.spawn(async move { send::batch(&wire, batch).await });
        }
    }
}
