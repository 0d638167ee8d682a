//! A job as its client reads it, from whichever record there is: the queued message, STATE, or SQL.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::chat::{Message, Usage};
use crate::error::ErrorBody;
use crate::id::JobId;
use crate::job::{Job, JobHead, Lane};
use crate::session::SummaryRange;
use crate::state::{Attempt, ContextReport, JobState, Phase};
use crate::timestamp::Timestamp;
use crate::warning::Warning;

/// A job's status, as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Waiting for a worker, for its time, or for a provider: `reason` says which.
    Queued,
    /// A worker holds it.
    Running,
    /// Ended with a whole answer.
    Completed,
    /// Ended with an error.
    Failed,
    /// Ended by its client.
    Cancelled,
    /// Ended by its deadline.
    Expired,
    /// Ended with an answer that a limit or a filter cut.
    Incomplete,
}

impl Status {
    /// Whether the job has ended.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl From<Phase> for Status {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Parked => Self::Queued,
            Phase::Running => Self::Running,
            Phase::Completed => Self::Completed,
            Phase::Failed => Self::Failed,
            Phase::Cancelled => Self::Cancelled,
            Phase::Expired => Self::Expired,
            Phase::Incomplete => Self::Incomplete,
        }
    }
}

/// The body of `GET /v1/jobs/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// Always `job`.
    pub object: String,
    /// The dead job that this one is a replay of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<JobId>,
    /// Where it is.
    pub status: Status,
    /// While queued for another reason than its turn: `delayed`, `rate_limited`, `breaker_open`, ...
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// While parked or delayed: when it goes on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
    /// The model as the client wrote it.
    pub model: String,
    /// The provider that answered.
    pub provider: Option<String>,
    /// Its lane.
    pub lane: Lane,
    /// Its session.
    pub session: Option<String>,
    /// Its number among the session's turns, once it is one of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub turn: Option<u64>,
    /// What an internal job sums up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub summarizes: Option<Box<SummaryRange>>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The assistant's message.
    pub output: Option<Message>,
    /// Tokens of the answering attempt.
    pub usage: Option<Usage>,
    /// Why it failed.
    pub error: Option<ErrorBody>,
    /// Every provider request.
    pub attempts: Vec<Attempt>,
    /// What pruning did.
    pub context: Option<ContextReport>,
    /// What the client should know.
    pub warnings: Vec<Warning>,
    /// The client's own labels.
    pub metadata: BTreeMap<String, String>,
}

impl JobView {
    /// A job that no worker has touched. `delayed` when it waits for its `not_before`.
    #[must_use]
    pub fn queued(job: &Job, delayed: bool) -> Self {
        let mut view = Self::of_head(job.id, &job.head, Status::Queued);
        view.warnings.clone_from(&job.warnings);
        if delayed {
            view.reason = Some("delayed".to_owned());
            view.until = job.head.not_before;
        }
        view
    }

    /// A job as its record has it.
    #[must_use]
    pub fn of_state(id: JobId, state: &JobState) -> Self {
        let mut view = Self::of_head(id, &state.head, state.phase.into());
        view.reason = state.reason.clone().filter(|_| state.phase == Phase::Parked);
        view.until = state.until.filter(|_| state.phase == Phase::Parked);
        view.started_at = state.started_at;
        view.finished_at = state.finished_at;
        view.attempts.clone_from(&state.attempts);
        if let Some(result) = state.result.as_deref() {
            view.provider.clone_from(&result.provider);
            view.output.clone_from(&result.output);
            view.usage = result.usage;
            view.error = result.error.as_ref().map(|failure| ErrorBody::new(failure, &state.head.trace_id));
            view.turn = result.turn;
            view.context = result.context;
            view.warnings.clone_from(&result.warnings);
        }
        view
    }

    fn of_head(id: JobId, head: &JobHead, status: Status) -> Self {
        Self {
            id,
            object: "job".to_owned(),
            parent: head.parent,
            status,
            reason: None,
            until: None,
            model: head.model.clone(),
            provider: None,
            lane: head.lane,
            session: head.session.clone(),
            turn: None,
            summarizes: head.summarizes.clone(),
            created_at: head.created_at,
            started_at: None,
            finished_at: None,
            output: None,
            usage: None,
            error: None,
            attempts: Vec::new(),
            context: None,
            warnings: Vec::new(),
            metadata: head.metadata.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::envelope::samples;

    #[test]
    fn a_delayed_job_says_until_when() {
        let job = samples::job();
        let view = serde_json::to_value(JobView::queued(&job, true)).unwrap();
        assert_eq!(view["id"], job.id.job());
        assert_eq!((&view["object"], &view["status"]), (&json!("job"), &json!("queued")));
        assert_eq!((&view["reason"], &view["until"]), (&json!("delayed"), &json!(job.head.not_before)));
        assert_eq!(view["metadata"], json!(job.head.metadata));
        let waiting = serde_json::to_value(JobView::queued(&job, false)).unwrap();
        assert!(waiting.get("reason").is_none() && waiting.get("until").is_none());
    }

    #[test]
    fn a_replay_names_its_parent() {
        let replay = samples::replayed_job();
        let view = serde_json::to_value(JobView::queued(&replay, false)).unwrap();
        assert_eq!(view["parent"], samples::job().id.job());
        let first = serde_json::to_value(JobView::queued(&samples::job(), false)).unwrap();
        assert!(first.get("parent").is_none());
    }

    #[test]
    fn only_a_parked_job_has_a_reason() {
        let mut state = samples::state();
        let id = samples::job().id;
        let parked = JobView::of_state(id, &JobState { phase: Phase::Parked, ..state.clone() });
        assert_eq!((parked.status, parked.reason.as_deref()), (Status::Queued, Some("rate_limited")));
        assert!(parked.until.is_some() && !parked.status.is_terminal());
        state.phase = Phase::Failed;
        let failed = JobView::of_state(id, &state);
        assert_eq!((failed.status, failed.reason, failed.until), (Status::Failed, None, None));
        assert!(failed.status.is_terminal());
        assert_eq!(failed.error.unwrap().trace_id, state.head.trace_id);
        assert_eq!(failed.attempts, state.attempts);
    }
}
