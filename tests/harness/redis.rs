//! A real Redis of one test's own.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::child::Child;
use crate::{paths, ports, wait};

/// One redis-server that keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    folder: TempDir,
    process: Option<Child>,
}

impl Redis {
    /// Starts one and waits until it serves.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut server = Self { port: ports::free(), folder, process: None };
        server.resurrect().await;
        server
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it again, empty, on the same port.
    pub async fn resurrect(&mut self) {
        let mut command = Command::new(paths::program("PORTBROKER_REDIS_SERVER", "redis-server", &[]));
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(self.folder.path());
        self.process = Some(Child::start("redis-server", &mut command));
        wait::until("redis-server", Duration::from_secs(20), async || self.ping().await).await;
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    async fn ping(&self) -> Result<(), String> {
        let mut answer = [0_u8; 5];
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.map_err(|error| error.to_string())?;
        stream.write_all(b"PING\r\n").await.map_err(|error| error.to_string())?;
        stream.read_exact(&mut answer).await.map_err(|error| error.to_string())?;
        wait::check(&answer == b"+PONG", String::from_utf8_lossy(&answer))
    }
}
