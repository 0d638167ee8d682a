//! Cancels synchronous jobs whose clients have gone for good.

use std::sync::Arc;
use std::time::Duration;

use broker::Cancelled;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::chain;

/// How long one cancellation may take. A job that outlives it is ended by its deadline.
const PATIENCE: Duration = Duration::from_secs(30);

/// Cancels what nobody waits for, until `shutdown`: clients that a restart cuts off are no reason to cancel.
pub(crate) async fn run(app: &Arc<App>, shutdown: &CancellationToken) {
    let abandoned = || app.waiters.next_abandoned(app.config.ingress.leave_grace);
    while let Some(id) = shutdown.run_until_cancelled(abandoned()).await {
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
}
