//! `submit`: submits a job, waits for its end, prints its text.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Client, get, output_text};
use crate::cli::SubmitArguments;
use crate::output;

pub(crate) async fn run(arguments: SubmitArguments) -> Result<ExitCode> {
    let body = body(&arguments)?;
    let client = Client::new(arguments.target)?;
    let mut request = client.post("/v1/jobs").json(&body);
    if let Some(key) = &arguments.idempotency_key {
        request = request.header("idempotency-key", key);
    }
    let job: Value = client.send(request).await?.json().await?;
    let id = job["id"].as_str().context("the answer has no id")?.to_owned();
    if arguments.no_wait {
        output::line(&id);
        return Ok(ExitCode::SUCCESS);
    }
    let job = get::wait(&client, &id, arguments.timeout).await?;
    Ok(print(&id, &job, arguments.json))
}

fn body(arguments: &SubmitArguments) -> Result<Value> {
    if let Some(file) = &arguments.file {
        let text = if file.as_os_str() == "-" { from_stdin()? } else { std::fs::read_to_string(file)? };
        return serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()));
    }
    let prompt = match arguments.prompt.as_deref() {
        Some("-") | None => from_stdin()?,
        Some(prompt) => prompt.to_owned(),
    };
    let mut body = json!({"model": arguments.model, "messages": [{"role": "user", "content": prompt}]});
    if let Some(lane) = &arguments.lane {
        body["lane"] = json!(lane);
    }
    Ok(body)
}

fn from_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
    Ok(text)
}

fn print(id: &str, job: &Value, whole: bool) -> ExitCode {
    let status = job["status"].as_str().unwrap_or("unknown");
    if whole {
        output::line(&format!("{job:#}"));
    } else if status == "completed" || status == "incomplete" {
        output::line(&output_text(job));
    }
    if status == "completed" {
        return ExitCode::SUCCESS;
    }
    let message = job["error"]["message"].as_str().unwrap_or("no result yet");
    output::error(&format!("{id} is {status}: {message}"));
    ExitCode::FAILURE
}
