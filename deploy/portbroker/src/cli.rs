//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

const EXAMPLES: &str = "\
Examples:
  portbroker all                                    every role, with a nats-server of its own
  portbroker submit 'Say hello'                     submit a chat job and wait for its result
  portbroker submit --file job.json --no-wait       submit a job written as JSON, print its id
  portbroker get job_01J...                         read a job
  portbroker tail job_01J...                        follow a job's tokens
  portbroker dead list                              jobs that failed for good
  portbroker dead replay job_01J... --model echo    submit one anew
  portbroker alerts check                           the rules of alerting, with their thresholds
  portbroker config check                           what is set, secrets masked; every error at once

Settings come from the built-in defaults, then --config FILE, then PORTBROKER_<SECTION>__<FIELD>, for example
PORTBROKER_INGRESS__LISTEN=127.0.0.1:8080. `portbroker config show --defaults` prints the manual of all of them.";

const DEAD_EXAMPLES: &str = "\
Examples:
  portbroker dead list --lane high --limit 100          the oldest hundred of one lane, a line each
  portbroker dead show job_01J...                       one as JSON: request, every attempt, replays
  portbroker dead replay job_01J... --provider backup   submit it anew, asking that provider alone; print the new id
  portbroker dead delete job_01J...                     forget it";

const ALERTS_EXAMPLES: &str = "\
Examples:
  portbroker alerts check                               are the rules valid, and what are they
  portbroker alerts record --for 600 > night.jsonl      ten minutes of statistics, as the rules see them
  portbroker alerts replay night.jsonl                  what would have fired, and when
  portbroker --config new.toml alerts replay night.jsonl    the same with other rules, before they are in force
  PORTBROKER_ALERTS__RULES__QUEUE_BACKLOG__THRESHOLD=50 portbroker alerts replay - < night.jsonl";

/// Asynchronous LLM gateway: accepted jobs survive, and end exactly once.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, propagate_version = true)]
pub(crate) struct Cli {
    /// Configuration file (TOML).
    #[arg(long, global = true, value_name = "FILE", env = "PORTBROKER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run every role in this process, with a nats-server of its own unless nats.url is set.
    All,
    /// Run the HTTP service.
    Ingress,
    /// Run a worker.
    Worker,
    /// Run alerting: rules and Telegram.
    Alerting,
    /// Check the rules of alerting, or try them against recorded statistics.
    #[command(after_help = ALERTS_EXAMPLES)]
    Alerts {
        #[command(subcommand)]
        action: AlertsAction,
    },
    /// Check or show the configuration.
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Submit a chat job.
    Submit(SubmitArguments),
    /// Read a job.
    Get(GetArguments),
    /// Follow a job's status and tokens.
    Tail(TailArguments),
    /// Read, replay or delete jobs that failed for good.
    #[command(after_help = DEAD_EXAMPLES)]
    Dead {
        #[command(subcommand)]
        action: DeadAction,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Subcommand)]
pub(crate) enum AlertsAction {
    /// Validate the rules, and print them with their thresholds.
    #[command(after_help = ALERTS_EXAMPLES)]
    Check,
    /// Tell which rule would have fired when, over recorded statistics.
    #[command(after_help = ALERTS_EXAMPLES)]
    Replay(ReplayStatisticsArguments),
    /// Record statistics to standard output, one JSON object a line. Needs nats.url.
    #[command(after_help = ALERTS_EXAMPLES)]
    Record {
        /// For how many seconds; until interrupted when left out.
        #[arg(long = "for", value_parser = seconds)]
        duration: Option<Duration>,
    },
}

#[derive(Args)]
pub(crate) struct ReplayStatisticsArguments {
    /// A recording; `-` reads standard input.
    pub(crate) file: PathBuf,
    /// Print each event as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum ConfigAction {
    /// Validate, report every error, and print the effective values with secrets masked.
    Check,
    /// Print the effective values with secrets masked.
    Show {
        /// As JSON, which can be read back as a configuration file.
        #[arg(long)]
        json: bool,
        /// Print the commented defaults instead: the manual of every setting.
        #[arg(long, conflicts_with = "json")]
        defaults: bool,
    },
}

/// Where the service is.
#[derive(Args)]
pub(crate) struct Target {
    /// Address of an ingress.
    #[arg(long, global = true, env = "PORTBROKER_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// API key, if the service asks for one.
    #[arg(long, global = true, env = "PORTBROKER_API_KEY", hide_env_values = true)]
    pub(crate) key: Option<SecretString>,
}

#[derive(Args)]
pub(crate) struct SubmitArguments {
    /// The prompt; `-` reads it from standard input.
    #[arg(required_unless_present = "file")]
    pub(crate) prompt: Option<String>,
    /// A whole job as JSON instead; `-` reads it from standard input.
    #[arg(long, conflicts_with = "prompt")]
    pub(crate) file: Option<PathBuf>,
    /// The model.
    #[arg(long, default_value = "echo")]
    pub(crate) model: String,
    /// The lane: high, normal or low.
    #[arg(long)]
    pub(crate) lane: Option<String>,
    /// Makes a repeated submit the same job.
    #[arg(long)]
    pub(crate) idempotency_key: Option<String>,
    /// Print the id and leave.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Print the whole job as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Longest wait for the result, in seconds.
    #[arg(long, default_value = "600", value_parser = seconds)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct GetArguments {
    /// The job's id.
    pub(crate) id: String,
    /// Wait until it has ended.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Longest wait, in seconds.
    #[arg(long, default_value = "600", value_parser = seconds)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args)]
pub(crate) struct TailArguments {
    /// The job's id.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Subcommand)]
pub(crate) enum DeadAction {
    /// List them, oldest first: id, when, lane, model, attempts, why.
    List(DeadListArguments),
    /// Print one as JSON, with its request, every attempt and its replays.
    Show {
        /// The job's id.
        id: String,
    },
    /// Submit one anew as a new job, and print that one's id.
    Replay(ReplayArguments),
    /// Forget one.
    Delete {
        /// The job's id.
        id: String,
    },
}

#[derive(Args)]
pub(crate) struct DeadListArguments {
    /// Of this lane: high, normal or low.
    #[arg(long)]
    pub(crate) lane: Option<String>,
    /// Of this model.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Most of them, 1 to 100.
    #[arg(long, default_value = "20")]
    pub(crate) limit: u32,
    /// The cursor that the page before ended with.
    #[arg(long)]
    pub(crate) after: Option<String>,
    /// Print the whole page as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ReplayArguments {
    /// The job's id.
    pub(crate) id: String,
    /// Another model.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// The one provider that may be asked.
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// Another lane: high, normal or low.
    #[arg(long)]
    pub(crate) lane: Option<String>,
    /// Makes a repeated replay the same job.
    #[arg(long)]
    pub(crate) idempotency_key: Option<String>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "expected a number of seconds".to_owned())
}
