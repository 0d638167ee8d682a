//! Dead jobs, as far as they count: whoever meets an entry whose job ended otherwise purges it. A key sees the entries of
//! its tenant, an admin's those of all.

use broker::{DeadEntry, DeadFilter, DeadJob, Judged};
use schemas::chat::ChatRequest;
use schemas::id::JobId;
use schemas::job::{Lane, Payload};
use schemas::state::JobState;
use schemas::timestamp::Timestamp;
use schemas::view::JobView;
use serde::Serialize;
use tokio::time::timeout;

use crate::app::App;
use crate::auth::Caller;
use crate::body::Holds;
use crate::error::ApiError;
use crate::stored;

/// A dead job as clients read it.
#[derive(Debug, Serialize)]
pub(crate) struct DeadView {
    id: JobId,
    object: &'static str,
    tenant: String,
    died_at: Timestamp,
    /// How it ended, with every attempt.
    pub(crate) job: JobView,
}

impl DeadView {
    /// The view of an entry whose job ended as `state` tells.
    pub(crate) fn new(entry: DeadEntry, state: &JobState) -> Self {
        let (id, tenant) = (entry.id, state.head.tenant.clone());
        Self { id, object: "dead_job", tenant, died_at: entry.stored_at, job: JobView::of_state(id, state) }
    }
}

/// A dead job that counts.
#[derive(Debug)]
pub(crate) struct Dead {
    /// Its place.
    pub(crate) entry: DeadEntry,
    /// The job.
    pub(crate) job: DeadJob,
    /// How it ended.
    pub(crate) state: JobState,
}

/// Which entries `caller` may see, of one lane or of all.
pub(crate) fn visible(caller: &Caller, lane: Option<Lane>) -> DeadFilter {
    DeadFilter { tenant: (!caller.admin).then(|| caller.tenant.as_ref().to_owned()), lane }
}

/// The dead job `id`, if `caller` may see it.
pub(crate) async fn find(app: &App, caller: &Caller, id: JobId) -> Result<Dead, ApiError> {
    let unknown = || ApiError::not_found("no such dead job");
    let tenant = visible(caller, None).tenant;
    let looked = timeout(app.config.ingress.submit_timeout, async {
        let Some((entry, job)) = app.broker.dead_job(tenant.as_deref(), id).await? else { return Ok(None) };
        let state = judged(app, entry, Some(&job)).await?;
        Ok::<_, ApiError>(state.map(|state| Dead { entry, job, state }))
    });
    looked.await.map_err(|_| silent())??.ok_or_else(unknown)
}

/// How the job of an entry ended, if the entry counts. A stray one is purged. `held` is what the entry holds, where that
/// is known.
pub(crate) async fn judged(app: &App, entry: DeadEntry, held: Option<&DeadJob>) -> Result<Option<JobState>, ApiError> {
    match app.broker.judge_dead(entry, held).await? {
        Judged::Counts(state) => Ok(Some(*state)),
        Judged::Nothing => Ok(None),
        Judged::Forgotten(job) => {
            let history = app.store.get(&job.job.head.tenant, entry.id).await.unwrap_or_default();
            Ok(app.broker.judge_forgotten(entry, &job, history.as_ref()).await?)
        }
    }
}

/// The request of a dead job, wherever it lies, and the memory set aside for it; `None` past its retention.
pub(crate) async fn request(
    app: &App,
    id: JobId,
    payload: Payload,
) -> Result<Option<(Box<ChatRequest>, Holds)>, ApiError> {
    let fetch = async |object: String, limit| app.broker.dead_body(id, &object, limit).await;
    stored::request(app, payload, fetch).await
}

/// The refusal when the broker takes too long.
pub(crate) fn silent() -> ApiError {
    ApiError::unavailable("the broker does not answer; try again")
}
