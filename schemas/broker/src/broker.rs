//! The handle that every role holds: the connection, the publishers, the clock, the hints, and the tasks behind them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::{self, Context, kv};
use bytes::Bytes;
use prometheus::Registry;
use runtime::config::Config;
use schemas::job::Lane;
use schemas::state::Nonce;
use schemas::subject;
use schemas::timestamp::Timestamp;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::clock::ServerClock;
use crate::error::BrokerError;
use crate::hints::Hints;
use crate::metrics::BrokerMetrics;
use crate::protocol::Policy;
use crate::publisher::{Publisher, Wire};
use crate::{connect, rpc, streams};

const CLOCK_EVERY: Duration = Duration::from_secs(5);

/// A connection to the broker with all that the job protocol needs. Cheap to clone.
#[derive(Clone)]
pub struct Broker(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) js: Context,
    pub(crate) config: Config,
    pub(crate) instance: String,
    pub(crate) policy: Policy,
    pub(crate) clock: ServerClock,
    pub(crate) metrics: BrokerMetrics,
    pub(crate) done: Hints,
    pub(crate) cancels: Hints,
    pub(crate) state: Publisher,
    pub(crate) lanes: [Publisher; 3],
    pub(crate) plain: Publisher,
    /// How often the connection was made.
    connects: Arc<AtomicU64>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Broker {
    /// Connects, checks the server, sets up streams and consumers, and starts the tasks behind the handle.
    ///
    /// # Errors
    /// [`BrokerError::TooOld`] and [`BrokerError::NoJetStream`] for a server we cannot work with, `Away` and `TimedOut`
    /// when there is none, `Settings` for files that cannot be read.
    pub async fn connect(config: &Config, instance: &str, registry: &Registry) -> Result<Self, BrokerError> {
        let metrics = BrokerMetrics::register(registry)
            .map_err(|error| BrokerError::Settings(format!("metrics cannot be registered: {error}")))?;
        let connects = Arc::new(AtomicU64::new(0));
        let client = connect::connect(&config.nats, instance, &metrics, &connects).await?;
        let js = jetstream::ContextBuilder::new()
            .timeout(config.nats.request_timeout.max(Duration::from_secs(5)))
            .build(client.clone());
        patiently(config.nats.connect_timeout, || streams::set_up(&js, config)).await?;
        let broker = Self::assemble(config, instance, client, js, metrics, connects).await?;
        while !broker.read_clock().await? {
            tracing::debug!("the server answers too slowly to tell its time: asking again");
        }
        broker.spawn(broker.clone().follow_server());
        Ok(broker)
    }

    async fn assemble(
        config: &Config,
        instance: &str,
        client: Client,
        js: Context,
        metrics: BrokerMetrics,
        connects: Arc<AtomicU64>,
    ) -> Result<Self, BrokerError> {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let publisher = || {
            let wire = Wire {
                client: client.clone(),
                timeout: config.nats.request_timeout,
                outcomes: metrics.publishes.clone(),
                batch_sizes: metrics.batch_sizes.clone(),
            };
            let (publisher, pump) = Publisher::new(wire, &config.publisher);
            tasks.spawn(pump);
            publisher
        };
        let (done, follow_done) = Hints::follow(&client, "done.*").await?;
        let (cancels, follow_cancels) = Hints::follow(&client, "cancel.*").await?;
        for follow in [follow_done, follow_cancels] {
            let stopped = stop.clone().cancelled_owned();
            tasks.spawn(async move {
                tokio::select! { () = follow => {} () = stopped => {} }
            });
        }
        Ok(Self(Arc::new(Inner {
            js,
            config: config.clone(),
            instance: instance.to_owned(),
            policy: policy(config),
            clock: ServerClock::start(),
            done,
            cancels,
            state: publisher(),
            lanes: [publisher(), publisher(), publisher()],
            plain: publisher(),
            client,
            metrics,
            connects,
            tasks,
            stop,
        })))
    }

    /// The server's time: what leases, parks and deadlines are judged by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Whether the connection stands right now.
    #[must_use]
    pub fn connected(&self) -> bool {
        connect::is_up(&self.0.client)
    }

    /// The name that this process gave itself.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.0.instance
    }

    /// How long JetStream takes to answer.
    ///
    /// # Errors
    /// [`BrokerError`] when it does not.
    pub async fn ping(&self) -> Result<Duration, BrokerError> {
        let started = Instant::now();
        self.read_clock().await?;
        Ok(started.elapsed())
    }

    /// A bucket of ours. Waits up to `connect_timeout` while its stream has no leader.
    ///
    /// # Errors
    /// [`BrokerError`] when it cannot be reached.
    pub async fn kv(&self, bucket: &'static str) -> Result<kv::Store, BrokerError> {
        let get = || async {
            self.0.js.get_key_value(bucket).await.map_err(BrokerError::other("a bucket cannot be reached"))
        };
        patiently(self.0.config.nats.connect_timeout, get).await
    }

    /// Stops the tasks behind the handle and sends what is still buffered.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        if let Err(error) = self.0.client.flush().await {
            tracing::debug!(error = %error, "nats not flushed at shutdown");
        }
    }

    pub(crate) fn nonce() -> Nonce {
        Nonce::new(runtime::clock::random_bits())
    }

    pub(crate) fn lane(&self, lane: Lane) -> &Publisher {
        &self.0.lanes[lane as usize]
    }

    /// Runs a task until the broker is closed.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.0.stop.clone().cancelled_owned();
        self.0.tasks.spawn(async move {
            tokio::select! { () = task => {} () = stopped => {} }
        });
    }

    /// Reads the server's clock. False when the answer took so long that half of it may be wrong by more than the margin.
    async fn read_clock(&self) -> Result<bool, BrokerError> {
        #[derive(Deserialize)]
        struct Info {
            ts: String,
        }
        let timeout = self.0.config.nats.request_timeout;
        let sent = Instant::now();
        let api = format!("$JS.API.STREAM.INFO.{}", subject::STATE);
        let info: Info = rpc::request(&self.0.client, api, None, Bytes::new(), timeout).await?;
        let server = Timestamp::parse(&info.ts).map_err(BrokerError::Settings)?;
        let received = Instant::now();
        let exact = received.duration_since(sent) < self.0.policy.margin;
        if exact {
            self.0.clock.observe(sent, server, received);
            let ours = runtime::clock::now().as_millis();
            self.0.metrics.clock_offset.set((self.now().as_millis() - ours) as f64 / 1000.0);
        }
        Ok(exact)
    }

    /// Follows the server's clock, and sets the streams up again after a reconnect: a restarted server has forgotten those
    /// in memory.
    async fn follow_server(self) {
        let mut set_up_at = self.0.connects.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(CLOCK_EVERY).await;
            let connects = self.0.connects.load(Ordering::Relaxed);
            let outcome = match connects == set_up_at {
                true => self.read_clock().await.map(drop),
                false => streams::set_up(&self.0.js, &self.0.config).await,
            };
            match outcome {
                Ok(()) => set_up_at = connects,
                Err(error) => tracing::debug!(error = %error, "the server does not answer"),
            }
        }
    }
}

/// Asks again until `patience` is over: a cluster may have no leader yet.
pub(crate) async fn patiently<T, F>(patience: Duration, ask: impl Fn() -> F) -> Result<T, BrokerError>
where
    F: Future<Output = Result<T, BrokerError>>,
{
    let deadline = Instant::now() + patience;
    let mut wait = Backoff::default();
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(error) => {
                tracing::info!(error = &error as &dyn std::error::Error, "the broker is not ready: once more")
            }
        }
        wait.pause().await;
    }
}

fn policy(config: &Config) -> Policy {
    Policy {
        lease: config.worker.lease,
        margin: config.worker.clock_margin,
        retention: config.streams.retention,
        max_unresolved: config.worker.max_unresolved,
    }
}
