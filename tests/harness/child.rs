//! A child process with its output kept, signalled by id, and killed on drop.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// Lines kept of one process; the oldest go first.
const KEPT_LINES: usize = 200_000;
/// Lines shown when a test fails.
const SHOWN_LINES: usize = 40;

/// A running program.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: Mutex<std::process::Child>,
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Child {
    /// Starts `command`, keeping both of its outputs.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[must_use]
    pub fn start(name: impl Into<String>, command: &mut Command) -> Self {
        let name = name.into();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        let lines = Arc::default();
        keep(process.stdout.take(), &lines);
        keep(process.stderr.take(), &lines);
        Self { name, process: Mutex::new(process), lines }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        locked(&self.process).id()
    }

    /// Everything it has written, in lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        locked(&self.lines).iter().cloned().collect()
    }

    /// Sends `signal`, unless it has ended already.
    pub fn signal(&self, signal: Signal) {
        let mut process = locked(&self.process);
        if matches!(process.try_wait(), Ok(None))
            && let Some(pid) = i32::try_from(process.id()).ok().and_then(Pid::from_raw)
        {
            kill_process(pid, signal).expect("a child of ours can be signalled");
        }
    }

    /// How it ended, or `None` while it runs.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        locked(&self.process).try_wait().expect("a child of ours can be waited for")
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it has not ended within `limit`.
    pub async fn end(&self, limit: Duration) -> ExitStatus {
        let what = format!("end of {}", self.name);
        wait::until(&what, limit, async || self.ended().ok_or("it still runs")).await
    }

    /// Kills it outright, as a crash would, and collects it.
    pub fn kill9(&self) {
        let mut process = locked(&self.process);
        // Both fail only when it has ended already, which is what is wanted.
        let _ = process.kill();
        let _ = process.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            let lines = self.lines();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("--- last lines of {} ---\n{}", self.name, shown.join("\n"));
        }
    }
}

fn keep(output: Option<impl Read + Send + 'static>, lines: &Arc<Mutex<VecDeque<String>>>) {
    let Some(output) = output else { return };
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            let mut kept = locked(&lines);
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
    });
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
