//! Ranges of single numbers and durations. Read off the serialized configuration, so that no new field escapes them.

use std::time::Duration;

use serde_json::Value;

use super::findings::Findings;
use crate::config::Config;
use crate::config::tree::leaves;

/// Counts and sizes where 0 means something: no limit, or never.
const MAY_BE_ZERO: [&str; 5] = [
    "alerts.rules.queue_backlog.threshold",
    "disk.min_free_bytes",
    "ingress.requests_per_minute",
    "queue.backlog_threshold",
    "sessions.summary_after",
];

/// Durations where zero means something: at once, or not at all.
const MAY_BE_NONE: [&str; 13] = [
    "alerts.hold",
    "alerts.refresh",
    "ingress.leave_grace",
    "ingress.max_wait",
    "ingress.retry_join",
    "retry.inline_max",
    "shutdown.grace",
    "telegram.cooldown",
    "telegram.group_interval",
    "telegram.group_wait",
    "webhook.repeat_interval",
    "worker.clock_margin",
    "worker.coalesce",
];

/// Longer ones are mistakes, and would overflow the clock.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Numbers with bounds of their own: field, least, most, and why.
const BOUNDS: [(&str, i64, i64, &str); 13] = [
    ("alerts.max_silences", 1, 10_000, "each is matched against every alert"),
    ("publisher.batch_max", 2, 1000, "the server takes no larger batches"),
    ("publisher.batches_in_flight", 1, 1000, "each is held in memory"),
    ("publisher.queue", 1, 1_000_000, "each is held in memory"),
    ("ingress.inline_max_bytes", 1, 983_040, "NATS takes messages of 1 MiB, and the job's own fields need room"),
    ("ingress.max_body_bytes", 1, 1 << 30, "a body is held in memory"),
    ("ingress.max_connections", 1, 1_000_000, "each takes a file descriptor"),
    ("ingress.max_json_depth", 1, 128, "the parser goes no deeper"),
    ("retry.max_requests", 1, 1000, "each stays in the job's record"),
    ("sessions.max_bytes", 1, 700_000, "encrypted, it must fit into a NATS message of 1 MiB"),
    ("sessions.max_turns", 1, 10_000, "each takes some bytes beside its messages"),
    ("sessions.summary_max_tokens", 64, 4096, "a shorter one says nothing, a longer one fills the prompt"),
    ("worker.slots", 1, 10_000, "each takes a connection"),
];

pub(super) fn check(config: &Config, findings: &mut Findings) {
    for (field, value) in leaves(&config.shown()) {
        match &value {
            Value::Number(number) => count(&field, number, findings),
            Value::String(text) => duration(&field, text, &value, findings),
            _ => {}
        }
    }
    let replicas = config.streams.replicas;
    let instead = "write 1, or 3 or 5 in a cluster of as many servers";
    findings.unless([1, 3, 5].contains(&replicas), "streams.replicas", replicas, instead);
}

fn count(field: &str, number: &serde_json::Number, findings: &mut Findings) {
    let Some(value) = number.as_i64() else { return };
    match BOUNDS.iter().find(|(bounded, ..)| *bounded == field) {
        Some((_, least, most, why)) => {
            let instead = format!("write {least} to {most}: {why}");
            findings.unless((*least..=*most).contains(&value), field, value, instead);
        }
        None => findings.unless(value >= 1 || MAY_BE_ZERO.contains(&field), field, value, "write 1 or more"),
    }
}

/// Nothing when the text is no duration.
fn duration(field: &str, text: &str, value: &Value, findings: &mut Findings) {
    let Ok(duration) = humantime_serde::deserialize::<Duration, _>(value) else { return };
    let of_rule = field.starts_with("alerts.rules.") && !field.ends_with(".threshold");
    let some = !duration.is_zero() || of_rule || MAY_BE_NONE.contains(&field);
    findings.unless(some, field, text, "write a duration above zero");
    findings.unless(duration <= LONGEST, field, text, "write a duration of at most ten years");
}
