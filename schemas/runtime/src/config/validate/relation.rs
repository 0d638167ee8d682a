//! Settings that must fit each other.

use std::time::Duration;

use super::findings::{Findings, is_empty};
use crate::config::Config;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    leases(config, findings);
    lifetimes(config, findings);
    sizes(config, findings);
    waits(config, findings);
    certificates(config, findings);
}

fn leases(config: &Config, findings: &mut Findings) {
    let worker = &config.worker;
    let thrice = worker.renew_every.saturating_mul(3);
    let instead = format!("write at most {}, a third of worker.lease", shown(worker.lease / 3));
    findings.unless(thrice <= worker.lease, "worker.renew_every", shown(worker.renew_every), instead);
    let margins = worker.clock_margin.saturating_mul(2);
    let instead = format!("write more than {}, twice worker.clock_margin", shown(margins));
    findings.unless(worker.lease > margins, "worker.lease", shown(worker.lease), instead);
}

/// No record may expire while its job lives: a job waits until its latest time, then runs, then may be parked.
fn lifetimes(config: &Config, findings: &mut Findings) {
    let needed = [config.streams.max_delay, config.worker.call_timeout, config.worker.lease]
        .into_iter()
        .fold(Duration::ZERO, Duration::saturating_add);
    let instead =
        format!("write more than {}: streams.max_delay, worker.call_timeout and worker.lease together", shown(needed));
    let retention = config.streams.retention;
    findings.unless(retention > needed, "streams.retention", shown(retention), instead);
    let idle = config.sessions.idle_expiry;
    let run = config.worker.call_timeout.saturating_add(config.worker.lease);
    let instead = format!("write more than {}: worker.call_timeout and worker.lease together", shown(run));
    findings.unless(idle > run, "sessions.idle_expiry", shown(idle), instead);
}

fn sizes(config: &Config, findings: &mut Findings) {
    let (publisher, ingress) = (&config.publisher, &config.ingress);
    let instead = format!("write at most publisher.batch_max, {}", publisher.batch_max);
    let fine = publisher.batch_threshold <= publisher.batch_max;
    findings.unless(fine, "publisher.batch_threshold", publisher.batch_threshold, instead);
    let instead = format!("write at least ingress.inline_max_bytes, {}", ingress.inline_max_bytes);
    let fine = publisher.batch_max_bytes >= ingress.inline_max_bytes;
    findings.unless(fine, "publisher.batch_max_bytes", publisher.batch_max_bytes, instead);
    let instead = format!("write at least ingress.max_body_bytes, {}", ingress.max_body_bytes);
    let fine = ingress.body_memory_bytes >= ingress.max_body_bytes;
    findings.unless(fine, "ingress.body_memory_bytes", ingress.body_memory_bytes, instead);
    let (pending, slots) = (config.streams.max_ack_pending, config.worker.slots);
    let instead = format!("write more than the slots of all workers, {slots} each");
    findings.unless(pending > i64::from(slots), "streams.max_ack_pending", pending, instead);
}

fn waits(config: &Config, findings: &mut Findings) {
    let (retry, worker) = (&config.retry, &config.worker);
    let instead = format!("write at most retry.max, {}", shown(retry.max));
    findings.unless(retry.initial <= retry.max, "retry.initial", shown(retry.initial), instead);
    let instead = format!("write at most worker.call_timeout, {}", shown(worker.call_timeout));
    findings.unless(
        worker.idle_timeout <= worker.call_timeout,
        "worker.idle_timeout",
        shown(worker.idle_timeout),
        instead,
    );
}

fn certificates(config: &Config, findings: &mut Findings) {
    let nats = &config.nats;
    let (certificate, key) = (!is_empty(&nats.cert_file), !is_empty(&nats.key_file));
    findings.unless(key || !certificate, "nats.key_file", "\"\"", "write the path of the key of nats.cert_file");
    findings.unless(
        certificate || !key,
        "nats.cert_file",
        "\"\"",
        "write the path of the certificate of nats.key_file",
    );
}

/// As it would be written in the file.
fn shown(duration: Duration) -> String {
    let written = humantime_serde::serialize(&duration, serde_json::value::Serializer).unwrap_or_default();
    written.as_str().unwrap_or_default().to_owned()
}
