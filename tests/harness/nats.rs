//! A real nats-server of one test's own, on its own port and folder, that can be stopped, killed, frozen and brought back.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

use crate::child::Child;
use crate::{paths, ports, wait};

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// One nats-server with JetStream, configured by the repository's own `nats.conf`.
#[derive(Debug)]
pub struct Nats {
    port: u16,
    store: TempDir,
    process: Option<Child>,
}

impl Nats {
    /// Starts one and waits until it serves.
    pub async fn start() -> Self {
        let store = tempfile::tempdir().expect("a temporary folder can be made");
        let mut server = Self { port: ports::free(), store, process: None };
        server.resurrect().await;
        server
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
        let mut command = Command::new(paths::nats_server());
        command.arg("-c").arg(paths::repository().join("nats.conf"));
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"]).arg(self.store.path());
        self.process = Some(Child::start("nats-server", &mut command));
        wait::until("nats-server", START_LIMIT, async || self.greeting().await).await;
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
