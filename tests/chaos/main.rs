//! The chaos instrument: PortBroker as real processes under load and faults, and a checker that holds what the clients,
//! the provider, the broker and SQL saw against the invariants. `--help` tells how to use it.

mod check;
mod faults;
mod fleet;
mod history;
mod load;
mod mutant;
mod options;
mod provider;
mod report;
mod run;
mod whereabouts;
mod witness;

use std::process::ExitCode;

use clap::Parser;

/// The checker did not see what was planted.
const NOT_NAMED: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let options = options::Options::parse();
    let history = run::run(&options).await;
    let violations = check::check(&history);
    report::print(&options, &history, &violations);
    match options.mutant {
        Some(mutant) if !report::names(mutant, &violations) => ExitCode::from(NOT_NAMED),
        _ if violations.is_empty() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
