//! HTTP in: jobs and chat calls become durable, their ends and tokens go back to whoever waits. Owns history in SQL,
//! health, and the queue's status. Everything that runs belongs to [`run`] and ends with it.

mod abandon;
mod answer;
mod app;
mod auth;
mod body;
mod call;
mod components;
mod count;
mod dead;
mod disk;
mod error;
mod guard;
mod json;
mod limit;
mod linger;
mod lookup;
mod memory;
mod metrics;
mod models;
mod observe;
mod prefer;
mod presence;
mod queue;
pub mod record;
mod rejoin;
mod report;
mod request_id;
mod responses;
mod route;
mod router;
mod server;
mod session;
mod stall;
mod stored;
mod stream;
mod submit;
#[cfg(test)]
mod testing;
mod waiters;

use std::io;
use std::sync::Arc;

use broker::{Broker, BrokerError, Sessions};
use runtime::config::Config;
use runtime::health::Health;
use runtime::metrics::Metrics;
use runtime::ops;
use runtime::queue::QueueStatus;
use schemas::catalog::Catalog;
use schemas::catalog_file;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use app::App;
use record::{OpenError, RecorderMetrics, Store};

/// Why ingress cannot start.
#[derive(Debug, thiserror::Error)]
pub enum IngressError {
    /// The history database cannot be used.
    #[error("history cannot be opened")]
    History(#[from] OpenError),
    /// The providers file cannot be read.
    #[error("the providers file {path} cannot be read")]
    ProvidersFile {
        /// Its path.
        path: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The providers file does not make sense.
    #[error("the providers file does not make sense: {}", .0.join("; "))]
    Providers(Vec<String>),
    /// The keys of sessions cannot be used.
    #[error("sessions cannot be opened")]
    Sessions(#[from] BrokerError),
    /// A metric's name is taken: ingress runs once a process.
    #[error("metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
}

/// Serves on `listener` until `shutdown`, then finishes what is open within `shutdown.grace`.
///
/// # Errors
/// [`IngressError`] when it cannot start. Once started it runs on, whatever is away.
pub async fn run(
    config: Arc<Config>,
    broker: Broker,
    metrics: Metrics,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), IngressError> {
    let (seen, queue) = watch::channel(None);
    let recorder = RecorderMetrics::register(&metrics.registry)?;
    let health = Health::of_role("ingress", config.health.ttl, config.health.timeout, &metrics.registry)?;
    let counter = context::Counter::new(count::REMEMBERED);
    let sessions = Sessions::open(&broker, &config.sessions, Arc::new(counter.by_model())).await?;
    let app = assemble((config, broker, sessions, counter), &metrics, queue, shutdown.clone())?;
    components::register(&health, &app);
    let mut tasks = start_tasks(&app, &health, recorder, seen);
    let router = router::router(&app, ops::router(metrics, health));
    server::serve(listener, router, &app.config, &app.metrics.http, &shutdown).await;
    app.drained.cancel();
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(error = %error, "a task of ingress died");
        }
    }
    app.store.close().await;
    Ok(())
}

fn assemble(
    (config, broker, sessions, counter): (Arc<Config>, Broker, Sessions, context::Counter),
    metrics: &Metrics,
    queue: watch::Receiver<Option<QueueStatus>>,
    shutdown: CancellationToken,
) -> Result<Arc<App>, IngressError> {
    let series = metrics::IngressMetrics::register(&metrics.registry)?;
    let breaks = rejoin::breaks::Breaks::new(config.ingress.retry_join, series.clients.broken.clone());
    Ok(Arc::new(App {
        catalog: catalog(&config)?,
        counter,
        sessions,
        store: Store::open(&config.database, &config.data_dir)?,
        keys: auth::Keys::new(&config.ingress),
        memory: memory::BodyMemory::new(config.ingress.body_memory_bytes),
        waiters: Arc::default(),
        breaks: Arc::new(breaks),
        disk: disk::Watermark::new(&config),
        queue,
        tally: app::Tally::default(),
        metrics: series,
        chat: metrics.chat.clone(),
        broker,
        config,
        shutdown,
        drained: CancellationToken::new(),
    }))
}

/// Who serves which model. Ingress calls no provider and needs none of their keys.
fn catalog(config: &Config) -> Result<Catalog, IngressError> {
    let file = &config.providers.file;
    if file.as_os_str().is_empty() {
        return catalog_file::parse_without_credentials(catalog_file::DEFAULT).map_err(IngressError::Providers);
    }
    let text = std::fs::read_to_string(file)
        .map_err(|source| IngressError::ProvidersFile { path: file.display().to_string(), source })?;
    catalog_file::parse_without_credentials(&text).map_err(IngressError::Providers)
}

/// Everything that runs beside the server. All of it ends with the shutdown token, or once the last connection has.
fn start_tasks(
    app: &Arc<App>,
    health: &Health,
    recorder: RecorderMetrics,
    seen: watch::Sender<Option<QueueStatus>>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let transitions = health.watch();
    let watched = health.clone();
    let stop = app.shutdown.clone();
    tasks.spawn(async move { watched.run(stop).await });
    spawn(&mut tasks, app, |app| async move { abandon::run(&app, &app.shutdown).await });
    spawn(&mut tasks, app, |app| async move { presence::run(&app).await });
    spawn(&mut tasks, app, |app| async move { app.breaks.run(&app.broker, &app.drained).await });
    let told = health.clone();
    spawn(&mut tasks, app, |app| async move { report::run(&app, &told, &app.shutdown).await });
    spawn(&mut tasks, app, |app| async move {
        app.disk.run(&app.metrics.queue.disk_free_bytes, &app.shutdown).await;
    });
    spawn(&mut tasks, app, |app| async move {
        queue::run(&app.config, &app.broker, &app.metrics.queue, &seen, &app.shutdown).await;
    });
    spawn(&mut tasks, app, |app| async move {
        components::alert(&app.broker, transitions, &app.metrics.queue.alerts_dropped, &app.shutdown).await;
    });
    spawn(&mut tasks, app, |app| async move {
        let (broker, store) = (app.broker.clone(), app.store.clone());
        record::recorder::run(broker, store, &app.config.database, recorder, app.shutdown.clone()).await;
    });
    tasks
}

fn spawn<F>(tasks: &mut JoinSet<()>, app: &Arc<App>, task: impl FnOnce(Arc<App>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    tasks.spawn(task(Arc::clone(app)));
}
