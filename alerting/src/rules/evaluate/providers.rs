//! Providers: their breakers, and whether they take our credentials. Workers raise both at once; these rules tell what a
//! worker that died could not, and when it is over.

use schemas::alert::{AlertKind, Severity};
use schemas::breaker::{BreakerPhase, BreakerRecord};

use super::scene::{Findings, Scene, float};
use crate::rules::reading::Reading;
use crate::rules::window::Asked;

pub(super) fn rules(scene: Scene<'_>, findings: &mut Findings) {
    breakers(scene, findings);
    credentials(scene, findings);
}

/// An open breaker fires. One that is not in the bucket, or closed there, does not.
fn breakers(scene: Scene<'_>, findings: &mut Findings) {
    let timing = scene.switch(&scene.config.rules.breaker_open);
    let (Some(timing), Some(breakers)) = (timing, &scene.facts.breakers) else {
        return findings.partial(AlertKind::BreakerOpen);
    };
    findings.extend(breakers.iter().map(|breaker| {
        let BreakerRecord { provider, model, state } = breaker;
        let bad = match state {
            BreakerPhase::Open { until } => format!("{provider} fails repeatedly for {model}: no calls before {until}"),
            BreakerPhase::HalfOpen { .. } | BreakerPhase::Closed => {
                format!("{provider} fails repeatedly for {model}: a probe is on its way")
            }
        };
        let reading = Reading::new(AlertKind::BreakerOpen, Severity::Warning, timing);
        reading.label("provider", provider).label("model", model).found(*state != BreakerPhase::Closed, bad, "")
    }));
}

/// A refusal is over when the provider has answered again; that nobody asks it says nothing.
fn credentials(scene: Scene<'_>, findings: &mut Findings) {
    findings.partial(AlertKind::ProviderAuth);
    let rule = &scene.config.rules.provider_auth;
    let Some(timing) = scene.rule(rule) else { return };
    let providers = scene.window.providers(scene.config.window, scene.now);
    findings.extend(providers.into_iter().map(|(provider, Asked { unauthorized, answered })| {
        let reading = Reading::new(AlertKind::ProviderAuth, Severity::Critical, timing).label("provider", provider);
        if !answered && unauthorized < rule.threshold {
            return reading.unknown();
        }
        let bad = format!("provider {provider} refuses our credential: check its key");
        let good = format!("provider {provider} takes our credential");
        reading.found(!answered, bad, good).value(float(unauthorized)).limit(float(rule.threshold))
    }));
}
