//! One role of PortBroker as a process of its own, configured by its environment alone.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::child::Child;
use crate::{paths, ports, wait};

const READY_LIMIT: Duration = Duration::from_secs(60);
/// What a child inherits; everything else, `PORTBROKER_*` above all, is the test's to say.
const INHERITED: [&str; 6] = ["PATH", "HOME", "LANG", "TMPDIR", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// A role's subcommand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// HTTP in.
    Ingress,
    /// Runs jobs.
    Worker,
    /// Tells operators.
    Alerting,
    /// Everything in one process, with a nats-server of its own.
    All,
}

impl Role {
    const fn subcommand(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Worker => "worker",
            Self::Alerting => "alerting",
            Self::All => "all",
        }
    }

    const fn listen_variable(self) -> &'static str {
        match self {
            Self::Ingress | Self::All => "PORTBROKER_INGRESS__LISTEN",
            Self::Worker | Self::Alerting => "PORTBROKER_OPS__LISTEN",
        }
    }
}

/// A running role.
#[derive(Debug)]
pub struct Process {
    child: Child,
    base: String,
}

impl Process {
    /// Starts `role` with the settings of `environment` and waits until it says it is ready.
    pub async fn start(role: Role, environment: &BTreeMap<String, String>) -> Self {
        let process = Self::launch(role, environment);
        wait::until(&format!("ready {role:?}"), READY_LIMIT, async || process.ready().await).await;
        process
    }

    /// Starts `role` and does not wait.
    #[must_use]
    pub fn launch(role: Role, environment: &BTreeMap<String, String>) -> Self {
        Self::launch_at(&format!("127.0.0.1:{}", ports::free()), role, environment)
    }

    /// Starts `role` listening on `address`, so that one that was killed can come back there, and does not wait.
    #[must_use]
    pub fn launch_at(address: &str, role: Role, environment: &BTreeMap<String, String>) -> Self {
        let mut command = Command::new(paths::portbroker());
        command.arg(role.subcommand()).env_clear().envs(environment).env(role.listen_variable(), address);
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let child = Child::start(format!("portbroker {}", role.subcommand()), &mut command);
        Self { child, base: format!("http://{address}") }
    }

    /// Where its HTTP server is, for example `http://127.0.0.1:18080`.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The process behind it.
    #[must_use]
    pub const fn child(&self) -> &Child {
        &self.child
    }

    /// Kills it as a crash would.
    pub fn kill9(&self) {
        self.child.kill9();
    }

    /// Asks it to stop. Asked twice, it ends at once and with another status.
    pub fn terminate(&self) {
        self.child.signal(Signal::TERM);
    }

    /// Asks it to stop and waits for a clean end.
    pub async fn stop(&self, limit: Duration) {
        self.terminate();
        self.ends_well(limit).await;
    }

    /// Waits for a clean end.
    ///
    /// # Panics
    /// When it has not ended within `limit`, or not with exit code 0.
    pub async fn ends_well(&self, limit: Duration) {
        let status = self.child.end(limit).await;
        assert_eq!(status.code(), Some(0), "a stopped role exits with 0, not {status}");
    }

    /// The most memory that it ever held, in bytes (VmHWM).
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).expect("a running process has a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells VmHWM");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("VmHWM is a number of kB");
        kib * 1024
    }

    /// Whether it says that it is ready.
    pub async fn is_ready(&self) -> bool {
        self.child.ended().is_none() && self.asked().await.is_ok()
    }

    /// Waits until one of its series, with its labels as they are written, has this value; 0 while it is not there.
    ///
    /// # Panics
    /// When it has not in time.
    pub async fn counts(&self, series: &str, value: impl Display) {
        let url = format!("{}/metrics", self.base);
        wait::until(&format!("{series} of {value}"), READY_LIMIT, async || {
            let answer = reqwest::get(&url).await.map_err(|error| error.to_string())?;
            let text = answer.text().await.map_err(|error| error.to_string())?;
            let found = text.lines().find_map(|line| line.strip_prefix(series)).map_or("0", str::trim);
            wait::check(found == value.to_string(), found)
        })
        .await;
    }

    async fn ready(&self) -> Result<(), String> {
        if let Some(status) = self.child.ended() {
            let lines = self.child.lines();
            panic!("it ended with {status} before it was ready:\n{}", lines.join("\n"));
        }
        self.asked().await
    }

    async fn asked(&self) -> Result<(), String> {
        let url = format!("{}/health/ready", self.base);
        let answer = reqwest::get(url).await.map_err(|error| error.to_string())?;
        wait::check(answer.status().is_success(), answer.status())
    }
}
