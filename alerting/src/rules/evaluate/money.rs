//! What a day costs.

use schemas::alert::{AlertKind, Severity};

use super::scene::{Findings, Scene, float};
use crate::rules::cost::Costs;
use crate::rules::reading::Reading;

const MICROS: f64 = 1e6;

pub(super) fn rules(scene: Scene<'_>, findings: &mut Findings) {
    let Some(costs) = scene.costs else {
        findings.partial(AlertKind::CostAnomaly);
        return findings.partial(AlertKind::Budget);
    };
    findings.extend(anomaly(scene, costs));
    findings.extend(budget(scene, costs));
}

fn anomaly(scene: Scene<'_>, costs: &Costs) -> Option<Reading> {
    let rule = &scene.config.rules.cost_anomaly;
    let reading = Reading::new(AlertKind::CostAnomaly, Severity::Warning, scene.rule(rule)?);
    let today = float(costs.today(scene.now)) / MICROS;
    let good = "today's cost is below its limit";
    let Some(mean) = costs.mean(scene.now).filter(|mean| *mean > 0.0) else {
        return Some(reading.found(false, "", good));
    };
    let (mean, limit) = (mean / MICROS, mean / MICROS * rule.threshold);
    let bad = format!("today has cost {today:.2} $ so far; the days before cost {mean:.2} $ each");
    Some(reading.limit(limit).value(today).found(today > limit, bad, good))
}

fn budget(scene: Scene<'_>, costs: &Costs) -> Option<Reading> {
    let rule = &scene.config.rules.budget;
    let budget = rule.daily_dollars;
    if !rule.enabled || budget <= 0.0 {
        return None;
    }
    let timing = scene.config.timing(rule.hold, rule.keep_firing_for);
    let today = float(costs.today(scene.now)) / MICROS;
    let (spent, over) = (today >= budget * rule.threshold, today >= budget);
    let severity = if over { Severity::Critical } else { Severity::Warning };
    let bad = match over {
        true => format!("today's budget of {budget:.2} $ is spent: {today:.2} $ so far"),
        false => format!("{:.0} % of today's budget of {budget:.2} $ is spent", today / budget * 100.0),
    };
    let reading = Reading::new(AlertKind::Budget, severity, timing).limit(budget * rule.threshold).value(today);
    Some(reading.found(spent, bad, "a new day's budget has begun"))
}
