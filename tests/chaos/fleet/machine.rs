//! One victim: a process that can be killed, frozen, asked to stop, and brought back where it was.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use harness::child::Child;
use harness::nats::Nats;
use harness::postgres::Postgres;
use harness::process::{Process, Role};
use harness::redis::Redis;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::faketime;

/// How long a role may take to be ready, the broker's own outages included.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// How long a role may take to stop: its configured grace, and what a busy machine adds.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// Lines of a dead process that are told.
const LAST_WORDS: usize = 8;

/// One process and what it takes to start it again.
#[derive(Debug)]
pub(crate) enum Machine {
    /// A role of ours.
    Role(RoleMachine),
    /// A server of the broker.
    Nats(Nats),
    /// Redis, which keeps nothing.
    Redis(Redis),
    /// PostgreSQL.
    Postgres(Postgres),
}

/// A role on an address of its own, for all its lives.
#[derive(Debug)]
pub(crate) struct RoleMachine {
    pub(super) role: Role,
    pub(super) address: String,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) log: Option<PathBuf>,
    pub(super) process: Option<Process>,
}

impl Machine {
    /// `kill -9`.
    pub(crate) async fn kill(&mut self) {
        match self {
            Self::Role(role) => role.kill(),
            Self::Nats(nats) => nats.kill9(),
            Self::Redis(redis) => redis.stop(),
            // A killed postmaster leaves children behind that hold its memory: an immediate shutdown is its crash.
            Self::Postgres(postgres) => postgres.stop().await,
        }
    }

    /// Starts it where it was, and waits until it is ready.
    ///
    /// # Errors
    /// What it said last, when it is not ready in time.
    pub(crate) async fn start(&mut self) -> Result<(), String> {
        match self {
            Self::Role(role) => return role.start().await,
            Self::Nats(nats) => nats.resurrect().await,
            Self::Redis(redis) => redis.resurrect().await,
            Self::Postgres(postgres) => postgres.resurrect().await,
        }
        Ok(())
    }

    /// Sends a signal, if it is a process that we can signal.
    pub(crate) fn signal(&self, signal: Signal) {
        match self {
            Self::Role(RoleMachine { process: Some(process), .. }) => process.child().signal(signal),
            Self::Nats(nats) => nats.child().into_iter().for_each(|child| child.signal(signal)),
            _ => {}
        }
    }

    /// Asks it to stop and waits for its end.
    ///
    /// # Errors
    /// How it ended, when not in good order or not in time.
    pub(crate) async fn terminate(&mut self) -> Result<(), String> {
        match self {
            Self::Role(role) => role.terminate().await,
            Self::Nats(nats) => {
                nats.stop().await;
                Ok(())
            }
            _ => {
                self.kill().await;
                Ok(())
            }
        }
    }

    /// Whether it answers.
    pub(crate) async fn is_well(&self) -> bool {
        match self {
            Self::Role(RoleMachine { process: Some(process), .. }) => process.is_ready().await,
            Self::Role(_) => false,
            _ => true,
        }
    }

    /// How it ended by itself, if it did.
    pub(crate) fn died(&self) -> Option<String> {
        let Self::Role(RoleMachine { process: Some(process), .. }) = self else { return None };
        process
            .child()
            .ended()
            .map(|status| format!("it ended by itself with {status}: {}", last_words(process.child())))
    }
}

impl RoleMachine {
    fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill9();
            self.keep_log(process.child());
        }
    }

    async fn terminate(&mut self) -> Result<(), String> {
        let Some(process) = self.process.take() else { return Ok(()) };
        process.terminate();
        let deadline = Instant::now() + STOP_LIMIT;
        let ended = loop {
            match process.child().ended() {
                Some(status) if status.success() => break Ok(()),
                Some(status) => {
                    break Err(format!("asked to stop, it ended with {status}: {}", last_words(process.child())));
                }
                None if Instant::now() > deadline => break Err(format!("it did not stop within {STOP_LIMIT:?}")),
                None => sleep(POLL).await,
            }
        };
        process.kill9();
        self.keep_log(process.child());
        ended
    }

    /// A role that finds no broker gives up after a while, as a supervisor expects: it is started again.
    async fn start(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + READY_LIMIT;
        self.kill();
        loop {
            let process = Process::launch_at(&self.address, self.role, &self.environment);
            while process.child().ended().is_none() && Instant::now() < deadline {
                if process.is_ready().await {
                    self.process = Some(process);
                    return Ok(());
                }
                sleep(POLL).await;
            }
            let words = last_words(process.child());
            self.keep_log(process.child());
            if Instant::now() >= deadline {
                return Err(format!("it was not ready within {READY_LIMIT:?}: {words}"));
            }
            sleep(POLL * 4).await;
        }
    }

    /// Appends what a process said to its victim's log, and sweeps up after it.
    pub(super) fn keep_log(&self, child: &Child) {
        faketime::clean_up(child.id());
        let Some(path) = &self.log else { return };
        let mut text = child.lines().join("\n");
        let _ = writeln!(text, "\n--- process {} ended ---", child.id());
        let file = OpenOptions::new().create(true).append(true).open(path);
        if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
            eprintln!("{} cannot be written: {error}", path.display());
        }
    }
}

impl Drop for RoleMachine {
    fn drop(&mut self) {
        self.kill();
    }
}

fn last_words(child: &Child) -> String {
    let lines = child.lines();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join(" | ")
}
