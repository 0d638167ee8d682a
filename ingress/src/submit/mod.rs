//! From a decoded request to a durable job: which id it gets, whether it is admitted, where its body goes, and the one
//! publish that accepts it. Shared by every API that submits.

mod admit;
mod context;
mod fields;
pub(crate) mod identity;
pub(crate) mod native;
mod parts;
pub(crate) mod replay;
mod unknown;

use std::collections::BTreeMap;

use schemas::chat::ChatRequest;
use schemas::id::JobId;
use schemas::job::{ContextOptions, Job, JobHead, Lane, OnAmbiguous, Surface};
use schemas::timestamp::Timestamp;
use schemas::warning::Warning;
use tokio::time::timeout;

use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::request_id::RequestId;
use crate::session;

pub(crate) use fields::{is_session_name, lane as parse_lane, metadata as parse_metadata};
pub(crate) use identity::Identity;

use parts::Parts;

/// What a client asks for, whichever API it used.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Submission {
    /// How urgent it is.
    pub(crate) lane: Lane,
    /// Not to be started earlier.
    pub(crate) not_before: Option<Timestamp>,
    /// Past this moment it ends `expired`.
    pub(crate) deadline: Option<Timestamp>,
    /// The conversation it belongs to.
    pub(crate) session: Option<String>,
    /// The client's own labels.
    pub(crate) metadata: BTreeMap<String, String>,
    /// What to do about a call that may have happened.
    pub(crate) on_ambiguous: OnAmbiguous,
    /// How its context may be pruned.
    pub(crate) context: ContextOptions,
    /// What the model is asked.
    pub(crate) request: ChatRequest,
    /// What of the request will not reach a provider.
    pub(crate) warnings: Vec<Warning>,
    /// A client holds its connection open for the answer.
    pub(crate) synchronous: bool,
    /// What its API shows of it later on.
    pub(crate) surface: Option<Surface>,
    /// The dead job that it is a replay of.
    pub(crate) parent: Option<JobId>,
    /// The one provider that may be asked.
    pub(crate) provider: Option<String>,
}

impl Submission {
    /// The session in whose line it would stand. A turn whose time has not come is not in line yet.
    fn in_line(&self, now: Timestamp) -> Option<&str> {
        self.session.as_deref().filter(|_| self.not_before.is_none_or(|moment| moment <= now))
    }
}

/// Who submits, as which job.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    /// Whose job it will be.
    pub(crate) caller: &'a Caller,
    /// The HTTP request.
    pub(crate) request_id: &'a RequestId,
    /// The id that the job gets.
    pub(crate) identity: Identity,
    /// What tells a repeated body from a changed one.
    pub(crate) body_hash: String,
    /// How large the body was, `usize::MAX` where nobody knows.
    pub(crate) body_bytes: usize,
}

/// A durable job.
#[derive(Debug)]
pub(crate) struct Submitted {
    /// The job, its head as it was first accepted.
    pub(crate) job: Job,
    /// The same key and body had been accepted before.
    pub(crate) replayed: bool,
}

/// Makes a job of `submission` and answers once it is durable.
pub(crate) async fn submit(app: &App, origin: Origin<'_>, submission: Submission) -> Result<Submitted, ApiError> {
    let lane: &'static str = submission.lane.into();
    let timer = app.metrics.submit.duration.start_timer();
    let outcome = admit_and_publish(app, origin, submission).await;
    timer.observe_duration();
    let word = match &outcome {
        Ok(Submitted { replayed: true, .. }) => "replayed",
        Ok(_) => "accepted",
        Err(error) => error.failure().code.into(),
    };
    app.metrics.submit.submits.with_label_values(&[lane, word]).inc();
    if let Ok(Submitted { replayed: false, .. }) = outcome {
        app.tally.accepted();
    }
    outcome
}

async fn admit_and_publish(app: &App, origin: Origin<'_>, submission: Submission) -> Result<Submitted, ApiError> {
    let now = app.broker.now();
    let identity = origin.identity;
    if let Err(refusal) = admitted(app, &origin, &submission, now).await {
        // What was accepted once stays accepted, whatever has changed since: a passed deadline, a model that went.
        if !known(app, identity).await? {
            return Err(refusal);
        }
    }
    let mut job = assemble(app, origin, submission, now).await?;
    let patience = app.config.ingress.submit_timeout;
    let accepted = app.broker.submit(&job, identity.repeat, patience).await?;
    job.head = accepted.head;
    session::join(app, &job, accepted.replayed).await?;
    Ok(Submitted { job, replayed: accepted.replayed })
}

async fn admitted(app: &App, origin: &Origin<'_>, submission: &Submission, now: Timestamp) -> Result<(), ApiError> {
    admit::admit(app, submission, now)?;
    match submission.in_line(now) {
        Some(session) => session::has_room(app, &origin.caller.tenant, session).await,
        None => Ok(()),
    }
}

/// Whether a keyed id stands for a job already.
async fn known(app: &App, identity: Identity) -> Result<bool, ApiError> {
    if identity.repeat == broker::Repeat::Fresh {
        return Ok(false);
    }
    let sighting = timeout(app.config.ingress.submit_timeout, app.broker.find(identity.id)).await;
    let sighting = sighting.map_err(|_| ApiError::unavailable("the broker does not answer; try again"))??;
    Ok(!matches!(sighting, broker::Sighting::Absent))
}

async fn assemble(app: &App, origin: Origin<'_>, submission: Submission, now: Timestamp) -> Result<Job, ApiError> {
    let ingress = &app.config.ingress;
    // Nobody reads the answer of a synchronous job after its last client was told that time is up.
    let patience = ingress.synchronous_timeout + ingress.leave_grace;
    let head = JobHead {
        tenant: origin.caller.tenant.as_ref().to_owned(),
        lane: submission.lane,
        model: submission.request.model.clone(),
        created_at: now,
        not_before: submission.not_before,
        deadline: submission.deadline.or_else(|| submission.synchronous.then(|| now.after(patience))),
        session: submission.session,
        metadata: submission.metadata,
        on_ambiguous: submission.on_ambiguous,
        stream: submission.request.stream,
        synchronous: submission.synchronous,
        body_hash: origin.body_hash,
        trace_id: origin.request_id.to_string(),
        parent: submission.parent,
        provider: submission.provider,
        summarizes: None,
    };
    let id = origin.identity.id;
    let parts = Parts::new(app, id, &head, origin.body_bytes);
    let surface = parts.surface(submission.surface).await?;
    let request = parts.request(submission.request, surface.as_ref()).await?;
    Ok(Job { id, head, context: submission.context, request, warnings: submission.warnings, surface })
}
