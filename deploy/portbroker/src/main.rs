//! `portbroker`: every role and a small client in one binary.

mod alerts_command;
mod cli;
mod client;
mod config_command;
mod nats_server;
mod output;
mod roles;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use cli::{Cli, Command};

/// Gives freed memory back at once, as `.cargo/config.toml` builds it: large bodies come and go, and the system's own
/// allocator keeps them in its arenas.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Every TLS client in the process uses this provider; a second one would make them panic.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        output::error("the TLS provider could not be installed");
        return ExitCode::FAILURE;
    }
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            output::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::All => roles::run(roles::Role::All, cli.config.as_deref()).await,
        Command::Ingress => roles::run(roles::Role::Ingress, cli.config.as_deref()).await,
        Command::Worker => roles::run(roles::Role::Worker, cli.config.as_deref()).await,
        Command::Alerting => roles::run(roles::Role::Alerting, cli.config.as_deref()).await,
        Command::Alerts { action } => Box::pin(alerts_command::run(action, cli.config.as_deref())).await,
        Command::Config { action } => config_command::run(&action, cli.config.as_deref()),
        Command::Submit(arguments) => client::submit::run(arguments).await,
        Command::Get(arguments) => client::get::run(arguments).await,
        Command::Tail(arguments) => client::tail::run(arguments).await,
        Command::Dead { action, target } => client::dead::run(action, target).await,
    }
}
