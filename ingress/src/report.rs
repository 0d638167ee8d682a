//! What this process tells the others of itself every few seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use runtime::health::Health;
use schemas::stats::{EVERY, ProcessStats};
use schemas::timestamp::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::chain;

/// Publishes our numbers until `shutdown`, and then that we leave.
pub(crate) async fn run(app: &Arc<App>, health: &Health, shutdown: &CancellationToken) {
    let started_at = runtime::clock::now();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        tell(app, health, started_at, last.elapsed()).await;
        last = Instant::now();
    }
    health.leave();
    tell(app, health, started_at, last.elapsed()).await;
}

async fn tell(app: &App, health: &Health, started_at: Timestamp, interval: Duration) {
    // On the way out nothing is looked at any more.
    let components = if health.leaving() { BTreeMap::new() } else { health.report().await.components };
    let stats = ProcessStats {
        role: "ingress".to_owned(),
        instance: app.broker.instance().to_owned(),
        at: runtime::clock::now(),
        interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
        memory_bytes: runtime::system::resident_bytes().unwrap_or(0),
        accepted: app.tally.take(),
        leaving: health.leaving(),
        started_at,
        components: components.into_iter().map(|(name, component)| (name.to_owned(), component.up)).collect(),
        ..ProcessStats::default()
    };
    if let Err(error) = app.broker.publish_stats(&stats).await {
        tracing::debug!(error = chain(&error), "statistics not published");
    }
}
