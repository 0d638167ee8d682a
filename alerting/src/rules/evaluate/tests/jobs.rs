//! How jobs end, at the limits and beside them.

use schemas::alert::AlertKind;
use schemas::stats::ProcessStats;

use super::{Stage, worker};
use crate::rules::evaluate::jobs::percentile;
use crate::rules::reading::Found;

#[test]
fn a_rate_needs_its_samples_and_forgets_old_ones() {
    let kind = AlertKind::ErrorRate;
    for (succeeded, failed, expected) in
        [(0, 19, Found::Clear), (18, 2, Found::Clear), (17, 3, Found::Breached), (0, 20, Found::Breached)]
    {
        let mut stage = Stage::new();
        stage.add(worker(succeeded, failed, &[]), 0);
        assert_eq!(stage.found(kind, 300), expected, "{failed} of {}", succeeded + failed);
        assert_eq!(stage.found(kind, 301), Found::Clear);
    }
}

#[test]
fn each_percentile_is_a_rule_of_its_own() {
    let breached = |durations: &[u32]| {
        let mut stage = Stage::new();
        stage.add(worker(0, 0, durations), 0);
        let readings = stage.of(AlertKind::Latency, 0).into_iter().filter(|one| one.result == Found::Breached);
        readings.map(|reading| reading.labels["quantile"].clone()).collect::<Vec<_>>()
    };
    let many = |slow: usize| [vec![9000; slow], vec![1; 100 - slow]].concat();
    assert_eq!(breached(&[9000; 19]), Vec::<String>::new(), "too few");
    assert_eq!(breached(&[5000; 20]), ["p50"], "at the limit is not above it");
    assert_eq!(breached(&many(2)), ["p99"]);
    assert_eq!(breached(&many(51)), ["p50", "p99"], "the 95th is switched off");
    let hundred: Vec<u32> = (1..=100).collect();
    assert_eq!((percentile(&hundred, 99), percentile(&[7], 99), percentile(&[], 99)), (Some(99), Some(7), None));
}

#[test]
fn dead_letters_are_counted_over_the_window() {
    let mut stage = Stage::new();
    stage.add(ProcessStats { dead_letters: 9, ..worker(0, 0, &[]) }, 0);
    assert_eq!(stage.found(AlertKind::DeadLetterRate, 0), Found::Clear);
    stage.add(ProcessStats { dead_letters: 1, ..worker(0, 0, &[]) }, 100);
    assert_eq!(stage.found(AlertKind::DeadLetterRate, 300), Found::Breached);
    assert_eq!(stage.found(AlertKind::DeadLetterRate, 301), Found::Clear);
}
