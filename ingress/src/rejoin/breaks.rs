//! Calls that broke here, on their way to where every ingress finds them. While NATS is away they wait here, and a retry
//! that comes to this very process finds them at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use broker::{Broker, BrokerError};
use futures::future::join_all;
use prometheus::IntCounterVec;
use schemas::broken::BrokenCall;
use schemas::id::JobId;
use schemas::state::Nonce;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::chain;

/// Most calls that wait to be noted; the oldest go first.
const MOST: usize = 8192;
/// Calls noted at once.
const WRITERS: usize = 32;
/// How long noting one call may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a failure: NATS is away.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a process that stops goes on noting the calls that it cut off.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// An answer owed to a client whose retry could not be told from a new request otherwise. Dropped before it is
/// [`Promise::kept`], the client's connection has broken, and its retry may join the job.
#[derive(Debug)]
pub(crate) struct Promise {
    breaks: Arc<Breaks>,
    digest: Arc<str>,
    id: JobId,
    kept: bool,
}

impl Promise {
    /// The job.
    pub(super) const fn id(&self) -> JobId {
        self.id
    }

    /// The client has an answer, whatever it says.
    pub(crate) fn kept(mut self) {
        self.kept = true;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if !self.kept {
            let nonce = Nonce::new(runtime::clock::random_bits());
            self.breaks.push(Break { digest: Arc::clone(&self.digest), id: self.id, nonce, since: Instant::now() });
        }
    }
}

/// One call that broke.
#[derive(Debug, Clone)]
struct Break {
    digest: Arc<str>,
    id: JobId,
    nonce: Nonce,
    since: Instant,
}

/// Calls that broke here and are not noted yet, oldest first.
#[derive(Debug)]
pub(crate) struct Breaks {
    keep: Duration,
    waiting: Mutex<VecDeque<Break>>,
    changed: Notify,
    takes: TaskTracker,
    /// By `outcome`: noted, joined, lost.
    outcomes: IntCounterVec,
}

impl Breaks {
    /// Of calls that may be joined for `keep`.
    pub(crate) fn new(keep: Duration, outcomes: IntCounterVec) -> Self {
        Self { keep, waiting: Mutex::default(), changed: Notify::new(), takes: TaskTracker::new(), outcomes }
    }

    /// That counts for nobody.
    #[cfg(test)]
    pub(super) fn testing(keep: Duration) -> Arc<Self> {
        let outcomes = IntCounterVec::new(prometheus::Opts::new("outcomes", "outcomes"), &["outcome"]).unwrap();
        Arc::new(Self::new(keep, outcomes))
    }

    /// The calls that broke and were not noted, taken.
    #[cfg(test)]
    pub(super) fn left_behind(&self) -> Vec<JobId> {
        self.lock().drain(..).map(|call| call.id).collect()
    }

    /// Owes the client of `id` an answer. `None` when no retry ever joins.
    pub(super) fn promise(self: &Arc<Self>, digest: &Arc<str>, id: JobId) -> Option<Promise> {
        let enabled = !self.keep.is_zero();
        enabled.then(|| Promise { breaks: Arc::clone(self), digest: Arc::clone(digest), id, kept: false })
    }

    /// Takes over what a broken call was promised. Should nobody want it any more when it is there, it is broken anew.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked.
    pub(super) async fn take(
        self: &Arc<Self>,
        broker: &Broker,
        digest: &Arc<str>,
    ) -> Result<Option<Promise>, BrokerError> {
        if let Some(promise) = self.take_here(digest) {
            return Ok(Some(promise));
        }
        let (give, taken) = oneshot::channel();
        let (breaks, broker, digest) = (Arc::clone(self), broker.clone(), Arc::clone(digest));
        // Of its own: a client that leaves now must not leave a call taken that nobody has joined.
        self.takes.spawn(async move {
            let found = broker.take_broken(&digest).await;
            let promise = found.map(|id| id.and_then(|id| breaks.promise(&digest, id)));
            drop(give.send(promise));
        });
        taken.await.unwrap_or(Ok(None))
    }

    fn take_here(self: &Arc<Self>, digest: &Arc<str>) -> Option<Promise> {
        let mut waiting = self.lock();
        let fresh = |call: &Break| call.digest == *digest && call.since.elapsed() < self.keep;
        let position = waiting.iter().position(fresh)?;
        let call = waiting.remove(position)?;
        drop(waiting);
        self.promise(digest, call.id)
    }

    /// A retry has joined a call.
    pub(super) fn joined(&self) {
        self.count("joined");
    }

    fn push(&self, call: Break) {
        let mut waiting = self.lock();
        if waiting.len() >= MOST {
            waiting.pop_front();
            self.count("lost");
        }
        waiting.push_back(call);
        self.changed.notify_one();
    }

    /// The next call to note; `None` once there is none and `drained` says that none will come.
    async fn next(&self, drained: &CancellationToken) -> Option<Break> {
        loop {
            let changed = self.changed.notified();
            if let Some(call) = self.lock().pop_front() {
                return Some(call);
            }
            if drained.is_cancelled() {
                return None;
            }
            tokio::select! { () = changed => {} () = drained.cancelled() => {} }
        }
    }

    /// To be tried again, before the others: it is the oldest.
    fn put_back(&self, call: Break) {
        if call.since.elapsed() < self.keep {
            self.lock().push_front(call);
        } else {
            self.count("lost");
        }
    }

    /// Notes what breaks, until `drained` and a little longer: clients that a restart cuts off retry elsewhere.
    pub(crate) async fn run(&self, broker: &Broker, drained: &CancellationToken) {
        let last_words = async {
            drained.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            _ = join_all((0..WRITERS).map(|_| self.note_all(broker, drained))) => {}
            () = last_words => tracing::warn!(calls = self.lock().len(), "broken calls could not be noted"),
        }
    }

    async fn note_all(&self, broker: &Broker, drained: &CancellationToken) {
        while let Some(call) = self.next(drained).await {
            if note(broker, &call).await {
                self.count("noted");
            } else {
                self.put_back(call);
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    fn count(&self, outcome: &str) {
        self.outcomes.with_label_values(&[outcome]).inc();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Break>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn note(broker: &Broker, call: &Break) -> bool {
    let at = broker.now().before(call.since.elapsed());
    let broken = BrokenCall { id: call.id, nonce: call.nonce.clone(), at, taker: None };
    match timeout(PATIENCE, broker.note_broken(&call.digest, &broken)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::debug!(error = chain(&error), "broken call not noted yet"),
        Err(_) => tracing::debug!("broken call not noted yet: no answer in time"),
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use schemas::timestamp::Timestamp;

    const KEEP: Duration = Duration::from_secs(120);

    fn breaks(keep: Duration) -> Arc<Breaks> {
        Breaks::testing(keep)
    }

    fn id(number: u128) -> JobId {
        JobId::new(Timestamp::from_millis(0), number)
    }

    fn owed(breaks: &Arc<Breaks>, digest: &str, number: u128) -> Promise {
        breaks.promise(&digest.into(), id(number)).unwrap()
    }

    fn taken(breaks: &Arc<Breaks>, digest: &str) -> Option<JobId> {
        let promise = breaks.take_here(&digest.into())?;
        let id = promise.id();
        promise.kept();
        Some(id)
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_broken_promise_is_joined_and_once() {
        let breaks = breaks(KEEP);
        owed(&breaks, "a", 1).kept();
        assert_eq!(taken(&breaks, "a"), None);
        drop(owed(&breaks, "a", 2));
        drop(owed(&breaks, "b", 3));
        assert_eq!([taken(&breaks, "a"), taken(&breaks, "a"), taken(&breaks, "b")], [Some(id(2)), None, Some(id(3))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_that_breaks_too_leaves_its_job_to_the_next() {
        let breaks = breaks(KEEP);
        drop(owed(&breaks, "a", 1));
        drop(breaks.take_here(&"a".into()).unwrap());
        assert_eq!(taken(&breaks, "a"), Some(id(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_joined_beyond_its_time_or_when_switched_off() {
        let all = breaks(KEEP);
        drop(owed(&all, "a", 1));
        tokio::time::advance(KEEP).await;
        assert_eq!(taken(&all, "a"), None);
        assert!(breaks(Duration::ZERO).promise(&"a".into(), id(1)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_noted_before_the_process_ends() {
        let (breaks, drained) = (breaks(KEEP), CancellationToken::new());
        assert!(breaks.next(&drained).now_or_never().is_none());
        drop(owed(&breaks, "a", 1));
        drop(owed(&breaks, "b", 2));
        drained.cancel();
        let first = breaks.next(&drained).await.unwrap();
        breaks.put_back(first);
        let mut left = Vec::new();
        while let Some(call) = breaks.next(&drained).await {
            left.push(call.id);
        }
        assert_eq!(left, [id(1), id(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_breaks_is_bounded() {
        let breaks = breaks(KEEP);
        for number in 0..MOST as u128 + 1 {
            drop(owed(&breaks, "a", number));
        }
        assert_eq!(breaks.lock().len(), MOST);
        assert_eq!(taken(&breaks, "a"), Some(id(1)));
    }
}
