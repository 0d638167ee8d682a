//! `dead`: lists, shows, replays and deletes jobs that failed for good.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::Client;
use crate::cli::{DeadAction, DeadListArguments, ReplayArguments, Target};
use crate::output;

pub(crate) async fn run(action: DeadAction, target: Target) -> Result<ExitCode> {
    let client = Client::new(target)?;
    match action {
        DeadAction::List(arguments) => list(&client, &arguments).await?,
        DeadAction::Show { id } => {
            let entry: Value = client.send(client.get(&path(&id))).await?.json().await?;
            output::line(&format!("{entry:#}"));
        }
        DeadAction::Replay(arguments) => replay(&client, &arguments).await?,
        DeadAction::Delete { id } => drop(client.send(client.delete(&path(&id))).await?),
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Client, arguments: &DeadListArguments) -> Result<()> {
    let limit = arguments.limit.to_string();
    let DeadListArguments { lane, model, after, .. } = arguments;
    let parameters =
        [("lane", lane.as_ref()), ("model", model.as_ref()), ("after", after.as_ref()), ("limit", Some(&limit))];
    let query: Vec<_> = parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let page: Value = client.send(client.get("/v1/dead").query(&query)).await?.json().await?;
    if arguments.json {
        output::line(&format!("{page:#}"));
        return Ok(());
    }
    for entry in page["data"].as_array().map(Vec::as_slice).unwrap_or_default() {
        output::line(&summary(entry));
    }
    if let Some(cursor) = page["next_cursor"].as_str() {
        output::note(&format!("there are more: --after {cursor}"));
    }
    Ok(())
}

/// One entry on one line: id, when, tenant, lane, model, attempts, why.
fn summary(entry: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let job = &entry["job"];
    let attempts = job["attempts"].as_array().map_or(0, Vec::len);
    let columns = [
        text(&entry["id"]),
        text(&entry["died_at"]),
        text(&entry["tenant"]),
        text(&job["lane"]),
        text(&job["model"]),
        format!("{attempts} attempts"),
        text(&job["error"]["code"]),
        text(&job["error"]["message"]),
    ];
    columns.join("  ")
}

async fn replay(client: &Client, arguments: &ReplayArguments) -> Result<()> {
    let ReplayArguments { id, model, provider, lane, idempotency_key } = arguments;
    let changes = [("model", model), ("provider", provider), ("lane", lane)];
    let body: Map<String, Value> = changes
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value.as_deref()?))))
        .collect();
    let mut request = client.post(&format!("{}/replay", path(id))).json(&body);
    if let Some(key) = idempotency_key {
        request = request.header("idempotency-key", key);
    }
    let job: Value = client.send(request).await?.json().await?;
    output::line(job["id"].as_str().context("the answer has no id")?);
    Ok(())
}

fn path(id: &str) -> String {
    format!("/v1/dead/{id}")
}
