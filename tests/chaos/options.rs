//! The command line: how long, how hard, and what to hit.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::fleet::faketime;
use crate::mutant::Mutant;

const EXAMPLES: &str = "\
Examples:
  ./tests/chaos/run.sh --minutes 1 --seed 7                     the form that CI runs
  ./tests/chaos/run.sh --minutes 20 --nodes 3 --at-least-jobs 20000
                                                                the long form on a cluster of three
  ./tests/chaos/run.sh --kills-per-minute 30 --spare nats-a     mostly kills, none of them the broker's
  ./tests/chaos/run.sh --partitions-per-minute 0 --no-redis     no partitions, no Redis
  ./tests/chaos/run.sh --minutes 5 --logs chaos-logs            keeps every process's log in that folder
  ./tests/chaos/mutants.sh                                      breaks the protocol on purpose, and sees each break named

Exit status: 0 nothing was violated, 1 something was, 2 the command line is wrong, 3 the planted mutant was not named,
101 the run could not be set up.";

/// Runs PortBroker as real processes under load, hurts them at random, and holds what every witness saw against the
/// invariants.
#[derive(Debug, Clone, Parser)]
#[command(name = "chaos", after_help = EXAMPLES, args_override_self = true)]
pub(crate) struct Options {
    /// How long load and faults go on; draining and checking come after.
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    pub(crate) minutes: f64,
    /// They go on beyond that until so many workers were killed, however slow the machine is.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) at_least_kills: usize,
    /// They go on beyond that until so many jobs were accepted.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) at_least_jobs: usize,
    /// The same seed makes the same wishes and the same plan of faults; their interleaving is the machine's.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// Servers of the broker: 1, or 3 with every stream on all three.
    #[arg(long, default_value_t = 1, value_parser = parse_nodes)]
    pub(crate) nodes: usize,
    /// Workers.
    #[arg(long, default_value_t = 3)]
    pub(crate) workers: usize,
    /// New jobs a second, while fewer than --clients wait.
    #[arg(long, default_value_t = 50.0, value_name = "RATE")]
    pub(crate) jobs_per_second: f64,
    /// Most clients at once.
    #[arg(long, default_value_t = 400)]
    pub(crate) clients: usize,
    /// Share of new jobs that are turns of sessions, 0 to 1. Four sessions are gone on with at a time, and each has so few
    /// turns that none is dropped from its history.
    #[arg(long, default_value_t = 0.2, value_name = "SHARE")]
    pub(crate) sessions: f64,
    /// The provider's mean time to answer, in milliseconds.
    #[arg(long, default_value_t = 300, value_name = "MS")]
    pub(crate) provider_latency: u64,
    /// Share of calls that the provider refuses or tears, 0 to 1.
    #[arg(long, default_value_t = 0.06, value_name = "SHARE")]
    pub(crate) provider_failures: f64,
    /// kill -9, of any process.
    #[arg(long, default_value_t = 8.0, value_name = "RATE")]
    pub(crate) kills_per_minute: f64,
    /// SIGSTOP, often for longer than a lease, then SIGCONT.
    #[arg(long, default_value_t = 3.0, value_name = "RATE")]
    pub(crate) stops_per_minute: f64,
    /// SIGTERM, then started again.
    #[arg(long, default_value_t = 2.0, value_name = "RATE")]
    pub(crate) restarts_per_minute: f64,
    /// Cut or frozen links between two processes.
    #[arg(long, default_value_t = 4.0, value_name = "RATE")]
    pub(crate) partitions_per_minute: f64,
    /// Servers of the broker cut off from the other two, on a cluster of three.
    #[arg(long, default_value_t = 1.5, value_name = "RATE")]
    pub(crate) node_partitions_per_minute: f64,
    /// Wall clocks of workers and ingresses set up to an hour forward or back. Needs libfaketime; 1 where it is installed.
    #[arg(long, value_name = "RATE")]
    pub(crate) clock_jumps_per_minute: Option<f64>,
    /// Plants a fault into every worker, as a test of the checker: the run must end with status 1 and name it.
    #[arg(long, value_name = "NAME")]
    pub(crate) mutant: Option<Mutant>,
    /// Never hit this one (worker-1, ingress-2, nats-a, redis, postgres, alerting); may be repeated.
    #[arg(long, value_name = "VICTIM")]
    pub(crate) spare: Vec<String>,
    /// Without Redis.
    #[arg(long)]
    pub(crate) no_redis: bool,
    /// Without PostgreSQL: each ingress keeps a history of its own, which is not checked.
    #[arg(long)]
    pub(crate) no_postgres: bool,
    /// A worker's lease, in milliseconds; it renews three times as often. On a machine that is busy with other things a
    /// process may wait for its turn longer than that, which no fault explains: give it more.
    #[arg(long, default_value_t = 3000, value_name = "MS")]
    pub(crate) lease: u64,
    /// How long everything may take to come to rest after the last fault, in seconds.
    #[arg(long, default_value_t = 90, value_name = "SECONDS")]
    pub(crate) drain: u64,
    /// Keep the logs of all processes, dead ones included, in this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) logs: Option<PathBuf>,
    /// Show the whole story of this many violations of each rule.
    #[arg(long, default_value_t = 2, value_name = "COUNT")]
    pub(crate) stories: usize,
}

impl Options {
    /// How long load and faults go on.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    /// How often clocks are made to jump. Without libfaketime they cannot be.
    pub(crate) fn clock_jumps(&self) -> f64 {
        if faketime::library().is_some() { self.clock_jumps_per_minute.unwrap_or(1.0) } else { 0.0 }
    }

    /// A worker's lease.
    pub(crate) const fn lease(&self) -> Duration {
        Duration::from_millis(self.lease)
    }

    /// How long everything may take to come to rest.
    pub(crate) const fn drain(&self) -> Duration {
        Duration::from_secs(self.drain)
    }
}

fn parse_nodes(text: &str) -> Result<usize, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("write 1 or 3".to_owned()),
    }
}
