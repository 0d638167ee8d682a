//! Rules, and where alerts go beside Telegram.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::findings::{Findings, quoted};
use crate::config::Config;
use crate::secret::webhook_key;

/// Bytes of a webhook's key, as Standard Webhooks asks for.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    rules(config, findings);
    webhook(config, findings);
    let heartbeat = &config.heartbeat;
    url("heartbeat.url", &heartbeat.url, findings);
    let known = ["GET", "POST"].contains(&heartbeat.method.as_str());
    findings.unless(known, "heartbeat.method", quoted(&heartbeat.method), "write \"GET\" or \"POST\"");
}

fn rules(config: &Config, findings: &mut Findings) {
    let (refresh, rules) = (config.alerts.refresh, &config.alerts.rules);
    let fine = refresh.is_zero() || refresh < config.telegram.cooldown;
    let instead = "write less than telegram.cooldown, or \"0s\": each would be a message of its own";
    findings.unless(fine, "alerts.refresh", format!("{} s", refresh.as_secs()), instead);
    for (field, share) in [("error_rate", rules.error_rate.threshold), ("budget", rules.budget.threshold)] {
        let field = format!("alerts.rules.{field}.threshold");
        findings.unless((0.0..=1.0).contains(&share), &field, share, "write a share from 0 to 1");
    }
    let multiple = rules.cost_anomaly.threshold;
    let fine = multiple.is_finite() && multiple >= 1.0;
    findings.unless(fine, "alerts.rules.cost_anomaly.threshold", multiple, "write a multiple of 1 or more");
    let dollars = rules.budget.daily_dollars;
    let fine = dollars.is_finite() && dollars >= 0.0;
    findings.unless(fine, "alerts.rules.budget.daily_dollars", dollars, "write dollars a day, or 0 for no budget");
}

fn webhook(config: &Config, findings: &mut Findings) {
    let webhook = &config.webhook;
    url("webhook.url", &webhook.url, findings);
    let written = !webhook.secret.expose_secret().is_empty();
    let lonely = !webhook.url.expose_secret().is_empty() && !written;
    let instead = "write \"whsec_\" and 24 to 64 bytes in base64, for example of `openssl rand -base64 32`";
    findings.unless(!lonely, "webhook.secret", "\"\" beside webhook.url", instead);
    let fine = !written || webhook_key(&webhook.secret).is_some_and(|key| KEY_BYTES.contains(&key.len()));
    findings.unless(fine, "webhook.secret", "something else", instead);
    let fine = webhook.retry_initial <= webhook.retry_max;
    let found = format!("{} ms", webhook.retry_initial.as_millis());
    findings.unless(fine, "webhook.retry_initial", found, "write at most webhook.retry_max");
}

/// An http address, or none. It is not shown: its path may be all that guards it.
fn url(field: &str, address: &SecretString, findings: &mut Findings) {
    let address = address.expose_secret();
    let http = |url: Url| ["http", "https"].contains(&url.scheme()) && url.has_host();
    let fine = address.is_empty() || Url::parse(address).is_ok_and(http);
    findings.unless(fine, field, "something else", "write \"https://host/path\", or \"\" for none");
}
