//! Cancels synchronous jobs whose clients have gone for good, from every ingress.

use std::sync::Arc;
use std::time::Duration;

use broker::Cancelled;
use schemas::id::JobId;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::chain;
use crate::presence;

/// How long one cancellation may take. A job that outlives it is ended by its deadline.
const PATIENCE: Duration = Duration::from_secs(30);
/// Jobs looked after at once.
const AT_ONCE: usize = 256;

/// Cancels what nobody waits for, until `shutdown`: clients that a restart cuts off are no reason to cancel.
pub(crate) async fn run(app: &Arc<App>, shutdown: &CancellationToken) {
    // The others are asked within the grace, not after it.
    let grace = app.config.ingress.leave_grace.saturating_sub(presence::BOUND);
    let mut cancels = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = cancels.join_next() => {}
            id = app.waiters.next_abandoned(grace), if cancels.len() < AT_ONCE => {
                let app = Arc::clone(app);
                cancels.spawn(async move { end(&app, id).await });
            }
        }
    }
    while cancels.join_next().await.is_some() {}
}

async fn end(app: &App, id: JobId) {
    let elsewhere = presence::elsewhere(app, id).await;
    if !app.waiters.give_up(id) || elsewhere {
        return;
    }
    match timeout(PATIENCE, app.broker.cancel(id)).await {
        Ok(Ok(Cancelled::Now(_))) => {
            app.metrics.clients.abandoned.inc();
            tracing::info!(job_id = id.job(), "job cancelled, its clients have left");
        }
        Ok(Ok(Cancelled::Already(_) | Cancelled::Absent)) => {}
        Ok(Err(error)) => tracing::warn!(job_id = id.job(), error = chain(&error), "abandoned job not cancelled"),
        Err(_) => tracing::warn!(job_id = id.job(), "abandoned job not cancelled in time"),
    }
}
