//! The whole of PortBroker: a nats-server, the other servers asked for, and every role as a process of its own.

use std::collections::BTreeMap;
use std::fs;

use tempfile::TempDir;

use crate::api::Api;
use crate::nats::Nats;
use crate::postgres::Postgres;
use crate::process::{Process, Role};
use crate::provider::Provider;
use crate::redis::Redis;
use crate::telegram::Telegram;

/// A plain key of tenant `one`.
pub const KEY_ONE: &str = "test-key-of-tenant-one-1f0c";
/// A plain key of tenant `two`.
pub const KEY_TWO: &str = "test-key-of-tenant-two-8e21";
/// An admin's key, of tenant `operators`.
pub const KEY_ADMIN: &str = "test-key-of-an-admin-5b77";

const ECHO: &str = r#"
[[provider]]
name = "echo"
dialect = "echo"
[[provider.model]]
name = "echo"
[[provider.model]]
name = "echo-*"
"#;

/// What to start.
#[derive(Debug)]
pub struct Plan {
    workers: usize,
    alerting: bool,
    redis: bool,
    postgres: bool,
    catalog: String,
    environment: BTreeMap<String, String>,
}

impl Plan {
    /// This many workers.
    #[must_use]
    pub const fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// A Redis beside it.
    #[must_use]
    pub const fn redis(mut self) -> Self {
        self.redis = true;
        self
    }

    /// History in PostgreSQL instead of SQLite.
    #[must_use]
    pub const fn postgres(mut self) -> Self {
        self.postgres = true;
        self
    }

    /// Another provider beside echo.
    #[must_use]
    pub fn provider(mut self, provider: &Provider) -> Self {
        self.catalog.push_str(&provider.catalog());
        self
    }

    /// Alerting, sending to this Bot API.
    #[must_use]
    pub fn telegram(mut self, telegram: &Telegram) -> Self {
        self.alerting = true;
        self.set("TELEGRAM__TOKEN", telegram.token())
            .set("TELEGRAM__CHAT_ID", &telegram.chat())
            .set("TELEGRAM__API_URL", &telegram.url())
    }

    /// One setting of every process, by its name without `PORTBROKER_`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(format!("PORTBROKER_{name}"), value.to_owned());
        self
    }

    /// Leases short enough for a test to wait for their end.
    #[must_use]
    pub fn short_leases(self) -> Self {
        self.set("WORKER__LEASE", "3s").set("WORKER__RENEW_EVERY", "1s").set("WORKER__CLOCK_MARGIN", "200ms")
    }

    /// Records and bodies that a test can outlive, and all that must be shorter still.
    #[must_use]
    pub fn short_retention(self) -> Self {
        let plan = self.short_leases().set("STREAMS__RETENTION", "8s").set("STREAMS__MAX_DELAY", "1s");
        plan.set("WORKER__CALL_TIMEOUT", "2s").set("WORKER__IDLE_TIMEOUT", "2s")
    }

    /// Starts everything and waits until it is ready.
    ///
    /// # Panics
    /// When something does not start.
    pub async fn start(mut self) -> Cluster {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let nats = Nats::start().await;
        let redis = if self.redis { Some(Redis::start().await) } else { None };
        let postgres = if self.postgres { Some(Postgres::start().await) } else { None };
        self = self.set("NATS__URL", &nats.url());
        if let Some(redis) = &redis {
            self = self.set("REDIS__URL", &redis.url());
        }
        if let Some(postgres) = &postgres {
            self = self.set("DATABASE__URL", &postgres.url());
        }
        self = self.files(&folder);
        let environment = self.environment;
        let ingress = Process::start(Role::Ingress, &environment).await;
        let mut cluster =
            Cluster { ingress, workers: Vec::new(), alerting: None, nats, redis, postgres, environment, folder };
        for _ in 0..self.workers {
            cluster.add_worker().await;
        }
        if self.alerting {
            cluster.start_alerting().await;
        }
        cluster
    }

    fn files(self, folder: &TempDir) -> Self {
        let catalog = folder.path().join("providers.toml");
        fs::write(&catalog, &self.catalog).expect("a temporary folder is writable");
        let data = folder.path().join("data");
        self.set("PROVIDERS__FILE", &catalog.to_string_lossy()).set("DATA_DIR", &data.to_string_lossy())
    }
}

/// Everything that runs. Fields are dropped in this order: roles before the servers they use.
#[derive(Debug)]
pub struct Cluster {
    /// HTTP in.
    pub ingress: Process,
    /// The workers.
    pub workers: Vec<Process>,
    /// Alerting, if asked for.
    pub alerting: Option<Process>,
    /// The broker.
    pub nats: Nats,
    /// Redis, if asked for.
    pub redis: Option<Redis>,
    /// PostgreSQL, if asked for.
    pub postgres: Option<Postgres>,
    environment: BTreeMap<String, String>,
    folder: TempDir,
}

impl Cluster {
    /// A plan of one worker, SQLite, echo and three keys.
    #[must_use]
    pub fn plan() -> Plan {
        let keys = format!(
            r#"[{{key="{KEY_ONE}",tenant="one"}},{{key="{KEY_TWO}",tenant="two"}},{{key="{KEY_ADMIN}",tenant="operators",admin=true}}]"#
        );
        let plan = Plan {
            workers: 1,
            alerting: false,
            redis: false,
            postgres: false,
            catalog: ECHO.to_owned(),
            environment: BTreeMap::new(),
        };
        plan.set("INGRESS__KEYS", &keys).set("DISK__MIN_FREE_BYTES", "67108864")
    }

    /// A client with tenant `one`'s key.
    #[must_use]
    pub fn api(&self) -> Api {
        self.api_of(KEY_ONE)
    }

    /// A client with this key.
    #[must_use]
    pub fn api_of(&self, key: &str) -> Api {
        Api::new(self.ingress.base(), key)
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The settings of every role.
    #[must_use]
    pub const fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// One more worker.
    pub async fn add_worker(&mut self) {
        let worker = Process::start(Role::Worker, &self.environment).await;
        self.workers.push(worker);
    }

    /// Adds a worker, and kills it once it has called `provider`.
    pub async fn lose_worker(&mut self, provider: &Provider) {
        self.add_worker().await;
        provider.open(1).await;
        self.workers.remove(0).kill9();
        provider.open(0).await;
    }

    /// Starts alerting, or starts it anew.
    pub async fn start_alerting(&mut self) {
        self.alerting = None;
        self.alerting = Some(Process::start(Role::Alerting, &self.environment).await);
    }

    /// Every role that runs.
    pub fn roles(&self) -> impl Iterator<Item = &Process> {
        std::iter::once(&self.ingress).chain(&self.workers).chain(&self.alerting)
    }

    /// Stops every role in good order, workers first, and demands clean ends.
    pub async fn stop(&self) {
        for role in self.workers.iter().chain(&self.alerting).chain([&self.ingress]) {
            role.stop(std::time::Duration::from_secs(60)).await;
        }
    }
}
