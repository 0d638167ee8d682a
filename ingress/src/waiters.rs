//! Who waits for which job in this process. A synchronous job whose last client has been gone for a while is cancelled;
//! a client that comes back in time (a retry) keeps it alive. Clients of other processes are asked for, and heard of,
//! through `presence`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemas::id::JobId;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::rejoin::breaks::Promise;

/// Clients that wait, by job.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    jobs: Mutex<HashMap<JobId, Entry>>,
    changed: Notify,
}

#[derive(Debug)]
struct Entry {
    clients: usize,
    /// Nobody would miss its end once its clients are gone.
    synchronous: bool,
    /// Since when nobody waits.
    left_at: Option<Instant>,
    /// Somebody is finding out whether a client waits elsewhere.
    asked: bool,
}

/// One client that waits for one job. Dropping it before [`Waiter::served`] means that the client left.
#[derive(Debug)]
pub(crate) struct Waiter {
    waiters: Arc<Waiters>,
    id: JobId,
    served: bool,
    /// What its retry may join, if it leaves unanswered.
    promise: Option<Promise>,
}

impl Waiters {
    /// A client begins to wait.
    pub(crate) fn join(self: &Arc<Self>, id: JobId) -> Waiter {
        let mut jobs = self.lock();
        let entry = jobs.entry(id).or_insert(Entry { clients: 0, synchronous: false, left_at: None, asked: false });
        entry.clients += 1;
        (entry.left_at, entry.asked) = (None, false);
        Waiter { waiters: Arc::clone(self), id, served: false, promise: None }
    }

    /// The next job whose clients have all been gone for `grace`. It is to be given up, unless a client waits elsewhere.
    pub(crate) async fn next_abandoned(&self, grace: Duration) -> JobId {
        loop {
            let changed = self.changed.notified();
            let first = self.first_left();
            match first {
                Some((id, left_at)) if left_at.elapsed() >= grace => {
                    if self.ask(id, grace) {
                        return id;
                    }
                }
                Some((_, left_at)) => tokio::select! {
                    () = tokio::time::sleep_until(left_at + grace) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// Forgets a job of [`Self::next_abandoned`], unless a client has come back meanwhile, here or elsewhere. Whether it
    /// was forgotten.
    pub(crate) fn give_up(&self, id: JobId) -> bool {
        let mut jobs = self.lock();
        let abandoned = jobs.get(&id).is_some_and(|entry| entry.asked);
        if abandoned {
            jobs.remove(&id);
        }
        abandoned
    }

    /// Whether a client waits here. If so, the job is looked after here from now on, and no more where it was asked for.
    pub(crate) fn adopt(&self, id: JobId) -> bool {
        match self.lock().get_mut(&id) {
            Some(entry) if entry.clients > 0 => {
                entry.synchronous = true;
                true
            }
            _ => false,
        }
    }

    /// A client waits in another process. It may be refused there, so the job is not forgotten here: the grace begins
    /// anew, and the other process is asked when it is over.
    pub(crate) fn came_back_elsewhere(&self, id: JobId) {
        if let Some(entry) = self.lock().get_mut(&id).filter(|entry| entry.clients == 0) {
            (entry.left_at, entry.asked) = (Some(Instant::now()), false);
            self.changed.notify_one();
        }
    }

    fn first_left(&self) -> Option<(JobId, Instant)> {
        let jobs = self.lock();
        let waiting = jobs.iter().filter(|(_, entry)| !entry.asked);
        waiting.filter_map(|(id, entry)| Some((*id, entry.left_at?))).min_by_key(|(_, left_at)| *left_at)
    }

    /// Marks a job as asked for, unless a client came back meanwhile.
    fn ask(&self, id: JobId, grace: Duration) -> bool {
        let mut jobs = self.lock();
        let Some(entry) = jobs.get_mut(&id) else { return false };
        entry.asked = entry.left_at.is_some_and(|left_at| left_at.elapsed() >= grace);
        entry.asked
    }

    fn leave(&self, id: JobId, served: bool) {
        let mut jobs = self.lock();
        let Some(entry) = jobs.get_mut(&id) else { return };
        entry.clients = entry.clients.saturating_sub(1);
        if entry.clients > 0 {
            return;
        }
        if served || !entry.synchronous {
            jobs.remove(&id);
        } else {
            entry.left_at = Some(Instant::now());
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Entry>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// The job exists only for those who wait for it.
    pub(crate) fn synchronous(&self) {
        if let Some(entry) = self.waiters.lock().get_mut(&self.id) {
            entry.synchronous = true;
        }
    }

    /// The client is owed an answer: its retry may join the job if it leaves without one.
    pub(crate) fn owe(&mut self, promise: Option<Promise>) {
        self.promise = promise;
    }

    /// The client has its answer, or will not be owed one: its leaving means nothing.
    pub(crate) fn served(self) {
        self.told(true, false);
    }

    /// The client has been told something. Unless the job has `ended`, its leaving counts; and where it was not told how
    /// its call ended, which is left `open`, its retry may join the job.
    pub(crate) fn told(mut self, ended: bool, open: bool) {
        if open {
            return;
        }
        self.served = ended;
        if let Some(promise) = self.promise.take() {
            promise.kept();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.leave(self.id, self.served);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use schemas::timestamp::Timestamp;

    const GRACE: Duration = Duration::from_secs(5);

    fn id(number: u128) -> JobId {
        JobId::new(Timestamp::from_millis(0), number)
    }

    fn owner(waiters: &Arc<Waiters>) -> Waiter {
        let waiter = waiters.join(id(1));
        waiter.synchronous();
        waiter
    }

    async fn nobody_is_missed(waiters: &Waiters) {
        assert!(tokio::time::timeout(10 * GRACE, waiters.next_abandoned(GRACE)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_is_abandoned_when_its_last_client_stays_away() {
        let waiters = Arc::new(Waiters::default());
        let (first, second) = (owner(&waiters), owner(&waiters));
        drop(first);
        nobody_is_missed(&waiters).await;
        drop(second);
        let left = Instant::now();
        assert_eq!(waiters.next_abandoned(GRACE).await, id(1));
        assert_eq!(left.elapsed(), GRACE);
        assert!(waiters.next_abandoned(GRACE).now_or_never().is_none());
        assert!(waiters.give_up(id(1)) && waiters.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_comes_back_while_others_are_asked_keeps_it_alive() {
        let waiters = Arc::new(Waiters::default());
        drop(owner(&waiters));
        assert_eq!(waiters.next_abandoned(GRACE).await, id(1));
        waiters.came_back_elsewhere(id(1));
        assert!(!waiters.give_up(id(1)), "it came back elsewhere");
        let told = Instant::now();
        assert_eq!((waiters.next_abandoned(GRACE).await, told.elapsed()), (id(1), GRACE));
        drop(waiters.join(id(1)));
        assert!(!waiters.give_up(id(1)), "it came back here, and has a grace of its own");
        assert_eq!(waiters.next_abandoned(GRACE).await, id(1));
        assert!(waiters.give_up(id(1)) && !waiters.give_up(id(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_comes_back_keeps_it_alive() {
        let waiters = Arc::new(Waiters::default());
        drop(owner(&waiters));
        tokio::time::advance(GRACE / 2).await;
        let back = waiters.join(id(1));
        nobody_is_missed(&waiters).await;
        drop(back);
        assert_eq!(waiters.next_abandoned(GRACE).await, id(1));
    }

    #[tokio::test(start_paused = true)]
    async fn served_clients_and_background_jobs_leave_nothing() {
        let waiters = Arc::new(Waiters::default());
        owner(&waiters).served();
        drop(waiters.join(id(2)));
        nobody_is_missed(&waiters).await;
        assert!(waiters.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_is_looked_after_where_its_last_client_is() {
        let (here, there) = (Arc::new(Waiters::default()), Arc::new(Waiters::default()));
        drop(owner(&here));
        let guest = there.join(id(1));
        here.came_back_elsewhere(id(1));
        assert_eq!(here.next_abandoned(GRACE).await, id(1));
        assert!(there.adopt(id(1)) && !here.adopt(id(1)));
        there.came_back_elsewhere(id(1));
        nobody_is_missed(&there).await;
        drop(guest);
        assert!(!there.adopt(id(1)), "it has left");
        assert_eq!(there.next_abandoned(GRACE).await, id(1));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_keeps_a_synchronous_job_alive() {
        let waiters = Arc::new(Waiters::default());
        let (owner, guest) = (owner(&waiters), waiters.join(id(1)));
        drop(owner);
        nobody_is_missed(&waiters).await;
        drop(guest);
        assert_eq!(waiters.next_abandoned(GRACE).await, id(1));
    }
}
