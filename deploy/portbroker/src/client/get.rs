//! `get`: reads a job, and waits for its end if asked.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::time::Instant;

use super::{Client, ended};
use crate::cli::GetArguments;
use crate::output;

pub(crate) async fn run(arguments: GetArguments) -> Result<ExitCode> {
    let client = Client::new(arguments.target)?;
    let job = match arguments.wait {
        true => wait(&client, &arguments.id, arguments.timeout).await?,
        false => client.job(&arguments.id, None).await?,
    };
    output::line(&serde_json::to_string_pretty(&job)?);
    Ok(ExitCode::SUCCESS)
}

/// Waits for a job's end with a progress line; gives the job as it is when the time is up.
pub(crate) async fn wait(client: &Client, id: &str, patience: Duration) -> Result<Value> {
    let started = Instant::now();
    loop {
        let left = patience.saturating_sub(started.elapsed());
        let slice = left.min(Duration::from_secs(2));
        let job = client.job(id, Some(slice)).await?;
        if ended(&job) || left.is_zero() {
            output::progress("");
            return Ok(job);
        }
        let status = job["status"].as_str().unwrap_or("unknown");
        let reason = job["reason"].as_str().map(|reason| format!(" ({reason})")).unwrap_or_default();
        output::progress(&format!("{id} {status}{reason}, {} s", started.elapsed().as_secs()));
    }
}
