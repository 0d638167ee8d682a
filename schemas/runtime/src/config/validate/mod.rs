//! What no type can say: ranges, addresses, files that must be there, and settings that must fit each other.

mod access;
mod address;
mod alerts;
mod findings;
mod incidents;
mod range;
mod relation;

use super::Config;
use super::error::ConfigError;
use findings::{Findings, is_empty, quoted};

/// Everything that is wrong with `config`.
pub(super) fn check(config: &Config) -> Vec<ConfigError> {
    let mut findings = Findings(Vec::new());
    range::check(config, &mut findings);
    relation::check(config, &mut findings);
    address::check(config, &mut findings);
    access::check(config, &mut findings);
    alerts::check(config, &mut findings);
    incidents::check(config, &mut findings);
    files(config, &mut findings);
    logs(config, &mut findings);
    findings.0
}

fn files(config: &Config, findings: &mut Findings) {
    let nats = &config.nats;
    for (field, file) in [
        ("nats.credentials_file", &nats.credentials_file),
        ("nats.nkey_seed_file", &nats.nkey_seed_file),
        ("nats.ca_file", &nats.ca_file),
        ("nats.cert_file", &nats.cert_file),
        ("nats.key_file", &nats.key_file),
        ("nats.server_config", &nats.server_config),
        ("providers.file", &config.providers.file),
    ] {
        let fine = is_empty(file) || file.is_file();
        findings.unless(fine, field, quoted(file), "no such file: write the path of one, or \"\" for none");
    }
    let folder = &config.data_dir;
    findings.unless(!is_empty(folder), "data_dir", "\"\"", "write the path of a folder, for example \"./data\"");
    findings.unless(!folder.is_file(), "data_dir", quoted(folder), "it is a file: write the path of a folder");
}

fn logs(config: &Config, findings: &mut Findings) {
    let log = &config.log;
    let format = ["json", "text"].contains(&log.format.as_str());
    findings.unless(format, "log.format", quoted(&log.format), "write \"json\" or \"text\"");
    let level = tracing_subscriber::EnvFilter::builder().parse(&log.level).is_ok();
    let instead = "write a level (error, warn, info, debug, trace), or a filter like \"info,workers=debug\"";
    findings.unless(level, "log.level", quoted(&log.level), instead);
}

#[cfg(test)]
mod tests;
