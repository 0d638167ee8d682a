//! What this process tells the others of itself every few seconds.

use std::sync::Arc;
use std::time::Duration;

use schemas::stats::ProcessStats;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::chain;

const EVERY: Duration = Duration::from_secs(5);

/// Publishes our numbers until `shutdown`, and then that we leave.
pub(crate) async fn run(app: &Arc<App>, shutdown: &CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        tell(app, last.elapsed(), false).await;
        last = Instant::now();
    }
    tell(app, last.elapsed(), true).await;
}

async fn tell(app: &App, interval: Duration, leaving: bool) {
    let stats = ProcessStats {
        role: "ingress".to_owned(),
        instance: app.broker.instance().to_owned(),
        at: runtime::clock::now(),
        interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
        memory_bytes: runtime::system::resident_bytes().unwrap_or(0),
        accepted: app.tally.take(),
        leaving,
        ..ProcessStats::default()
    };
    if let Err(error) = app.broker.publish_stats(&stats).await {
        tracing::debug!(error = chain(&error), "statistics not published");
    }
}
