//! The chaos instrument for a minute: kills, stops, restarts, partitions and clock jumps under load, and no violation.

use std::process::{Command, ExitStatus};
use std::time::Duration;

use harness::child::Child;
use harness::paths;

/// A run of a minute, and what a slow machine needs to start, to drain and to check.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs the instrument and shows all it said, should it not end as it must.
async fn run(arguments: &[&str], expected: i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    // Leases long enough for a machine that does other things too: a process that waits for its turn is no fault of ours.
    command.args(["--lease", "6000", "--drain", "180"]).args(arguments);
    command.env("PORTBROKER_BIN", paths::portbroker());
    let child = Child::start("chaos", &mut command);
    let status: ExitStatus = child.end(LIMIT).await;
    assert_eq!(status.code(), Some(expected), "chaos {}:\n{}", arguments.join(" "), child.lines().join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_of_faults_breaks_no_promise() {
    run(&["--minutes", "1", "--seed", "20", "--jobs-per-second", "25"], 0).await;
}
