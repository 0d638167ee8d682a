//! Summaries of sessions: internal jobs of the low lane that no turn waits for. Whoever adds a turn asks for what is due;
//! the job's id comes from the session and what is to be summed up, so that one range is one job whoever asks. Whoever
//! meets the ended job takes what it says into the history.

use schemas::chat::FinishReason;
use schemas::id::JobId;
use schemas::job::{ContextOptions, Job, JobHead, Lane, OnAmbiguous, Payload};
use schemas::session::{Due, History, SessionKey, SummaryRange, SummaryRules};
use schemas::state::JobState;
use tracing::Instrument;

use super::audit::{Actor, record as audit};
use super::store::Change;
use super::{SessionError, Sessions};
use crate::protocol::Record;
use crate::submit::Repeat;

impl Sessions {
    /// When summaries are due.
    pub(super) fn summary_rules(&self) -> SummaryRules {
        let config = &self.broker.0.config.sessions;
        SummaryRules { after: config.summary_after, keep: config.summary_keep, ttl: config.summary_ttl }
    }

    /// Asks for a summary that is due, on behalf of the job of this `head`. Whoever settled a turn does not wait for it:
    /// the next turn may be theirs.
    pub(super) fn ask_beside(&self, key: &SessionKey, head: &JobHead, due: Box<Due>) {
        let (sessions, key, head) = (self.clone(), key.clone(), head.clone());
        self.broker.spawn(async move { sessions.ask_for(&key, &head, Some(due)).await }.in_current_span());
    }

    /// Asks for a summary that is due, and for the next one if it is there already. What fails here only means that turns
    /// are dropped without one: the next turn asks again.
    async fn ask_for(&self, key: &SessionKey, head: &JobHead, due: Option<Box<Due>>) {
        let mut due = due;
        while let Some(wanted) = due {
            due = self.asked(key, head, &wanted).await.unwrap_or_else(|error| {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(session = key.hash(), error, "a summary cannot be asked for: the next turn will");
                None
            });
        }
    }

    /// Takes what an ended summary job says into its session, and asks for the next one if it is due by then.
    ///
    /// # Errors
    /// [`SessionError`]; the session's next turn will take it.
    pub async fn fold(&self, id: JobId, head: &JobHead) -> Result<(), SessionError> {
        let Some(range) = &head.summarizes else { return Ok(()) };
        let Some(record) = self.broker.state(id).await?.filter(|record| record.state.phase.is_terminal()) else {
            return Ok(());
        };
        let key = SessionKey::of(&head.tenant, &range.session);
        let next = self.take(&key, id, range, &record).await?;
        self.ask_for(&key, head, next).await;
        Ok(())
    }

    /// Submits the job, unless it was before. The next summary that is due, when this one is there.
    async fn asked(&self, key: &SessionKey, head: &JobHead, due: &Due) -> Result<Option<Box<Due>>, SessionError> {
        let job = self.summary_job(head, due);
        match self.broker.state(job.id).await? {
            Some(record) if record.state.phase.is_terminal() => self.take(key, job.id, &due.range, &record).await,
            Some(_) => Ok(None),
            None => {
                let patience = self.broker.0.config.ingress.submit_timeout;
                match self.broker.submit(&job, Repeat::Keyed, patience).await {
                    Ok(accepted) if accepted.replayed => {}
                    Ok(_) => self.asked_now(key, &job, &due.range),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(
                            session = key.hash(),
                            error,
                            "a summary job is not accepted: the next turn asks"
                        );
                    }
                }
                Ok(None)
            }
        }
    }

    fn asked_now(&self, key: &SessionKey, job: &Job, range: &SummaryRange) {
        self.count("asked");
        let (after, up_to, job_id) = (range.after, range.up_to, job.id.job());
        tracing::info!(session = key.hash(), job_id, after, up_to, "a summary is asked for");
    }

    /// The job is its session's tenant's, like every turn, and is paid for as such.
    fn summary_job(&self, head: &JobHead, due: &Due) -> Job {
        let (config, now) = (&self.broker.0.config, self.broker.now());
        let sessions = &config.sessions;
        let model = if sessions.summary_model.is_empty() { &head.model } else { &sessions.summary_model };
        let patience = sessions.summary_ttl.min(config.streams.max_delay);
        let head = JobHead {
            tenant: head.tenant.clone(),
            lane: Lane::Low,
            model: model.clone(),
            created_at: now,
            not_before: None,
            deadline: Some(now.after(patience)),
            session: None,
            metadata: std::collections::BTreeMap::new(),
            on_ambiguous: OnAmbiguous::Retry,
            stream: false,
            synchronous: false,
            body_hash: due.digest(),
            trace_id: head.trace_id.clone(),
            parent: None,
            provider: None,
            summarizes: Some(Box::new(due.range.clone())),
        };
        let request = due.request(model, sessions.summary_max_tokens);
        Job {
            id: due.job_id(&head.tenant),
            head,
            context: ContextOptions::default(),
            request: Payload::Inline(Box::new(request)),
            warnings: Vec::new(),
            surface: None,
        }
    }

    /// Takes the summary of `range` that `record` holds, if the session still has those turns and no summary of them.
    async fn take(
        &self,
        key: &SessionKey,
        id: JobId,
        range: &SummaryRange,
        record: &Record,
    ) -> Result<Option<Box<Due>>, SessionError> {
        let Some(text) = text_of(&record.state) else {
            self.count("failed");
            tracing::info!(session = key.hash(), job_id = id.job(), "there is no summary: turns are dropped without");
            return Ok(None);
        };
        let (rules, now) = (self.summary_rules(), self.broker.now());
        let taken = |history: Option<History>| match history.and_then(|known| known.summarized(range, &text, now)) {
            Some(next) => {
                let (next, due) = next.asking(&rules, now);
                Change::To(Box::new(next), Some(due))
            }
            None => Change::Nothing(None),
        };
        let (taken, revision) = self.change_history(key, taken).await?;
        if taken.is_some() {
            audit("summarize", &record.state.head.tenant, key, Actor::Turn(id), revision);
        }
        self.count(if taken.is_some() { "taken" } else { "outdated" });
        Ok(taken.flatten())
    }

    fn count(&self, outcome: &str) {
        self.broker.0.metrics.summaries.with_label_values(&[outcome]).inc();
    }
}

/// What an ended job says. One that its limit cut says enough; what a filter left is not a summary.
fn text_of(state: &JobState) -> Option<String> {
    let result = state.result.as_ref().filter(|result| {
        matches!(result.finish, Some(FinishReason::Stop | FinishReason::Length)) && result.error.is_none()
    })?;
    let text = result.output.as_ref()?.joined_text();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
