//! What every job in this process shares.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use broker::{Broker, Plan, Resolution, Sessions};
use context::{Counter, Encoding};
use runtime::config::Config;
use runtime::metrics::{ChatMetrics, Metrics};
use schemas::chat::Usage;
use schemas::subject;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::WorkerError;
use crate::alarm::Alarm;
use crate::estimates::Estimates;
use crate::metrics::WorkerMetrics;
use crate::provider::Providers;
use crate::provider::breaker_share::BreakerShare;
use crate::provider::echo::count_with;
use crate::provider::limit::Limits;
use crate::provider::metrics::ProviderMetrics;
use crate::provider::redis_link::RedisLink;
use crate::provider::registry::{self, Registry};
use crate::provider::retry::Retries;
use crate::provider::seen::Seen;
use crate::provider::transition::Transition;
use crate::totals::Totals;
use crate::waste::{Reason, Waste};

/// Messages whose token counts are kept.
const COUNTS_KEPT: usize = 65_536;
/// Breaker changes waiting to be told.
const TRANSITIONS: usize = 256;

/// One worker.
pub(crate) struct Worker {
    pub(crate) config: Arc<Config>,
    pub(crate) broker: Broker,
    pub(crate) providers: Providers,
    pub(crate) retries: Retries,
    pub(crate) counter: Counter,
    pub(crate) estimates: Estimates,
    pub(crate) sessions: Sessions,
    pub(crate) seen: Seen,
    pub(crate) alarm: Alarm,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) chat: ChatMetrics,
    pub(crate) totals: Totals,
    /// Cancelled when running jobs must be given back.
    pub(crate) give_up: CancellationToken,
}

impl Worker {
    /// Counts a call that gave its job no answer.
    pub(crate) fn wasted(&self, reason: Reason, plan: &Plan, end: &Resolution) {
        // A lost result was counted when it came.
        if reason != Reason::LostResult {
            self.paid(plan, end.cost_micros);
        }
        let model = self.known_model(Some(&plan.provider), &plan.model);
        self.metrics.waste.count(&Waste::of(reason, &plan.provider, model, end));
    }

    /// Learns from what a provider counted how far the estimate of its input was off.
    pub(crate) fn learn(&self, plan: &Plan, estimated: u64, usage: Usage) {
        let factor = self.estimates.observe(plan, estimated, usage.input_tokens);
        let model = self.known_model(Some(&plan.provider), &plan.model);
        self.metrics.estimate_ratio.with_label_values(&[&plan.provider, model]).set(factor.ratio());
    }

    /// Counts what a call cost, whatever came of it.
    pub(crate) fn paid(&self, plan: &Plan, cost_micros: Option<u64>) {
        let Some(micros) = cost_micros else { return };
        self.totals.spent(micros);
        let model = self.known_model(Some(&plan.provider), &plan.model);
        self.metrics.cost.with_label_values(&[plan.provider.as_str(), model]).inc_by(micros as f64 / 1e6);
    }

    /// `model` if a provider is configured for it, else `other`: a label must never be what a client wrote.
    pub(crate) fn known_model<'a>(&self, provider: Option<&str>, model: &'a str) -> &'a str {
        let catalog = self.providers.registry().catalog();
        let mut models =
            catalog.providers.iter().filter(|one| Some(one.name.as_str()) == provider).flat_map(|one| &one.models);
        if models.any(|one| one.name == model || one.upstream.as_deref() == Some(model)) { model } else { "other" }
    }
}

/// Puts a worker together and starts the services behind it.
pub(crate) async fn build(
    config: &Arc<Config>,
    broker: &Broker,
    metrics: &Metrics,
    services: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) -> Result<Arc<Worker>, WorkerError> {
    let counter = Counter::new(COUNTS_KEPT);
    // Before the first job is taken: loading the encodings would hold its slot, and the lease with it.
    tokio::task::spawn_blocking(warm_up).await.unwrap_or_else(|_| tracing::error!("encodings could not be loaded"));
    let provider_metrics = ProviderMetrics::register(&metrics.registry, &metrics.chat)?;
    let redis = RedisLink::new(&config.redis, provider_metrics.clone())?.map(Arc::new);
    let file = Some(config.providers.file.as_path()).filter(|path| !path.as_os_str().is_empty());
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let environment: BTreeMap<_, _> = std::env::vars_os().filter_map(text).collect();
    let catalog = registry::load(file, &environment)?;
    let limits = Limits::new(&catalog, redis.as_ref(), provider_metrics.clone());
    let count = count_with(&counter);
    let registry = Registry::new(catalog, &config.worker, &count, &provider_metrics)?;
    let (transitions, changes) = mpsc::channel(TRANSITIONS);
    let store = broker.kv(subject::BREAKERS).await?;
    let timeout = config.nats.request_timeout;
    let breakers =
        BreakerShare::new(config.breaker.clone(), Some(store), timeout, transitions, provider_metrics.clone());
    let (alarm, publish) = Alarm::new(broker.clone());
    services.spawn(publish);
    services.spawn(tell(alarm.clone(), broker.clone(), changes));
    let sessions = Sessions::open(broker, &config.sessions, Arc::new(counter.by_model())).await?;
    let worker = Arc::new(Worker {
        providers: Providers::new(registry, limits, breakers, provider_metrics),
        retries: Retries::new(config.retry.clone(), config.streams.max_delay),
        seen: Seen::new(redis, config.worker.lease),
        metrics: WorkerMetrics::register(&metrics.registry)?,
        chat: metrics.chat.clone(),
        totals: Totals::new(broker.now()),
        give_up: CancellationToken::new(),
        config: Arc::clone(config),
        broker: broker.clone(),
        counter,
        estimates: Estimates::default(),
        sessions,
        alarm,
    });
    let (follower, stopped) = (Arc::clone(&worker), shutdown.clone());
    services.spawn(async move { follower.providers.breakers().run(stopped).await });
    Ok(worker)
}

/// Loads the encodings before the first job needs one: each takes a good part of a second.
fn warm_up() {
    for name in ["o200k_base", "cl100k_base"] {
        if let Some(encoding) = Encoding::by_name(name) {
            encoding.warm_up();
        }
    }
}

/// Raises an alert for each change of a breaker that this process made for the fleet.
async fn tell(alarm: Alarm, broker: Broker, mut changes: mpsc::Receiver<Transition>) {
    while let Some(change) = changes.recv().await {
        if let Some(event) = change.alert(broker.now(), broker.instance()) {
            alarm.raise(event);
        }
    }
}
