//! Whose turn it is. A turn that is not the first of its session's line is put off and never waits in a slot: a fleet
//! full of waiting turns would wait for ever.

use std::time::Duration;

use schemas::id::JobId;
use schemas::job::{Job, JobHead};
use schemas::session::{Place, SessionKey, TurnQueue, patience};

use super::store::Stored;
use super::{SessionError, Sessions};
use crate::find::Sighting;

/// Most looks at the line for one delivery.
const LOOKS: usize = 16;
/// A line that stands still for this long may be headed by a job that there is no more: the next one looks.
pub(super) const STILL: Duration = Duration::from_secs(5);
/// After this long any other looks, for the next one may be no more either.
const STILL_LONG: Duration = Duration::from_secs(60);

/// Whether a turn may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It may; the claim tells whether it still has to run.
    Open,
    /// Others come first: put it off for this long.
    Wait(Duration),
}

impl Sessions {
    /// Puts a job that is durable at the end of its session's line. `repeated` when it may have ended by now.
    ///
    /// # Errors
    /// [`SessionError`]; the worker it is delivered to will do it then.
    pub async fn join(&self, head: &JobHead, id: JobId, repeated: bool) -> Result<(), SessionError> {
        let Some(name) = &head.session else { return Ok(()) };
        if repeated && self.has_ended(id).await? {
            return Ok(());
        }
        self.change_queue(&SessionKey::of(&head.tenant, name), |queue| queue.joined(id)).await
    }

    /// Whether it is `job`'s turn. Ended turns before it are settled on the way.
    ///
    /// # Errors
    /// [`SessionError`] when that cannot be known now.
    pub async fn gate(&self, job: &Job) -> Result<Gate, SessionError> {
        let Some(name) = &job.head.session else { return Ok(Gate::Open) };
        let key = SessionKey::of(&job.head.tenant, name);
        for _ in 0..LOOKS {
            let queue = self.queue(&key).await?;
            let ahead = match queue.value.place(job.id) {
                Place::First => return Ok(Gate::Open),
                // Its claim ends it, whoever's turn it is.
                _ if self.is_past_deadline(&job.head) => return Ok(Gate::Open),
                Place::Absent if self.has_ended(job.id).await? => return Ok(Gate::Open),
                Place::Absent if queue.value.waiting.len() >= self.most_waiting => queue.value.waiting.len(),
                Place::Absent => {
                    self.change_queue(&key, |queue| queue.joined(job.id)).await?;
                    continue;
                }
                Place::Behind(ahead) => ahead,
            };
            let still = if ahead == 1 { STILL } else { STILL_LONG };
            if !self.settle_head(&key, &queue, still).await? {
                return Ok(Gate::Wait(patience(ahead)));
            }
        }
        Ok(Gate::Wait(patience(1)))
    }

    /// Settles the first of the line if it has ended, or is no more; that is looked for in a line that stood still for
    /// `still`. Whether it had.
    pub(super) async fn settle_head(
        &self,
        key: &SessionKey,
        queue: &Stored<TurnQueue>,
        still: Duration,
    ) -> Result<bool, SessionError> {
        let Some(head) = queue.value.head() else { return Ok(false) };
        match self.broker.state(head).await? {
            Some(record) if record.state.phase.is_terminal() => {
                Box::pin(self.settle_turn(key, head, &record)).await?;
            }
            Some(_) => return Ok(false),
            None if Box::pin(self.is_gone(head, queue, still)).await? => {
                tracing::warn!(job_id = %head.job(), session = key.hash(), "a turn is no more: the next one goes on");
                self.change_queue(key, |queue| queue.without(head)).await?;
            }
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Nowhere to be found, and not just about to be.
    async fn is_gone(&self, id: JobId, queue: &Stored<TurnQueue>, still: Duration) -> Result<bool, SessionError> {
        let stands = self.broker.now().since(queue.written_at) >= still;
        Ok(stands && matches!(self.broker.find(id).await?, Sighting::Absent))
    }

    async fn has_ended(&self, id: JobId) -> Result<bool, SessionError> {
        Ok(self.broker.state(id).await?.is_some_and(|record| record.state.phase.is_terminal()))
    }

    fn is_past_deadline(&self, head: &JobHead) -> bool {
        head.deadline.is_some_and(|deadline| deadline.after(self.broker.0.policy.margin) <= self.broker.now())
    }
}
