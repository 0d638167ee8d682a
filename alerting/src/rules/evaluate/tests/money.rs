//! What days cost.

use schemas::alert::{AlertKind, Severity};
use schemas::stats::ProcessStats;

use super::{Stage, at, worker};
use crate::rules::cost::Costs;
use crate::rules::reading::Found;

#[test]
fn costs_are_compared_with_the_days_before_and_with_the_budget() {
    let mut stage = Stage::new();
    let (day, mut costs, mut sum) = (86_400, Costs::default(), 0);
    let mut spend = |costs: &mut Costs, dollars: u64, second| {
        sum += dollars * 1_000_000;
        costs.hear(&ProcessStats { cost_micros: sum, ..worker(0, 0, &[]) }, at(second));
    };
    (0..3).for_each(|past| spend(&mut costs, 4, past * day));
    spend(&mut costs, 5, 3 * day);
    stage.costs = Some(costs.clone());
    assert_eq!(stage.found(AlertKind::CostAnomaly, 3 * day), Found::Clear, "1.25 times is not above it");
    assert_eq!(stage.found(AlertKind::Budget, 3 * day), Found::Clear);
    spend(&mut costs, 3, 3 * day);
    stage.costs = Some(costs.clone());
    let anomaly = &stage.of(AlertKind::CostAnomaly, 3 * day)[0];
    assert_eq!((anomaly.result, anomaly.value, anomaly.threshold), (Found::Breached, Some(8.0), Some(5.0)));
    assert_eq!(anomaly.summary, "today has cost 8.00 $ so far; the days before cost 4.00 $ each");
    let budget = &stage.of(AlertKind::Budget, 3 * day)[0];
    assert_eq!((budget.result, budget.severity), (Found::Breached, Severity::Warning));
    assert_eq!(budget.summary, "80 % of today's budget of 10.00 $ is spent");
    spend(&mut costs, 2, 3 * day);
    stage.costs = Some(costs);
    assert_eq!(stage.of(AlertKind::Budget, 3 * day)[0].severity, Severity::Critical);
    assert_eq!(stage.found(AlertKind::Budget, 4 * day), Found::Clear);
    stage.costs = None;
    assert!(stage.of(AlertKind::Budget, 0).is_empty());
}
