//! A real PostgreSQL of one test's own. It refuses to run as root, so root gives it away to another user.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Signal, geteuid};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::child::Child;
use crate::{paths, ports, wait};

/// Speed before safety: this data lives as long as the test.
const SETTINGS: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=16MB",
];
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// One PostgreSQL with an empty database.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    folder: TempDir,
    process: Option<Child>,
}

impl Postgres {
    /// Makes and starts one, and waits until it serves.
    ///
    /// # Panics
    /// When its data folder cannot be made.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut initdb = command("initdb");
        if let Some((user, group)) = owner() {
            chown(folder.path(), Some(user), Some(group)).expect("root can give a folder away");
        }
        initdb.args(["--no-sync", "--auth=trust", "--username=portbroker", "--encoding=UTF8", "--locale=C", "-D"]);
        let made = initdb.arg(folder.path().join("data")).output().expect("initdb can be started");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self { port: ports::free(), folder, process: None };
        server.resurrect().await;
        server
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://portbroker@127.0.0.1:{}/postgres", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it again, on the same port and data.
    pub async fn resurrect(&mut self) {
        let mut postgres = command("postgres");
        postgres.arg("-D").arg(self.folder.path().join("data")).args(["-p", &self.port.to_string()]);
        postgres.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        self.process = Some(Child::start("postgres", &mut postgres));
        let url = self.url();
        wait::until("PostgreSQL", Duration::from_secs(30), async || PgConnection::connect(&url).await?.ping().await)
            .await;
    }

    /// Stops it in good order, cutting every connection.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal(Signal::INT);
            process.end(STOP_LIMIT).await;
        }
    }
}

impl Drop for Postgres {
    /// An immediate shutdown, so that it takes its own children along; a plain kill would leave them behind for a while.
    fn drop(&mut self) {
        let Some(process) = self.process.take() else { return };
        process.signal(Signal::QUIT);
        for _ in 0..200 {
            if process.ended().is_some() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

fn command(name: &str) -> Command {
    let variable = format!("PORTBROKER_{}", name.to_uppercase());
    let mut command = Command::new(paths::program(&variable, name, &debian_folders()));
    if let Some((user, group)) = owner() {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}

/// Debian keeps the server's programs off PATH, one folder a version. The newest first.
fn debian_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}

/// Whom to run it as when we are root: user and group of `postgres`, else of `nobody`.
fn owner() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok().filter(|_| geteuid().is_root())?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}
