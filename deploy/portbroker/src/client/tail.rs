//! `tail`: follows a job's events and prints its tokens as they come.

use std::process::ExitCode;

use anyhow::Result;
use futures::StreamExt;
use serde_json::Value;

use super::{Client, output_text};
use crate::cli::TailArguments;
use crate::output;

pub(crate) async fn run(arguments: TailArguments) -> Result<ExitCode> {
    let client = Client::new(arguments.target)?;
    let request = client.get(&format!("/v1/jobs/{}/events", arguments.id));
    let mut chunks = client.send(request).await?.bytes_stream();
    let mut follower = Follower::default();
    let mut buffer = Vec::new();
    while let Some(chunk) = chunks.next().await {
        buffer.extend_from_slice(&chunk?);
        while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = buffer.drain(..end + 2).collect();
            if let Some(code) = follower.take(&String::from_utf8_lossy(&event)) {
                return Ok(code);
            }
        }
    }
    output::error("the event stream ended before the job did");
    Ok(ExitCode::FAILURE)
}

#[derive(Default)]
struct Follower {
    printed: bool,
}

impl Follower {
    /// Takes one event in; the exit code once the job has ended.
    fn take(&mut self, event: &str) -> Option<ExitCode> {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let data: Value = serde_json::from_str(field("data:")?).ok()?;
        match field("event:")? {
            "delta" => {
                if let Some(text) = data["delta"]["text"].as_str() {
                    output::piece(text);
                    self.printed = true;
                }
                None
            }
            "status" => {
                output::note(&format!("status: {}", data["status"].as_str().unwrap_or("unknown")));
                None
            }
            "done" => Some(self.done(&data)),
            _ => None,
        }
    }

    fn done(&self, job: &Value) -> ExitCode {
        let text = if self.printed { String::new() } else { output_text(job) };
        output::line(&text);
        if job["status"] == "completed" {
            return ExitCode::SUCCESS;
        }
        let message = job["error"]["message"].as_str().unwrap_or("no result");
        output::error(&format!("{}: {message}", job["status"].as_str().unwrap_or("unknown")));
        ExitCode::FAILURE
    }
}
