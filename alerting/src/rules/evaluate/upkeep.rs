//! What somebody has to look after: news that is stuck, credentials that end, a configuration that cannot be used.

use std::time::Duration;

use schemas::alert::{AlertKind, Severity};

use super::scene::{Findings, Scene, float};
use crate::rules::reading::Reading;

/// On a credential's last day it is urgent.
const LAST_DAY: Duration = Duration::from_secs(86_400);

pub(super) fn rules(scene: Scene<'_>, findings: &mut Findings) {
    outbox(scene, findings);
    expiry(scene, findings);
    configuration(scene, findings);
}

fn outbox(scene: Scene<'_>, findings: &mut Findings) {
    let rule = &scene.config.rules.outbox_stuck;
    let Some(timing) = scene.rule(rule) else { return };
    let limit = rule.threshold.0;
    findings.extend(scene.facts.waiting_seconds.iter().map(|(outlet, seconds)| {
        let reading = Reading::new(AlertKind::OutboxStuck, Severity::Critical, timing).label("outlet", outlet);
        let bad = format!("news has been waiting for {seconds} s to be told by {outlet}");
        let good = format!("news goes out by {outlet} again");
        let found = reading.found(Duration::from_secs(*seconds) > limit, bad, good);
        found.value(float(*seconds)).limit(limit.as_secs_f64())
    }));
}

fn expiry(scene: Scene<'_>, findings: &mut Findings) {
    let rule = &scene.config.rules.certificate_expiry;
    let Some(timing) = scene.rule(rule) else { return };
    findings.extend(scene.facts.expiries.iter().map(|(setting, ends)| {
        let left = ends.since(scene.now);
        let severity = if left <= LAST_DAY { Severity::Critical } else { Severity::Warning };
        let reading = Reading::new(AlertKind::CertificateExpiry, severity, timing).label("setting", setting);
        let bad = match left.is_zero() {
            true => format!("what {setting} names ended at {ends}"),
            false => format!("what {setting} names ends at {ends}, in {} hours", left.as_secs() / 3600),
        };
        let found = reading.found(left < rule.threshold.0, bad, format!("what {setting} names lasts until {ends}"));
        found.value(left.as_secs_f64()).limit(rule.threshold.0.as_secs_f64())
    }));
}

fn configuration(scene: Scene<'_>, findings: &mut Findings) {
    let Some(timing) = scene.switch(&scene.config.rules.config_invalid) else { return };
    let reading = Reading::new(AlertKind::ConfigInvalid, Severity::Warning, timing);
    let error = scene.facts.config_error.as_deref();
    let bad =
        format!("the changed configuration cannot be used, the rules before it stay: {}", error.unwrap_or_default());
    findings.push(reading.found(error.is_some(), bad, "the configuration can be used again"));
}
