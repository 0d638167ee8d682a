//! Which job a call stands for: the one of its idempotency key, the one that its broken predecessor left behind, or a new
//! one. Every API whose SDKs retry by themselves comes through [`enter`].

pub(crate) mod breaks;

use std::sync::Arc;
use std::time::Duration;

use broker::Repeat;
use http::{HeaderMap, HeaderName};
use schemas::error::ErrorCode;
use schemas::state::Phase;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout};

use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::submit::Identity;
use crate::waiters::{Waiter, Waiters};
use breaks::Promise;

/// How official SDKs number their repeats of one call, from 0.
const RETRY_COUNT: HeaderName = HeaderName::from_static("x-stainless-retry-count");
/// How long a retry waits for its break to be noted: another ingress may have seen it a moment ago. SDKs wait at least
/// half a second before they retry.
const PATIENCE: Duration = Duration::from_millis(200);
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// A call that has its job's id, and a client that waits, be it for no more than to hear that the job was accepted. To be
/// submitted next.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The job.
    pub(crate) identity: Identity,
    /// The client. Drop it when the client left, or give it what it waits for.
    pub(crate) waiter: Waiter,
    /// What the same request meets when it comes again.
    pub(crate) again: Again,
    /// The job was left behind by a call that broke.
    joined: bool,
}

/// What the same request meets when it comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The same job, by its idempotency key.
    Keyed,
    /// The same job if it comes as a retry of a call that broke; else a new one.
    Rejoins,
    /// A new job.
    Anew,
}

impl Again {
    /// `error` in place of an answer, of a call whose job was accepted.
    pub(crate) fn unanswered(self, error: ApiError) -> ApiError {
        match self {
            // One key, one job: the same request would only be told again how that job failed.
            Self::Keyed if !error.is_open() => error.settled(),
            _ => self.unaccepted(error),
        }
    }

    /// `error` in place of an acceptance. A job that may run all the same must not get a second one beside it.
    fn unaccepted(self, error: ApiError) -> ApiError {
        if self == Self::Anew && error.is_open() { error.settled() } else { error }
    }
}

impl Entry {
    /// The submit failed: what the client is told, and whether its retry may join a job that exists perhaps. The job of a
    /// key may be another call's, whose client has left: it is looked after as before.
    pub(crate) fn refused(self, error: ApiError) -> ApiError {
        let Self { waiter, again, joined, .. } = self;
        if !joined && !error.is_open() && again != Again::Keyed {
            waiter.served();
        }
        again.unaccepted(error)
    }

    /// The job was accepted, and its client waits for nothing else: what it is told. If that is an error, its retry is to
    /// find the job.
    pub(crate) fn accepted<T>(self, answer: Result<T, ApiError>) -> Result<T, ApiError> {
        let Self { waiter, again, .. } = self;
        if answer.is_ok() {
            waiter.served();
        }
        answer.map_err(|error| again.unaccepted(error.open()))
    }
}

/// Finds out which job a call stands for. `identity` is what its headers say. The job of a `synchronous` one lives for
/// those who wait for it.
///
/// # Errors
/// When the broker cannot tell whether a retry has a job already: to try again.
pub(crate) async fn enter(
    app: &Arc<App>,
    caller: &Caller,
    headers: &HeaderMap,
    identity: Identity,
    body_hash: &str,
    synchronous: bool,
) -> Result<Entry, ApiError> {
    if identity.repeat == Repeat::Keyed {
        let waiter = app.waiters.join(identity.id);
        if synchronous {
            app.broker.tell_waiting(identity.id).await;
        }
        return Ok(Entry { identity, waiter, again: Again::Keyed, joined: false });
    }
    let digest: Arc<str> = digest(caller, body_hash).into();
    if is_retry(headers)
        && !app.config.ingress.retry_join.is_zero()
        && let Some(entry) = joined(app, &digest, synchronous).await?
    {
        return Ok(entry);
    }
    let promise = app.breaks.promise(&digest, identity.id);
    Ok(entry(&app.waiters, identity, promise, false, synchronous))
}

/// A call's entry under an id that nobody can have used for anything else.
fn entry(
    waiters: &Arc<Waiters>,
    identity: Identity,
    promise: Option<Promise>,
    joined: bool,
    synchronous: bool,
) -> Entry {
    let mut waiter = waiters.join(identity.id);
    if synchronous {
        waiter.synchronous();
    }
    let again = if promise.is_some() { Again::Rejoins } else { Again::Anew };
    waiter.owe(promise);
    Entry { identity, waiter, again, joined }
}

/// The entry of a retry whose call was seen to break.
async fn joined(app: &Arc<App>, digest: &Arc<str>, synchronous: bool) -> Result<Option<Entry>, ApiError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match within(app, app.breaks.take(&app.broker, digest)).await?? {
            Some(promise) => {
                let id = promise.id();
                let identity = Identity { id, repeat: Repeat::Keyed };
                let entry = entry(&app.waiters, identity, Some(promise), true, synchronous);
                if let Some(entry) = revived(app, entry).await? {
                    app.breaks.joined();
                    tracing::info!(job_id = id.job(), "retry joined the job of the call that broke");
                    return Ok(Some(entry));
                }
            }
            None if Instant::now() >= deadline => return Ok(None),
            None => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// The entry of a job that still has an answer to give, told to every ingress before it is looked at. One that was
/// cancelled, its client having been away for too long, has none.
async fn revived(app: &App, entry: Entry) -> Result<Option<Entry>, ApiError> {
    app.broker.tell_waiting(entry.identity.id).await;
    let record = within(app, app.broker.state(entry.identity.id)).await??;
    if record.is_some_and(|record| matches!(record.state.phase, Phase::Cancelled | Phase::Expired)) {
        entry.waiter.served();
        return Ok(None);
    }
    Ok(Some(entry))
}

async fn within<T>(app: &App, work: impl Future<Output = T>) -> Result<T, ApiError> {
    let done = timeout(app.config.ingress.submit_timeout, work).await;
    done.map_err(|_| ApiError::new(ErrorCode::Unavailable, "the broker does not answer; try again"))
}

fn is_retry(headers: &HeaderMap) -> bool {
    let count = headers.get(RETRY_COUNT).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    count.is_some_and(|count| count > 0)
}

/// Names what a retry has in common with its call: key, route and body, the latter two being in `body_hash`.
fn digest(caller: &Caller, body_hash: &str) -> String {
    let digest = Sha256::new().chain_update(caller.key).chain_update(body_hash).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use breaks::Breaks;
    use broker::SubmitError;
    use schemas::id::JobId;
    use schemas::timestamp::Timestamp;

    fn advice(again: Again, error: ApiError) -> (bool, bool) {
        (again.unanswered(error.clone()).is_settled(), again.unaccepted(error).is_settled())
    }

    #[test]
    fn no_advice_makes_a_second_job_of_one_that_may_run() {
        let open = || ApiError::unavailable("away").open();
        assert_eq!(advice(Again::Keyed, open()), (false, false));
        assert_eq!(advice(Again::Rejoins, open()), (false, false));
        assert_eq!(advice(Again::Anew, open()), (true, true));
    }

    #[test]
    fn a_job_that_failed_may_be_tried_again_but_not_under_its_key() {
        let failed = || ApiError::new(ErrorCode::ProviderOverloaded, "down");
        assert_eq!(advice(Again::Keyed, failed()), (true, false));
        assert_eq!(advice(Again::Rejoins, failed()), (false, false));
        assert_eq!(advice(Again::Anew, failed()), (false, false));
    }

    fn id() -> JobId {
        JobId::new(Timestamp::from_millis(0), 1)
    }

    /// A call that is to be accepted and no more, where retries join or not.
    fn background(breaks: &Arc<Breaks>, waiters: &Arc<Waiters>) -> Entry {
        let identity = Identity { id: id(), repeat: Repeat::Fresh };
        entry(waiters, identity, breaks.promise(&"digest".into(), id()), false, false)
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_in_the_background_is_accepted_once() {
        let breaks = |keep| Breaks::testing(Duration::from_secs(keep));
        let waiters = Arc::new(Waiters::default());
        let open = || ApiError::from(SubmitError::Unavailable);
        let (none, some) = (breaks(0), breaks(120));
        assert!(background(&none, &waiters).refused(open()).is_settled(), "nobody would find the job again");
        assert!(!background(&some, &waiters).refused(open()).is_settled());
        assert_eq!(some.left_behind(), [id()], "a retry finds it");
        assert!(background(&some, &waiters).accepted(Ok(())).is_ok());
        assert_eq!(some.left_behind(), []);
        let untold = background(&some, &waiters).accepted(Err::<(), _>(ApiError::unavailable("away")));
        assert!(!untold.unwrap_err().is_settled() && some.left_behind() == [id()]);
        let abandoned = tokio::time::timeout(Duration::from_secs(60), waiters.next_abandoned(Duration::ZERO));
        assert!(abandoned.await.is_err(), "nobody's leaving cancels it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_body_leaves_the_job_of_its_key_to_be_looked_after() {
        let waiters = Arc::new(Waiters::default());
        let owner = waiters.join(id());
        owner.synchronous();
        drop(owner);
        let identity = Identity { id: id(), repeat: Repeat::Keyed };
        let other = Entry { identity, waiter: waiters.join(id()), again: Again::Keyed, joined: false };
        other.refused(SubmitError::Conflict.into());
        let abandoned = waiters.next_abandoned(Duration::from_secs(5));
        assert_eq!(tokio::time::timeout(Duration::from_secs(60), abandoned).await, Ok(id()));
    }

    #[test]
    fn only_a_repeat_counts_as_one() {
        let retry = |text: &'static str| is_retry(&HeaderMap::from_iter([(RETRY_COUNT, text.parse().unwrap())]));
        assert!(retry("1") && retry("2"));
        assert!(!retry("0") && !retry("") && !retry("-1") && !retry("yes") && !is_retry(&HeaderMap::new()));
    }

    #[test]
    fn keys_do_not_share_their_breaks() {
        let caller = |key| Caller { tenant: "t".into(), admin: false, key };
        assert_eq!(digest(&caller([1; 32]), "b"), digest(&caller([1; 32]), "b"));
        assert_ne!(digest(&caller([1; 32]), "b"), digest(&caller([2; 32]), "b"));
        assert_ne!(digest(&caller([1; 32]), "b"), digest(&caller([1; 32]), "c"));
    }
}
