//! The queue as a whole: the broker's counts and what every process says of itself, looked at every few seconds and
//! kept, so that the route is cheap and never waits for the broker.

use std::time::Duration;

use broker::Broker;
use runtime::config::Config;
use runtime::queue::{Fleet, QueueStatus};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::metrics::QueueMetrics;

/// How often the queue is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at the queue until `shutdown`. While the broker is away the last look stays, its age in `as_of`.
pub(crate) async fn run(
    config: &Config,
    broker: &Broker,
    metrics: &QueueMetrics,
    seen: &watch::Sender<Option<QueueStatus>>,
    shutdown: &CancellationToken,
) {
    let mut fleet = Fleet::new(runtime::clock::now());
    while !shutdown.is_cancelled() {
        let follow = follow(config, broker, metrics, seen, &mut fleet);
        if shutdown.run_until_cancelled(follow).await.is_none() {
            return;
        }
        metrics.failures.inc();
        shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await;
    }
}

/// Takes in what processes say and looks at the depth now and then, until the subscription ends.
async fn follow(
    config: &Config,
    broker: &Broker,
    metrics: &QueueMetrics,
    seen: &watch::Sender<Option<QueueStatus>>,
    fleet: &mut Fleet,
) {
    let mut stats = match broker.stats().await {
        Ok(stats) => stats,
        Err(error) => return tracing::debug!(error = chain(&error), "stats cannot be heard"),
    };
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = stats.next() => match heard {
                Some(heard) => fleet.hear(runtime::clock::now(), &heard),
                None => return,
            },
            _ = ticks.tick() => match broker.depth().await {
                Ok(depth) => {
                    let status = fleet.status(runtime::clock::now(), &depth, &config.queue);
                    metrics.show(&status);
                    seen.send_replace(Some(status));
                }
                Err(error) => {
                    metrics.failures.inc();
                    tracing::debug!(error = chain(&error), "queue depth not read");
                }
            },
        }
    }
}
