//! Real servers as children, killed when dropped.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A child whose log is read until it says that it is ready. The log stays open: a server would die of writing to none.
struct Server {
    child: Child,
    _log: Box<dyn Read + Send>,
}

impl Server {
    /// Gives the lines up to the one that holds `ready`.
    fn start(command: &mut Command, ready: &str) -> (Self, Vec<String>) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // nats-server logs to stderr, redis-server to stdout.
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let nats = command.get_program().to_string_lossy().contains("nats");
        let (log, other): (Box<dyn Read + Send>, Box<dyn Read + Send>) =
            if nats { (Box::new(stderr), Box::new(stdout)) } else { (Box::new(stdout), Box::new(stderr)) };
        let mut log = BufReader::new(log);
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.contains(ready)) {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "{command:?} did not start: {lines:?}");
            lines.push(line);
        }
        (Self { child, _log: Box::new(log.chain(other)) }, lines)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A nats-server that can go away and come back.
pub(super) struct Nats {
    server: Option<Server>,
    store: TempDir,
    port: String,
}

impl Nats {
    pub(super) fn start() -> Self {
        let mut nats = Self { server: None, store: tempfile::tempdir().unwrap(), port: "-1".to_owned() };
        nats.resurrect();
        nats
    }

    pub(super) fn kill(&mut self) {
        self.server = None;
    }

    pub(super) fn resurrect(&mut self) {
        let mut command = Command::new(program("PORTBROKER_NATS_SERVER", "nats-server"));
        command.args(["-a", "127.0.0.1", "-p", &self.port, "-js", "-sd"]).arg(self.store.path());
        let (server, log) = Server::start(&mut command, "Server is ready");
        let port = log.iter().find_map(|line| line.trim().split_once("client connections on 127.0.0.1:")).unwrap().1;
        (self.port, self.server) = (port.to_owned(), Some(server));
    }

    pub(super) async fn client(&self) -> async_nats::Client {
        async_nats::connect(format!("127.0.0.1:{}", self.port)).await.unwrap()
    }
}

/// A redis-server on a socket of its own, that keeps nothing.
pub(super) struct Redis {
    server: Option<Server>,
    folder: TempDir,
}

impl Redis {
    pub(super) fn start() -> Self {
        let mut redis = Self { server: None, folder: tempfile::tempdir().unwrap() };
        redis.resurrect();
        redis
    }

    pub(super) fn kill(&mut self) {
        self.server = None;
    }

    pub(super) fn resurrect(&mut self) {
        let mut command = Command::new(program("PORTBROKER_REDIS_SERVER", "redis-server"));
        command.args(["--port", "0", "--save", "", "--unixsocket"]).arg(self.socket()).arg("--dir");
        let (server, _) = Server::start(command.arg(self.folder.path()), "eady to accept connections");
        self.server = Some(server);
    }

    pub(super) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }
}

/// The program that `variable` names, else the one on PATH.
fn program(variable: &str, name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = || std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    std::env::var_os(variable)
        .map(PathBuf::from)
        .or_else(on_path)
        .unwrap_or_else(|| panic!("{name} is not on PATH: run ./tests/run.sh, which installs it, or set {variable}"))
}
