//! A real nats-server of one test's own, on its own port and folder, that can be stopped, killed, frozen and brought back.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

use crate::child::Child;
use crate::proxy::Proxy;
use crate::{paths, ports, wait};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// One nats-server with JetStream, configured by the repository's own `nats.conf` or, in a cluster, `deploy/nats/cluster`.
#[derive(Debug)]
pub struct Nats {
    port: u16,
    store: TempDir,
    config: PathBuf,
    /// Where its routes are, in a cluster.
    routes: Vec<String>,
    process: Option<Child>,
}

impl Nats {
    /// Starts one and waits until it serves.
    pub async fn start() -> Self {
        let mut server = Self::new(paths::repository().join("nats.conf"), Vec::new());
        server.resurrect().await;
        server
    }

    /// Starts a cluster of three, `nats-a`, `nats-b` and `nats-c`, and waits until it serves.
    ///
    /// # Panics
    /// When it does not.
    pub async fn cluster() -> [Self; 3] {
        let ports = [(); 3].map(|()| ports::free());
        Self::cluster_over(ports, &|_, to| format!("127.0.0.1:{}", ports[to])).await
    }

    /// Starts such a cluster with every route behind a proxy of its own, so that its servers can be parted from each
    /// other. Each proxy is told with who dials and who is dialled.
    ///
    /// # Panics
    /// When it does not serve.
    pub async fn cluster_of_proxies() -> ([Self; 3], Vec<(usize, usize, Proxy)>) {
        let ports = [(); 3].map(|()| ports::free());
        let mut proxies = Vec::new();
        for (from, to) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            proxies.push((from, to, Proxy::start(&format!("127.0.0.1:{}", ports[to])).await));
        }
        let route = |from: usize, to: usize| {
            let proxy = proxies.iter().find(|(one, other, _)| (*one, *other) == (from, to));
            proxy.expect("there is a proxy for every pair").2.address().to_string()
        };
        let servers = Self::cluster_over(ports, &route).await;
        (servers, proxies)
    }

    /// The route ports of the three, and where the first must dial to reach the second.
    async fn cluster_over(ports: [u16; 3], route: &(dyn Fn(usize, usize) -> String + Sync)) -> [Self; 3] {
        let folder = paths::repository().join("deploy/nats/cluster");
        let server = |from: usize, config: &str| {
            let others = (0..ports.len()).filter(|to| *to != from);
            let others: Vec<_> = others.map(|to| format!("nats://{}", route(from, to))).collect();
            let own = format!("nats://127.0.0.1:{}", ports[from]);
            let mut routes = vec!["--cluster".into(), own, "--routes".into(), others.join(",")];
            // Nobody answers there: a server that hears of another by hearsay does not walk round its proxies.
            routes.extend(["--cluster_advertise".into(), "127.0.0.1:9".into()]);
            Self::new(folder.join(config), routes)
        };
        let mut servers = [server(0, "a.conf"), server(1, "b.conf"), server(2, "c.conf")];
        // None serves before a majority is there.
        servers.iter_mut().for_each(Self::launch);
        for server in &servers {
            server.serves().await;
            let client = server.client().await;
            wait::until("JetStream", START_LIMIT, async || has_leader(&client).await).await;
        }
        servers
    }

    fn new(config: PathBuf, routes: Vec<String>) -> Self {
        let store = tempfile::tempdir().expect("a temporary folder can be made");
        Self { port: ports::free(), store, config, routes, process: None }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where its data lies.
    #[must_use]
    pub fn store(&self) -> &std::path::Path {
        self.store.path()
    }

    /// A plain connection, for looking behind the scenes.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn client(&self) -> async_nats::Client {
        async_nats::connect(self.url()).await.expect("the test's nats-server answers")
    }

    /// Starts it again, on the same port and data.
    pub async fn resurrect(&mut self) {
        self.launch();
        self.serves().await;
    }

    fn launch(&mut self) {
        let mut command = Command::new(paths::nats_server());
        command.arg("-c").arg(&self.config).args(&self.routes);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"]).arg(self.store.path());
        self.process = Some(Child::start("nats-server", &mut command));
    }

    /// Waits until it takes connections.
    pub async fn serves(&self) {
        wait::until("nats-server", START_LIMIT, async || self.greeting().await).await;
    }

    /// Its process, while it has one.
    #[must_use]
    pub const fn child(&self) -> Option<&Child> {
        self.process.as_ref()
    }

    /// Stops it in good order.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal(Signal::TERM);
            process.end(STOP_LIMIT).await;
        }
    }

    /// Kills it as a crash would.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Freezes it: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("the server runs").signal(signal);
    }

    async fn greeting(&self) -> Result<(), String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.map_err(|error| error.to_string())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.map_err(|error| error.to_string())?;
        wait::check(line.starts_with("INFO ") && line.contains("\"jetstream\":true"), line)
    }
}

/// Whether JetStream answers: in a cluster, once it has a leader.
async fn has_leader(client: &async_nats::Client) -> Result<(), String> {
    let context = async_nats::jetstream::new(client.clone());
    context.query_account().await.map(drop).map_err(|error| error.to_string())
}
