//! Everything that runs, each as a process of its own, each behind proxies of its own: whoever can be hit, and the links
//! that can be broken.

pub(crate) mod faketime;
mod machine;
mod settings;

use std::fs;
use std::sync::Arc;

use harness::nats::Nats;
use harness::ports;
use harness::postgres::Postgres;
use harness::process::Role;
use harness::proxy::{Proxy, Tampering};
use harness::redis::Redis;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::history::{BROKER, PROVIDER};
use crate::mutant::Mutant;
use crate::options::Options;
use crate::provider::{self, Provider};
use faketime::WallClock;
pub(crate) use machine::Machine;
use machine::RoleMachine;

/// The API key of every client.
pub(crate) const KEY: &str = "chaos-key-of-the-only-tenant-7b1d";
/// How many ingresses.
pub(crate) const INGRESSES: usize = 2;

/// The name of an ingress, by its number from 0.
pub(crate) fn ingress(number: usize) -> String {
    format!("ingress-{}", number + 1)
}

/// Somebody to hit. Whoever holds its lock is hitting it.
#[derive(Debug)]
pub(crate) struct Victim {
    /// Its name in logs and ledgers.
    pub(crate) name: String,
    /// It.
    pub(crate) machine: Mutex<Machine>,
    /// Its wall clock, where that can be set.
    pub(crate) wall_clock: Option<WallClock>,
}

/// A way from one process to what it needs.
#[derive(Debug)]
pub(crate) struct Link {
    /// Whose link it is.
    pub(crate) from: String,
    /// Where it leads: a server of the broker, `provider`, `redis` or `postgres`.
    pub(crate) to: String,
    /// What can be cut.
    pub(crate) proxy: Proxy,
}

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// Every process.
    pub(crate) victims: Vec<Arc<Victim>>,
    /// Every link.
    pub(crate) links: Arc<Vec<Link>>,
    /// Where clients go.
    pub(crate) bases: Vec<String>,
    /// The broker, past all proxies: the checker's own way in.
    pub(crate) broker: String,
    /// PostgreSQL, likewise.
    pub(crate) sql: Option<String>,
    /// The provider.
    pub(crate) provider: Provider,
    folder: TempDir,
}

impl Fleet {
    /// Starts everything and waits until it is ready.
    pub(crate) async fn start(options: &Options) -> Self {
        let workers: Vec<_> = (1..=options.workers).map(|number| format!("worker-{number}")).collect();
        let provider = Provider::start(options, &workers).await;
        let (nats, routes) = match options.nodes {
            3 => {
                let (nodes, routes) = Nats::cluster_of_proxies().await;
                (Vec::from(nodes), routes)
            }
            _ => (vec![Nats::start().await], Vec::new()),
        };
        let broker = nats.iter().map(Nats::url).collect::<Vec<_>>().join(",");
        let mut builder = Builder {
            options,
            nodes: nats
                .iter()
                .zip(["a", "b", "c"])
                .map(|(node, name)| (format!("{BROKER}-{name}"), node.address()))
                .collect(),
            redis: None,
            postgres: None,
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            victims: Vec::new(),
            links: Vec::new(),
        };
        for (name, node) in builder.nodes.clone().into_iter().zip(nats) {
            builder.add(&name.0, Machine::Nats(node), None);
        }
        for (from, to, proxy) in routes {
            let (from, to) = (builder.nodes[from].0.clone(), builder.nodes[to].0.clone());
            builder.links.push(Link { from, to, proxy });
        }
        let sql = builder.stores().await;
        let bases = (0..INGRESSES).map(ingress).collect::<Vec<_>>();
        let mut addresses = Vec::new();
        for name in &bases {
            addresses.push(format!("http://{}", builder.role(name, Role::Ingress, None).await));
        }
        for name in &workers {
            builder.role(name, Role::Worker, Some(provider.door(name))).await;
        }
        builder.role("alerting", Role::Alerting, None).await;
        let Builder { victims, links, folder, .. } = builder;
        let fleet = Self { victims, links: Arc::new(links), bases: addresses, broker, sql, provider, folder };
        fleet.start_roles().await;
        fleet
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    async fn start_roles(&self) {
        let mut starting = JoinSet::new();
        for victim in &self.victims {
            let victim = Arc::clone(victim);
            starting.spawn(async move {
                let mut machine = victim.machine.lock().await;
                if matches!(*machine, Machine::Role(_)) {
                    let started = machine.start().await;
                    started.unwrap_or_else(|reason| panic!("{} does not start: {reason}", victim.name));
                }
            });
        }
        while let Some(started) = starting.join_next().await {
            started.expect("every role starts");
        }
    }
}

/// Puts the fleet together.
struct Builder<'a> {
    options: &'a Options,
    /// Name and address of each server of the broker.
    nodes: Vec<(String, String)>,
    redis: Option<String>,
    postgres: Option<String>,
    folder: TempDir,
    victims: Vec<Arc<Victim>>,
    links: Vec<Link>,
}

impl Builder<'_> {
    fn add(&mut self, name: &str, machine: Machine, wall_clock: Option<WallClock>) {
        self.victims.push(Arc::new(Victim { name: name.to_owned(), machine: Mutex::new(machine), wall_clock }));
    }

    /// Redis and PostgreSQL, as far as they are wanted; where SQL is.
    async fn stores(&mut self) -> Option<String> {
        if !self.options.no_redis && self.options.mutant.is_none_or(Mutant::allows_redis) {
            let redis = Redis::start().await;
            self.redis = Some(redis.address());
            self.add("redis", Machine::Redis(redis), None);
        }
        if self.options.no_postgres {
            return None;
        }
        let postgres = Postgres::start().await;
        self.postgres = Some(postgres.address());
        let url = postgres.url();
        self.add("postgres", Machine::Postgres(postgres), None);
        Some(url)
    }

    /// One role with links of its own, not started yet; its address.
    async fn role(&mut self, name: &str, role: Role, door: Option<u16>) -> String {
        let mut environment = settings::common(self.options);
        let mut set = |setting: &str, value: String| environment.insert(format!("PORTBROKER_{setting}"), value);
        let mutant = self.options.mutant.filter(|_| role == Role::Worker);
        let mut urls = Vec::new();
        for (node, address) in self.nodes.clone() {
            urls.push(format!("nats://{}", self.link(name, &node, &address, mutant.map(Mutant::tampering)).await));
        }
        set("NATS__URL", urls.join(","));
        if let Some(address) = self.redis.clone() {
            set("REDIS__URL", format!("redis://{}", self.link(name, "redis", &address, None).await));
        }
        if let Some(address) = self.postgres.clone().filter(|_| role == Role::Ingress) {
            let address = self.link(name, "postgres", &address, None).await;
            set("DATABASE__URL", format!("postgres://portbroker@{address}/postgres"));
        }
        let door = match door {
            Some(port) => self.link(name, PROVIDER, &format!("127.0.0.1:{port}"), None).await,
            // Whoever calls no provider needs to know its models only.
            None => "127.0.0.1:9".to_owned(),
        };
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("a temporary folder is writable");
        let catalog = folder.join("providers.toml");
        fs::write(&catalog, provider::catalog(&door)).expect("a temporary folder is writable");
        set("PROVIDERS__FILE", catalog.to_string_lossy().into_owned());
        set("DATA_DIR", folder.to_string_lossy().into_owned());
        set("WORKER__NAME", name.to_owned());
        let wall_clock = (self.options.clock_jumps() > 0.0).then(|| WallClock::new(&folder)).flatten();
        let wall_clock = wall_clock.map(|(clock, told)| {
            environment.extend(told);
            clock
        });
        let address = format!("127.0.0.1:{}", ports::free());
        let log = self.options.logs.as_ref().map(|folder| folder.join(format!("{name}.log")));
        let machine = RoleMachine { role, address: address.clone(), environment, log, process: None };
        self.add(name, Machine::Role(machine), wall_clock);
        address
    }

    /// A new link; where to connect.
    async fn link(&mut self, from: &str, to: &str, upstream: &str, tampering: Option<Tampering>) -> String {
        let proxy = Proxy::tampering(upstream, tampering).await;
        let address = proxy.address().to_string();
        self.links.push(Link { from: from.to_owned(), to: to.to_owned(), proxy });
        address
    }
}
