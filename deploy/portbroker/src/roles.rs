//! Starting roles: load the configuration, connect, run until a signal, stop cleanly.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use broker::Broker;
use runtime::config::{Config, Source};
use runtime::health::{self, Health};
use runtime::metrics::Metrics;
use runtime::{ops, shutdown, telemetry};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config_command::{self, environment};
use crate::nats_server::NatsServer;

/// What this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    All,
    Ingress,
    Worker,
    Alerting,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Ingress => "ingress",
            Self::Worker => "worker",
            Self::Alerting => "alerting",
        }
    }

    const fn includes(self, other: Self) -> bool {
        matches!(self, Self::All) || self as u8 == other as u8
    }
}

/// Runs a role until it is told to stop.
pub(crate) async fn run(role: Role, file: Option<&Path>) -> Result<ExitCode> {
    let source = config_command::source(file);
    let mut config = config_command::load(file)?;
    let mut secrets = config.secrets();
    secrets.extend(provider_secrets(&config)?);
    telemetry::init(&config.log, &secrets)?;
    let shutdown = shutdown::signalled()?;
    let server = own_server(role, &mut config).await?;
    let outcome = serve(role, Arc::new(config), source, &shutdown).await;
    if let Some(server) = server {
        server.stop().await;
    }
    outcome?;
    tracing::info!(role = role.name(), "stopped");
    Ok(ExitCode::SUCCESS)
}

/// The providers' keys, so that no log ever shows one. A faulty providers file is told here already.
fn provider_secrets(config: &Config) -> Result<Vec<SecretString>> {
    let file = Some(config.providers.file.as_path()).filter(|path| !path.as_os_str().is_empty());
    let catalog = workers::provider::registry::load(file, &environment())?;
    Ok(catalog.providers.into_iter().filter_map(|provider| provider.credential).collect())
}

async fn own_server(role: Role, config: &mut Config) -> Result<Option<NatsServer>> {
    if !config.nats.url.is_empty() {
        return Ok(None);
    }
    if role != Role::All {
        bail!("nats.url is not set: set PORTBROKER_NATS__URL, for example nats://127.0.0.1:4222");
    }
    let server = NatsServer::start(&config.nats, &config.data_dir).await?;
    config.nats.url = server.url();
    config.nats.token = SecretString::from(server.token().to_owned());
    Ok(Some(server))
}

async fn serve(role: Role, config: Arc<Config>, source: Source, shutdown: &CancellationToken) -> Result<()> {
    let metrics = Metrics::new()?;
    let instance = instance(&config, role);
    let broker = tokio::select! {
        broker = Broker::connect(&config, &instance, &metrics.registry) => {
            broker.with_context(|| format!("NATS at {}", redacted(&config.nats.url)))?
        }
        () = shutdown.cancelled() => return Ok(()),
    };
    let mut roles = JoinSet::new();
    let stop = shutdown.child_token();
    if role.includes(Role::Alerting) {
        let run = alerting::run(Arc::clone(&config), source, broker.clone(), metrics.clone(), stop.clone());
        roles.spawn(async move { run.await.context("alerting") });
    }
    start(role, &config, &broker, &metrics, &stop, &mut roles).await?;
    tracing::info!(role = role.name(), version = env!("CARGO_PKG_VERSION"), "started");
    let outcome = wait(&mut roles, &stop).await;
    broker.close().await;
    outcome
}

async fn start(
    role: Role,
    config: &Arc<Config>,
    broker: &Broker,
    metrics: &Metrics,
    stop: &CancellationToken,
    roles: &mut JoinSet<Result<()>>,
) -> Result<()> {
    let (config, broker, metrics) = (Arc::clone(config), broker.clone(), metrics.clone());
    if role.includes(Role::Ingress) {
        let listener = bind("ingress.listen", &config.ingress.listen).await?;
        let run = ingress::run(Arc::clone(&config), broker.clone(), metrics.clone(), listener, stop.clone());
        roles.spawn(async move { run.await.context("ingress") });
    }
    if role.includes(Role::Worker) {
        let run = workers::run(Arc::clone(&config), broker.clone(), metrics.clone(), stop.clone());
        roles.spawn(async move { run.await.context("worker") });
    }
    if !config.ops.listen.is_empty() {
        let listener = bind("ops.listen", &config.ops.listen).await?;
        let health = role_health(role, &config, &broker, &metrics)?;
        let router = ops::router(metrics, health.clone());
        let stop = stop.clone();
        roles.spawn(async move {
            let (served, ()) = tokio::join!(ops::serve(listener, router, stop.clone()), health.run(stop));
            served.context("ops")
        });
    }
    Ok(())
}

/// Waits for every role. The first that ends on its own, well or not, stops the others.
async fn wait(roles: &mut JoinSet<Result<()>>, stop: &CancellationToken) -> Result<()> {
    let mut outcome = Ok(());
    while let Some(ended) = roles.join_next().await {
        let ended = ended.context("a role panicked").and_then(|ended| ended);
        stop.cancel();
        if outcome.is_ok() {
            outcome = ended;
        }
    }
    outcome
}

fn role_health(role: Role, config: &Config, broker: &Broker, metrics: &Metrics) -> Result<Health> {
    let health = Health::of_role(role.name(), config.health.ttl, config.health.timeout, &metrics.registry)?;
    let broker = broker.clone();
    health.register("nats", true, move || {
        let broker = broker.clone();
        Box::pin(async move {
            let took = broker.ping().await.map_err(|error| error.to_string())?;
            Ok(format!("answered in {} ms", took.as_millis()))
        })
    });
    health.register("memory", false, health::memory(config.alerts.rules.memory.threshold));
    Ok(health)
}

async fn bind(field: &str, address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{field}: cannot listen on {address}"))
}

fn instance(config: &Config, role: Role) -> String {
    if !config.worker.name.is_empty() {
        return config.worker.name.clone();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}-{}", role.name(), host.trim(), std::process::id())
}

/// The address without whatever credentials stand in it.
fn redacted(url: &str) -> String {
    url.split(',').map(|one| one.rsplit('@').next().unwrap_or(one)).collect::<Vec<_>>().join(",")
}
