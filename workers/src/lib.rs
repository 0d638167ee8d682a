//! Workers: consume, claim, prune, call, finish. The straight line is in `process`; what decides lies in `provider` and
//! in the broker's protocol.

mod account;
mod alarm;
mod emit;
mod ending;
mod estimates;
mod fit;
mod flight;
mod metrics;
mod process;
pub mod provider;
mod rounds;
mod session;
mod stats;
mod told;
mod totals;
mod waste;
mod weight;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, BrokerError, Intake, Work};
use runtime::config::Config;
use runtime::metrics::Metrics;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use provider::registry::RegistryError;
use worker::Worker;

/// How long interrupted jobs may take to be given back, after the grace.
const GIVE_BACK: Duration = Duration::from_secs(5);

/// Why a worker cannot run.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The providers cannot be used.
    #[error(transparent)]
    Providers(#[from] RegistryError),
    /// Redis is configured in a way that cannot be used.
    #[error("redis.url cannot be used")]
    Redis(#[from] redis::RedisError),
    /// The broker refused what a worker needs of it.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Two series have one name.
    #[error("metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
}

/// Runs one worker until `shutdown`; then takes no new work, gives what runs the configured grace to finish, and parks
/// the rest.
///
/// # Errors
/// [`WorkerError`] when it cannot start. Once it runs, an absent broker, store or provider is waited for.
pub async fn run(
    config: Arc<Config>,
    broker: Broker,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    let mut services = JoinSet::new();
    let worker = worker::build(&config, &broker, &metrics, &mut services, &shutdown).await?;
    let slots = Arc::new(Semaphore::new(config.worker.slots as usize));
    let mut intake = broker.intake(slots).await?;
    broker.keep_clean(intake.side_door(), worker.sessions.clone());
    services.spawn(stats::publish(Arc::clone(&worker)));
    tracing::info!(worker.slots = config.worker.slots, worker.name = broker.instance(), "worker started");
    let mut jobs = JoinSet::new();
    take_in(&worker, &mut intake, &mut jobs, &shutdown).await;
    wind_down(&worker, intake, jobs).await;
    stats::leave(&worker).await;
    Ok(())
}

async fn take_in(worker: &Arc<Worker>, intake: &mut Intake, jobs: &mut JoinSet<()>, shutdown: &CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            Some(ended) = jobs.join_next() => report(ended),
            work = intake.next() => match work {
                Some(Work { delivery, slot }) => {
                    let worker = Arc::clone(worker);
                    jobs.spawn(async move {
                        Box::pin(process::process(&worker, delivery)).await;
                        drop(slot);
                    });
                }
                None => return,
            },
        }
    }
}

/// What was fetched and not begun goes back at once; what runs may finish within the grace, then it is parked.
async fn wind_down(worker: &Worker, mut intake: Intake, mut jobs: JoinSet<()>) {
    intake.stop();
    while let Some(work) = intake.next().await {
        work.delivery.put_off(Duration::ZERO).await;
    }
    let grace = worker.config.shutdown.grace;
    if tokio::time::timeout(grace, drain(&mut jobs)).await.is_err() {
        tracing::warn!(jobs = jobs.len(), "grace is over: giving running jobs back");
        worker.give_up.cancel();
        if tokio::time::timeout(GIVE_BACK, drain(&mut jobs)).await.is_err() {
            tracing::warn!(jobs = jobs.len(), "jobs could not be given back: their leases will lapse");
        }
    }
}

async fn drain(jobs: &mut JoinSet<()>) {
    while let Some(ended) = jobs.join_next().await {
        report(ended);
    }
}

/// A panic in one job ends that job's task alone; its lease lapses and another worker takes it.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(error = %error, "a job's task panicked");
    }
}
