//! What happens to a job, as streams: its frames, its changes of status, its end.

use std::sync::Arc;
use std::time::Duration;

use broker::{Frames, Record, Watch};
use futures::stream::{self, BoxStream, StreamExt};
use schemas::chat::ChatResponse;
use schemas::delta::Frame;
use schemas::error::ErrorCode;
use schemas::id::JobId;
use schemas::state::{Attempt, JobState, Outcome, generation};
use schemas::view::JobView;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::follow::{Input, Replay};
use crate::answer;
use crate::app::App;
use crate::error::{ApiError, chain};
use crate::lookup::{self, Found};

/// How often a job's status is looked at for those who follow it. Its end is heard of at once.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A job's frames, from the first one that the broker still has. When told that the job has `ended`, those are read back
/// that were missed while the broker was away.
pub(crate) fn frames(frames: Frames, ended: Arc<Notify>) -> BoxStream<'static, Frame> {
    stream::unfold((frames, ended), |(mut frames, ended)| async move {
        let frame = loop {
            tokio::select! {
                frame = frames.next() => break frame?,
                () = ended.notified() => frames.catch_up().await,
            }
        };
        Some((frame, (frames, ended)))
    })
    .boxed()
}

/// A job's statuses from now on, its end the last of them. Ends early when the job is gone or the service stops.
pub(crate) fn statuses(app: Arc<App>, tenant: Arc<str>, id: JobId, watch: Watch) -> BoxStream<'static, Input> {
    let follower = Follower { app, tenant, id, watch: Some(watch) };
    stream::unfold(follower, |mut follower| async move { follower.next().await.map(|input| (input, follower)) }).boxed()
}

struct Follower {
    app: Arc<App>,
    tenant: Arc<str>,
    id: JobId,
    /// `None` once the job has ended.
    watch: Option<Watch>,
}

impl Follower {
    async fn next(&mut self) -> Option<Input> {
        let app = Arc::clone(&self.app);
        app.shutdown.run_until_cancelled(self.look()).await.flatten()
    }

    async fn look(&mut self) -> Option<Input> {
        let watch = self.watch.as_mut()?;
        match watch.ended(Instant::now() + LOOK_EVERY, true).await {
            Ok(Some(record)) => {
                self.watch = None;
                Some(ended(&self.app, self.id, &record).await)
            }
            Ok(None) => self.current().await,
            Err(error) => {
                tracing::warn!(error = chain(&error), "job cannot be followed");
                None
            }
        }
    }

    /// The job as it is; waits while the broker is away.
    async fn current(&mut self) -> Option<Input> {
        loop {
            match lookup::find(&self.app, &self.tenant, self.id).await {
                Ok(Found::Recorded(record)) if record.state.phase.is_terminal() => {
                    self.watch = None;
                    return Some(ended(&self.app, self.id, &record).await);
                }
                Ok(found) => {
                    let view = lookup::view(&self.app, self.id, &found).await.ok()?;
                    return Some(Input::View(Box::new(view)));
                }
                Err(error) if error.failure().code == ErrorCode::Unavailable => tokio::time::sleep(LOOK_EVERY).await,
                Err(_) => return None,
            }
        }
    }
}

/// The end of a job that its record tells, with its answer's frames where there were any.
pub(crate) async fn ended(app: &App, id: JobId, record: &Record) -> Input {
    // Without its output when that cannot be fetched: the client still learns that it ended.
    let view = lookup::recorded(app, id, record).await;
    let view = view.unwrap_or_else(|_| JobView::of_state(id, &record.state));
    let replay = match record.state.result.as_ref().is_some_and(|result| result.trace.is_some()) {
        true => answer::of_record(app, record).await.ok().and_then(|whole| replay(&record.state, &whole)),
        false => None,
    };
    Input::Ended(Box::new(view), replay)
}

/// The frames of `whole`, as they were published by the attempt that made it.
pub(crate) fn replay(state: &JobState, whole: &ChatResponse) -> Replay {
    let trace = state.result.as_ref()?.trace.as_ref()?;
    let told = answered(&state.attempts)?;
    let (attempt, generation) = (told.last()?.number, generation(told));
    let frame = |(index, delta)| Frame { attempt, generation, index, delta };
    Some((0..).zip(trace.replay(whole)?).map(frame).collect())
}

/// The attempt that a job is known to have come to; 0 before the first. Of a request and its hedge it is the first: either
/// may be the one that goes on.
pub(crate) fn attempt_of(found: &Found) -> u32 {
    let Found::Recorded(record) = found else { return 0 };
    let Some(last) = record.state.attempts.last() else { return 0 };
    let goes_on =
        |attempt: &&Attempt| attempt.nonce == last.nonce && matches!(attempt.outcome, None | Some(Outcome::Ok));
    record.state.attempts.iter().find(goes_on).map_or(last.number, |attempt| attempt.number)
}

/// The generation of the run that a job's record tells of: the one that answered it, else its last.
pub(crate) fn generation_of(state: &JobState) -> u32 {
    generation(answered(&state.attempts).unwrap_or(&state.attempts))
}

/// The ledger up to the attempt that answered.
fn answered(ledger: &[Attempt]) -> Option<&[Attempt]> {
    ledger.get(..=ledger.iter().rposition(|attempt| attempt.outcome == Some(Outcome::Ok))?)
}

/// The end of a synchronous job. `read_first` when it may have ended already.
///
/// # Errors
/// When it has not ended by `deadline`: there is no use in trying again. When the service stops first: there is.
pub(crate) async fn end(app: &App, mut watch: Watch, deadline: Instant, read_first: bool) -> Result<Record, ApiError> {
    tokio::select! {
        ended = watch.ended(deadline, read_first) => ended.map_err(|error| ApiError::from(error).open())?.ok_or_else(|| {
            ApiError::new(ErrorCode::ProviderTimeout, "the job did not end within ingress.synchronous_timeout").settled()
        }),
        () = closing(app) => Err(ApiError::unavailable(
            "the service is being restarted; the same request with its Idempotency-Key finds the job again",
        ).open()),
    }
}

/// Returns when a synchronous call cannot be waited for any longer: three quarters into the grace of a shutdown, so
/// that there is time to say so.
async fn closing(app: &App) {
    app.shutdown.cancelled().await;
    tokio::time::sleep(app.config.shutdown.grace.mul_f64(0.75)).await;
}
