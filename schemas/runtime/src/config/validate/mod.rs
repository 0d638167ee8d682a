//! What no type can say: ranges, addresses, files that must be there, and settings that must fit each other.

mod access;
mod address;
mod alerts;
mod incidents;
mod range;
mod relation;

use std::fmt::Display;
use std::path::Path;

use super::Config;
use super::error::ConfigError;

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

/// What was found so far.
struct Findings(Vec<ConfigError>);

impl Findings {
    /// `found` is shown as it stands: never a secret.
    fn unless(&mut self, fine: bool, field: &str, found: impl Display, instead: impl Into<String>) {
        if !fine {
            let (field, found) = (field.to_owned(), found.to_string());
            self.0.push(ConfigError::Invalid { field, found, instead: instead.into() });
        }
    }
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

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

fn quoted(value: impl AsRef<std::ffi::OsStr>) -> String {
    format!("\"{}\"", value.as_ref().to_string_lossy())
}

#[cfg(test)]
mod tests;
