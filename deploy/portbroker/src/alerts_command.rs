//! `alerts check`, `alerts replay` and `alerts record`: the rules without a running alerting.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use alerting::replay::{Player, Recorder};
use anyhow::{Context, Result, bail};
use broker::Broker;
use runtime::config::{AlertsConfig, Config};
use runtime::metrics::Metrics;
use schemas::alert::{AlertEvent, AlertState};
use serde_json::Value;

use crate::cli::{AlertsAction, ReplayStatisticsArguments};
use crate::{config_command, output};

pub(crate) async fn run(action: AlertsAction, file: Option<&Path>) -> Result<ExitCode> {
    let config = config_command::load(file)?;
    match action {
        AlertsAction::Check => {
            table(&config.alerts)?.iter().for_each(|line| output::line(line));
            output::note("the rules are valid");
        }
        AlertsAction::Replay(arguments) => replay(&arguments, config.alerts)?,
        AlertsAction::Record { duration } => record(&config, duration).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The rules as they are in force, a line each.
fn table(alerts: &AlertsConfig) -> Result<Vec<String>> {
    let shown = serde_json::to_value(alerts)?;
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let hold = text(&shown["hold"]);
    let or_hold = |value: &Value| if value == "" { hold.clone() } else { text(value) };
    let row = |name: &str, cells: [&str; 4]| {
        let [on, threshold, hold, keep] = cells;
        format!("{name:<20} {on:<4} {threshold:<14} {hold:<8} {keep}").trim_end().to_owned()
    };
    let mut lines = vec![row("RULE", ["ON", "THRESHOLD", "FOR", "KEEP FIRING FOR"])];
    for (name, rule) in shown["rules"].as_object().context("there are no rules")? {
        let on = if rule["enabled"] == true { "yes" } else { "no" };
        let threshold = match &rule["daily_dollars"] {
            Value::Null => text(&rule["threshold"]),
            dollars => format!("{} of {dollars} $", rule["threshold"]),
        };
        lines.push(row(name, [on, &threshold, &or_hold(&rule["for"]), &or_hold(&rule["keep_firing_for"])]));
    }
    let shared = ["interval", "window", "min_samples"].map(|name| format!("{name} {}", text(&shown[name])));
    lines.push(shared.join(", "));
    Ok(lines)
}

fn replay(arguments: &ReplayStatisticsArguments, rules: AlertsConfig) -> Result<()> {
    let reader: Box<dyn BufRead> = match arguments.file.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => {
            let open = File::open(&arguments.file);
            Box::new(BufReader::new(open.with_context(|| format!("{} cannot be read", arguments.file.display()))?))
        }
    };
    let (mut player, mut events) = (Player::new(rules), 0_u64);
    for line in reader.lines() {
        for event in player.play(&line.context("the recording cannot be read")?)? {
            events += 1;
            output::line(&if arguments.json { serde_json::to_string(&event)? } else { told(&event) });
        }
    }
    output::note(&format!("{} lines, {events} events, {} alerts still fire", player.lines(), player.firing()));
    Ok(())
}

fn told(event: &AlertEvent) -> String {
    let state = if event.state == AlertState::Firing { "fires" } else { "ends" };
    let labels: String = event.labels.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    let value = match (event.value, event.threshold) {
        (Some(value), Some(threshold)) => format!(" (value {value}, threshold {threshold})"),
        (Some(value), None) => format!(" (value {value})"),
        _ => String::new(),
    };
    format!(
        "{} {state:<5} {:<8} {}{labels}: {}{value}",
        event.at,
        event.severity.to_string(),
        event.kind,
        event.summary
    )
}

async fn record(config: &Config, duration: Option<Duration>) -> Result<()> {
    if config.nats.url.is_empty() {
        bail!("nats.url is not set: set PORTBROKER_NATS__URL, for example nats://127.0.0.1:4222");
    }
    let instance = format!("record-{}", std::process::id());
    let broker = Broker::connect(config, &instance, &Metrics::new()?.registry).await.context("NATS")?;
    let mut recorder = Recorder::new(broker.clone(), config).await?;
    let over = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            line = recorder.next() => output::line(&line?),
            () = &mut over => break,
            interrupted = &mut interrupted => {
                interrupted?;
                break;
            }
        }
    }
    broker.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use runtime::config::Source;

    use super::*;

    #[test]
    fn the_table_names_every_rule_with_its_times() {
        let alerts = Source::new(None, BTreeMap::new()).load().unwrap().alerts;
        let lines = table(&alerts).unwrap();
        assert_eq!(lines[1], "queue_backlog        yes  500            15s      15s");
        assert!(lines.contains(&"budget               yes  0.8 of 0.0 $   0s       15s".to_owned()), "{lines:#?}");
        assert!(lines.contains(&"latency_p50          no   2s             15s      15s".to_owned()), "{lines:#?}");
        assert_eq!(lines.last().unwrap(), "interval 5s, window 5m, min_samples 20");
    }
}
