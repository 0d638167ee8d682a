//! The nats-server that `all` runs for itself: a child on a free loopback port, with a token of its own. One left over
//! from a killed parent is stopped first, so that its files have one owner.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use runtime::clock;
use runtime::config::NatsConfig;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::Deserialize;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const EMBEDDED: &str = include_str!("../../../nats.conf");
/// How long a stopping nats-server may take.
const STOP_GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// A running nats-server of ours.
pub(crate) struct NatsServer {
    child: Child,
    port: u16,
    token: String,
    pid_file: PathBuf,
}

impl NatsServer {
    /// Starts one over `data_dir`.
    pub(crate) async fn start(config: &NatsConfig, data_dir: &Path) -> Result<Self> {
        let folder = data_dir.join("nats");
        std::fs::create_dir_all(&folder).with_context(|| format!("data_dir: cannot create {}", folder.display()))?;
        let pid_file = folder.join("nats-server.pid");
        stop_left_over(&pid_file).await?;
        let token = format!("{:032x}", clock::random_bits());
        let settings = write_settings(config, &folder, &token)?;
        let ports = folder.join("ports");
        drop(std::fs::remove_dir_all(&ports));
        std::fs::create_dir_all(&ports)?;
        let mut child = spawn(config, &folder, &settings, &pid_file, &ports)?;
        let port = match wait_for_port(&mut child, &ports, config.connect_timeout).await {
            Ok(port) => port,
            Err(error) => {
                drop(child.start_kill());
                return Err(error.context(format!("see {}", folder.join("nats-server.log").display())));
            }
        };
        Ok(Self { child, port, token, pid_file })
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Stops it cleanly; kills it when it takes too long.
    pub(crate) async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            signal(pid, Signal::TERM);
        }
        if tokio::time::timeout(STOP_GRACE, self.child.wait()).await.is_err() {
            tracing::warn!("nats-server did not stop in time: killed");
            drop(self.child.kill().await);
        }
        drop(std::fs::remove_file(&self.pid_file));
    }
}

/// The embedded or configured settings, and the token that keeps other users of this machine out.
fn write_settings(config: &NatsConfig, folder: &Path, token: &str) -> Result<PathBuf> {
    use std::io::Write;
    let base = if config.server_config.as_os_str().is_empty() {
        EMBEDDED.to_owned()
    } else {
        std::fs::read_to_string(&config.server_config)
            .with_context(|| format!("nats.server_config: cannot read {}", config.server_config.display()))?
    };
    let path = folder.join("nats-server.conf");
    drop(std::fs::remove_file(&path));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    write!(file, "{base}\nauthorization {{ token: \"{token}\" }}\n")?;
    Ok(path)
}

fn spawn(config: &NatsConfig, folder: &Path, settings: &Path, pid_file: &Path, ports: &Path) -> Result<Child> {
    let log = std::fs::File::create(folder.join("nats-server.log"))?;
    Command::new(&config.server_program)
        .arg("-c")
        .arg(settings)
        .args(["-a", "127.0.0.1", "-p", "-1", "-sd"])
        .arg(folder)
        .arg("-P")
        .arg(pid_file)
        .arg("--ports_file_dir")
        .arg(ports)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A Ctrl-C goes to the whole group: ours must stop before the server under it does.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| {
            format!(
                "nats.server_program: cannot start {:?}: install nats-server 2.12 or newer, or set \
                 PORTBROKER_NATS__SERVER_PROGRAM, or PORTBROKER_NATS__URL to use a server that runs already",
                config.server_program
            )
        })
}

async fn wait_for_port(child: &mut Child, ports: &Path, patience: Duration) -> Result<u16> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            bail!("nats-server ended at once ({status})");
        }
        if let Some(port) = read_port(ports) {
            return Ok(port);
        }
        sleep(POLL).await;
    }
    bail!("nats-server did not open its port within {patience:?}")
}

fn read_port(ports: &Path) -> Option<u16> {
    #[derive(Deserialize)]
    struct Ports {
        nats: Vec<String>,
    }
    let entry = std::fs::read_dir(ports).ok()?.flatten().next()?;
    let ports: Ports = serde_json::from_slice(&std::fs::read(entry.path()).ok()?).ok()?;
    ports.nats.first()?.rsplit(':').next()?.parse().ok()
}

/// Stops the server whose process id stands in `pid_file`, if it is still one.
async fn stop_left_over(pid_file: &Path) -> Result<()> {
    let Some(pid) = left_over(pid_file) else { return Ok(()) };
    tracing::warn!(pid = pid.as_raw_nonzero().get(), "stopping the nats-server that an earlier run left behind");
    signal(pid, Signal::TERM);
    let deadline = Instant::now() + STOP_GRACE;
    while test_kill_process(pid).is_ok() {
        if Instant::now() > deadline {
            signal(pid, Signal::KILL);
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// Sends a signal; a process that is gone already needs none.
fn signal(pid: Pid, signal: Signal) {
    if let Err(error) = kill_process(pid, signal) {
        tracing::debug!(error = %error, "nats-server not signalled");
    }
}

fn left_over(pid_file: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(pid_file).ok()?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw)?;
    let name = std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).ok()?;
    name.trim().starts_with("nats-server").then_some(pid)
}
