//! How jobs end: how many fail, how many for good, how long they take.

use std::time::Duration;

use runtime::config::rules::{Rule, Span, Timing};
use schemas::alert::{AlertKind, Severity};

use super::scene::{Findings, Scene, float};
use crate::rules::reading::Reading;

pub(super) fn rules(scene: Scene<'_>, findings: &mut Findings) {
    let rules = &scene.config.rules;
    findings.extend(scene.rule(&rules.error_rate).map(|timing| error_rate(scene, timing)));
    findings.extend(scene.rule(&rules.dead_letter_rate).map(|timing| dead_letters(scene, timing)));
    let durations = scene.window.durations(scene.config.window, scene.now);
    for (percent, rule) in [(50, &rules.latency_p50), (95, &rules.latency_p95), (99, &rules.latency_p99)] {
        findings.extend(scene.rule(rule).map(|timing| latency(scene, &durations, percent, rule, timing)));
    }
}

fn error_rate(scene: Scene<'_>, timing: Timing) -> Reading {
    let (span, limit) = (scene.config.window, scene.config.rules.error_rate.threshold);
    let ends = scene.window.ends(span, scene.now);
    let total = ends.total();
    let reading = Reading::new(AlertKind::ErrorRate, Severity::Critical, timing).limit(limit);
    let good = "the share of failed jobs is below its limit again";
    if total < scene.config.min_samples.max(1) {
        return reading.found(false, "", good);
    }
    let rate = float(ends.failed) / float(total);
    let bad = format!("{:.1} % of {total} jobs failed in the last {} s", rate * 100.0, span.as_secs());
    reading.found(rate > limit, bad, good).value(rate)
}

fn dead_letters(scene: Scene<'_>, timing: Timing) -> Reading {
    let (span, limit) = (scene.config.window, scene.config.rules.dead_letter_rate.threshold);
    let died = scene.window.dead_letters(span, scene.now);
    let reading = Reading::new(AlertKind::DeadLetterRate, Severity::Critical, timing).limit(float(limit));
    let bad = format!("{died} jobs failed for good in the last {} s and lie in DEAD", span.as_secs());
    reading.found(died >= limit, bad, "few jobs fail for good again").value(float(died))
}

fn latency(scene: Scene<'_>, sorted: &[u32], percent: usize, rule: &Rule<Span>, timing: Timing) -> Reading {
    let limit = rule.threshold.0.as_secs_f64();
    let reading = Reading::new(AlertKind::Latency, Severity::Warning, timing).limit(limit);
    let reading = reading.label("quantile", format!("p{percent}"));
    let good = format!("the {percent}th percentile of run times is below its limit again");
    let enough = sorted.len() as u64 >= scene.config.min_samples;
    let Some(found) = percentile(sorted, percent).filter(|_| enough) else { return reading.found(false, "", good) };
    let seconds = Duration::from_millis(u64::from(found)).as_secs_f64();
    let bad = format!("the {percent}th percentile of run times is {seconds:.1} s over {} jobs", sorted.len());
    reading.found(seconds > limit, bad, good).value(seconds)
}

/// The nearest-rank percentile of sorted values.
pub(super) fn percentile(sorted: &[u32], percent: usize) -> Option<u32> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}
