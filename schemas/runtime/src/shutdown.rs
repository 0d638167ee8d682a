//! Stopping: the first signal asks everyone to finish, the second ends the process at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Exit code after a second signal, as shells report an interrupt.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled on SIGINT or SIGTERM. A second signal exits the process with 130 at once. Signals are
/// caught from the moment this returns. Call it once, within a tokio runtime.
///
/// # Errors
/// When the system refuses to register the handlers.
pub fn signalled() -> io::Result<CancellationToken> {
    let signals = Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
    let shutdown = CancellationToken::new();
    // Watches as long as the process lives, also while it stops: nobody ever waits for it.
    TaskTracker::new().spawn(watch(signals, shutdown.clone()));
    Ok(shutdown)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

async fn watch(mut signals: Signals, shutdown: CancellationToken) {
    let name = signals.next().await;
    tracing::info!(signal = name, "shutting down");
    shutdown.cancel();
    let name = signals.next().await;
    tracing::warn!(signal = name, "exiting at once");
    std::process::exit(INTERRUPTED);
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    const CHILD: &str = "RUNTIME_TEST_SHUTDOWN_CHILD";

    #[test]
    fn the_first_signal_asks_and_the_second_ends() {
        if std::env::var_os(CHILD).is_some() {
            return wait_for_signals();
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "shutdown::tests::the_first_signal_asks_and_the_second_ends", "--nocapture"])
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let process = Pid::from_child(&child);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line == "waiting"));
        kill_process(process, Signal::TERM).unwrap();
        assert!(lines.any(|line| line == "cancelled"));
        kill_process(process, Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(INTERRUPTED));
    }

    /// What the process does that the test signals: this very test, run again.
    #[tokio::main(flavor = "current_thread")]
    async fn wait_for_signals() {
        let shutdown = signalled().unwrap();
        println!("\nwaiting");
        shutdown.cancelled().await;
        println!("cancelled");
        std::future::pending::<()>().await;
    }
}
