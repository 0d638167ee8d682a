//! Breakers and credentials.

use std::collections::BTreeMap;

use schemas::alert::AlertKind;
use schemas::breaker::{BreakerPhase, BreakerRecord};
use schemas::stats::{ProcessStats, ProviderStats};

use super::{Stage, at, labels, worker};
use crate::rules::facts::Facts;
use crate::rules::reading::Found;

#[test]
fn an_open_breaker_is_the_alert_that_its_worker_raises() {
    let open = BreakerPhase::Open { until: at(60) };
    let record = |state| BreakerRecord { provider: "p".to_owned(), model: "m".to_owned(), state };
    let mut stage = Stage::with(Facts { breakers: Some(vec![record(open)]), ..Facts::default() });
    let reading = &stage.of(AlertKind::BreakerOpen, 0)[0];
    assert_eq!((reading.result, &reading.labels), (Found::Breached, &labels([("provider", "p"), ("model", "m")])));
    assert_eq!(reading.summary, "p fails repeatedly for m: no calls before 2026-01-31T12:01:00Z");
    stage.facts.breakers = Some(vec![record(BreakerPhase::Closed)]);
    assert_eq!(stage.found(AlertKind::BreakerOpen, 0), Found::Clear);
}

#[test]
fn a_refused_credential_is_over_when_the_provider_answers() {
    let mut stage = Stage::new();
    let calls = |answered, failed, unauthorized| {
        let calls = ProviderStats { answered, failed, unauthorized };
        ProcessStats { providers: BTreeMap::from([("p".to_owned(), calls)]), ..worker(0, 0, &[]) }
    };
    let kind = AlertKind::ProviderAuth;
    assert!(stage.of(kind, 0).is_empty());
    stage.add(calls(0, 3, 0), 0);
    assert_eq!(stage.found(kind, 0), Found::Unknown, "it failed for other reasons");
    stage.add(calls(0, 1, 1), 5);
    assert_eq!(stage.found(kind, 5), Found::Breached);
    stage.add(calls(0, 3, 0), 10);
    assert_eq!(stage.found(kind, 10), Found::Breached);
    stage.add(calls(1, 0, 0), 15);
    assert_eq!(stage.found(kind, 15), Found::Clear);
    stage.firing = vec![(kind, labels([("provider", "p")]))];
    assert!(stage.of(kind, 1000).is_empty(), "silence ends nothing");
}
