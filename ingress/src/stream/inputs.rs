//! What happens to a job, as streams: its frames, its changes of status, its end.

use std::sync::Arc;
use std::time::Duration;

use broker::{Frames, Record, Watch};
use futures::stream::{self, BoxStream, StreamExt};
use schemas::delta::Frame;
use schemas::error::ErrorCode;
use schemas::id::JobId;
use schemas::view::JobView;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::app::App;
use crate::error::{ApiError, chain};
use crate::lookup;

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

/// A job's statuses from now on, the last of them terminal. Ends early when the job is gone or the service stops.
pub(crate) fn statuses(app: Arc<App>, tenant: Arc<str>, id: JobId, watch: Watch) -> BoxStream<'static, JobView> {
    let follower = Follower { app, tenant, id, watch: Some(watch) };
    stream::unfold(follower, |mut follower| async move { follower.next().await.map(|view| (view, follower)) }).boxed()
}

struct Follower {
    app: Arc<App>,
    tenant: Arc<str>,
    id: JobId,
    /// `None` once the job has ended.
    watch: Option<Watch>,
}

impl Follower {
    async fn next(&mut self) -> Option<JobView> {
        let app = Arc::clone(&self.app);
        app.shutdown.run_until_cancelled(self.look()).await.flatten()
    }

    async fn look(&mut self) -> Option<JobView> {
        let watch = self.watch.as_mut()?;
        match watch.ended(Instant::now() + LOOK_EVERY, true).await {
            Ok(Some(record)) => {
                self.watch = None;
                // Without its output when that cannot be fetched: the client still learns that it ended.
                let view = lookup::recorded(&self.app, self.id, &record).await;
                Some(view.unwrap_or_else(|_| JobView::of_state(self.id, &record.state)))
            }
            Ok(None) => self.current().await,
            Err(error) => {
                tracing::warn!(error = chain(&error), "job cannot be followed");
                None
            }
        }
    }

    /// The job as it is; waits while the broker is away.
    async fn current(&self) -> Option<JobView> {
        loop {
            match lookup::find(&self.app, &self.tenant, self.id).await {
                Ok(found) => return lookup::view(&self.app, self.id, &found).await.ok(),
                Err(error) if error.failure().code == ErrorCode::Unavailable => tokio::time::sleep(LOOK_EVERY).await,
                Err(_) => return None,
            }
        }
    }
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
