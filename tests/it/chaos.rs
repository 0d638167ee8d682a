//! The chaos instrument in its short form: faults under load that break no promise, and mutants of the protocol that do,
//! each of which the checker must name.

use std::process::Command;
use std::time::Duration;

use harness::child::Child;
use harness::paths;
use harness::wait::check;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// What a run may take on a slow machine: to start, to act, to drain and to check.
const LIMIT: Duration = Duration::from_secs(900);
/// The status of a run that found a violation, the planted one where one was planted.
const VIOLATED: i32 = 1;

/// Each run is a whole fleet of processes: two tests of them at once would only wait for each other.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Runs the instrument to its end, so that it can take everything that it started with it. What is wrong with that end,
/// and all that was said before it.
async fn run(arguments: &[&str], expected: i32) -> Result<(), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    command.args(arguments).env("PORTBROKER_BIN", paths::portbroker());
    let child = Child::start("chaos", &mut command);
    let status = child.end(LIMIT).await;
    check(
        status.code() == Some(expected),
        format!("chaos {}: {status}\n{}", arguments.join(" "), child.lines().join("\n")),
    )
}

/// Leases are long enough for a machine that does other things too: a process that waits for its turn is no fault of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_of_faults_breaks_no_promise() {
    let _alone = ALONE.lock().await;
    let arguments = ["--minutes", "1", "--seed", "20", "--jobs-per-second", "25", "--lease", "9000", "--drain", "180"];
    run(&arguments, 0).await.unwrap_or_else(|what| panic!("{what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mutant_is_named() {
    let _alone = ALONE.lock().await;
    let mut runs = JoinSet::new();
    for mutant in ["ack_before_result", "claim_without_fence", "call_without_look", "claim_out_of_line"] {
        runs.spawn(async move {
            let short = ["--minutes", "0.2", "--at-least-kills", "4", "--at-least-jobs", "150", "--drain", "15"];
            let few = ["--no-redis", "--no-postgres", "--spare", "alerting", "--kills-per-minute", "30"];
            run(&[&["--mutant", mutant][..], &short, &few].concat(), VIOLATED).await
        });
    }
    for run in runs.join_all().await {
        run.unwrap_or_else(|what| panic!("{what}"));
    }
}
