//! Settling a turn that has ended: what was said goes into the history, then the turn leaves the line. Anybody may do so,
//! any number of times.

use schemas::chat::{ChatRequest, Message, Role};
use schemas::envelope;
use schemas::id::JobId;
use schemas::job::{JobHead, Payload};
use schemas::session::{Appended, Due, History, Place, SessionKey, Turn, TurnNote, said};
use schemas::state::{JobResult, Phase};

use super::audit::{Actor, record as audit};
use super::gate::STILL;
use super::store::Change;
use super::{SessionError, Sessions};
use crate::error::BrokerError;
use crate::protocol::Record;

impl Sessions {
    /// Settles every turn at the head of a session's line that has ended.
    ///
    /// # Errors
    /// [`SessionError`]; whoever looks next goes on with it.
    pub async fn settle(&self, tenant: &str, name: &str) -> Result<(), SessionError> {
        self.settle_all(&SessionKey::of(tenant, name)).await
    }

    pub(super) async fn settle_all(&self, key: &SessionKey) -> Result<(), SessionError> {
        for _ in 0..=self.most_waiting {
            let queue = self.queue(key).await?;
            if !self.settle_head(key, &queue, STILL).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Settles `id`, which heads the line and ended as `record` tells.
    pub(super) async fn settle_turn(&self, key: &SessionKey, id: JobId, record: &Record) -> Result<(), SessionError> {
        let state = &record.state;
        let mut due = None;
        if matches!(state.phase, Phase::Completed | Phase::Incomplete) {
            let turn = self.turn_of(id, &state.head, state.result.as_deref()).await?;
            // It may have been settled while the turn was put together: what has left the line is in the history.
            if self.queue(key).await?.value.place(id) != Place::First {
                return Ok(());
            }
            due = self.append(key, &state.head, &turn, note(state.result.as_deref())).await?;
        }
        self.change_queue(key, |queue| queue.without(id)).await?;
        if let Some(due) = due {
            self.ask_beside(key, &state.head, due);
        }
        Ok(())
    }

    /// Adds the turn. The summary that is due by then.
    async fn append(
        &self,
        key: &SessionKey,
        head: &JobHead,
        turn: &Turn,
        note: TurnNote,
    ) -> Result<Option<Box<Due>>, SessionError> {
        let (name, now) = (head.session.as_deref().unwrap_or_default(), self.broker.now());
        let rules = self.summary_rules();
        let appended = |history: Option<History>| {
            let history = history.unwrap_or_else(|| History::new(name, now));
            match history.appended(name, turn.clone(), &self.bounds, now) {
                Appended::Now(next, dropped) => {
                    let (next, due) = next.noted(note).asking(&rules, now);
                    Change::To(Box::new(next), Some((dropped, due)))
                }
                Appended::Before => Change::Nothing(None),
            }
        };
        let (appended, revision) = self.change_history(key, appended).await?;
        let Some((dropped, due)) = appended else { return Ok(None) };
        self.broker.0.metrics.turns.inc();
        self.broker.0.metrics.turns_dropped.inc_by(dropped as u64);
        audit("append", &head.tenant, key, Actor::Turn(turn.id), revision);
        Ok(due)
    }

    /// What an ended job adds to its session. Of one that alone is too large, or whose parts are past their retention,
    /// only that it was.
    async fn turn_of(&self, id: JobId, head: &JobHead, result: Option<&JobResult>) -> Result<Turn, SessionError> {
        let now = self.broker.now();
        let said = match result {
            Some(result) => self.said(result).await?,
            None => None,
        };
        let turn = match said.map(|messages| Turn::new(id, messages, now)) {
            Some(Ok(turn)) if turn.bytes <= self.bounds.bytes => self.counted(turn, &head.model).await?,
            Some(Ok(turn)) => {
                tracing::warn!(job_id = %id.job(), bytes = turn.bytes, "a turn is too large for its session: not kept");
                Turn::empty(id, now)
            }
            other => {
                let error = other.and_then(Result::err).map(|error| error.to_string());
                tracing::warn!(job_id = %id.job(), error, "what was said in a turn is not there any more: not kept");
                Turn::empty(id, now)
            }
        };
        Ok(turn)
    }

    /// The turn with its tokens counted, off the async threads: it may be long.
    pub(super) async fn counted(&self, turn: Turn, model: &str) -> Result<Turn, SessionError> {
        let (count, model) = (self.count.clone(), model.to_owned());
        let counting = tokio::task::spawn_blocking(move || {
            let tokens = count(&model, &turn.messages);
            Turn { tokens, ..turn }
        });
        Ok(counting.await.map_err(BrokerError::other("a turn was not counted"))?)
    }

    /// The messages of a turn, from wherever they are; `None` when they are there no more.
    async fn said(&self, result: &JobResult) -> Result<Option<Vec<Message>>, SessionError> {
        let request = match result.kept.as_ref().and_then(|kept| kept.request.as_ref()) {
            Some(Payload::Inline(request)) => Some((**request).clone()),
            Some(Payload::Stored { object, .. }) => self.body::<ChatRequest>(object).await?,
            None => None,
        };
        let answer = match (&result.output, &result.stored_output) {
            (Some(output), _) => Some(output.clone()),
            (None, Some(object)) => self.body::<Message>(object).await?,
            (None, None) => None,
        };
        let answer = answer.map(|answer| Message { role: Role::Assistant, ..answer });
        Ok(request.map(|request| said(request, answer)))
    }

    async fn body<T: serde::de::DeserializeOwned>(&self, object: &str) -> Result<Option<T>, SessionError> {
        let config = &self.broker.0.config;
        let limit = config.ingress.max_body_bytes.max(config.worker.max_answer_bytes).saturating_mul(2);
        let bytes = self.broker.body(object, limit).await?;
        Ok(bytes.map(|bytes| envelope::decode(&bytes)).transpose()?)
    }
}

/// What an ended turn says of its session's summaries.
fn note(result: Option<&JobResult>) -> TurnNote {
    let summarize = result.and_then(|result| result.kept.as_ref()?.summarize);
    TurnNote { told: result.and_then(|result| result.summary_turns), summarize }
}
