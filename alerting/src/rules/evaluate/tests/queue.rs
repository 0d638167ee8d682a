//! The queue at its limits and beside them.

use schemas::alert::AlertKind;

use super::{Stage, at, depth, process, worker};
use crate::rules::reading::Found;

#[test]
fn a_backlog_is_more_than_its_limit_and_age_too() {
    let found = |kind, pending, age| Stage::with(depth(pending, age)).found(kind, 0);
    assert_eq!(found(AlertKind::QueueBacklog, 500, 0), Found::Clear);
    assert_eq!(found(AlertKind::QueueBacklog, 501, 0), Found::Breached);
    assert_eq!(found(AlertKind::QueueAge, 1, 300), Found::Clear);
    assert_eq!(found(AlertKind::QueueAge, 1, 301), Found::Breached);
}

#[test]
fn without_a_depth_the_queue_is_unknown_and_the_rest_is_not() {
    let mut stage = Stage::new();
    stage.add(process("alerting", "a"), 15);
    let unknown = stage.all(15).into_iter().filter(|reading| reading.result == Found::Unknown);
    let kinds: Vec<_> = unknown.map(|reading| reading.kind).collect();
    assert_eq!(kinds, [AlertKind::QueueBacklog, AlertKind::QueueAge, AlertKind::QueueStalled, AlertKind::QueueDrain]);
}

#[test]
fn stalled_is_old_work_and_no_ends_while_we_listened() {
    let mut stage = Stage::with(depth(1, 100));
    let kind = AlertKind::QueueStalled;
    assert_eq!(stage.found(kind, 59), Found::Clear, "not listened for long enough");
    assert_eq!(stage.found(kind, 60), Found::Breached);
    stage.facts = depth(1, 30);
    assert_eq!(stage.found(kind, 60), Found::Clear, "it waits for a short time");
    stage.facts = depth(0, 100);
    assert_eq!(stage.found(kind, 60), Found::Clear, "nothing waits");
    stage.facts = depth(1, 100);
    stage.add(worker(1, 0, &[]), 61);
    assert_eq!(stage.found(kind, 100), Found::Clear);
    assert_eq!(stage.found(kind, 122), Found::Breached, "its end was too long ago");
}

#[test]
fn the_time_to_drain_counts_only_while_it_grows() {
    let kind = AlertKind::QueueDrain;
    let mut stage = Stage::with(depth(400, 0));
    assert_eq!(stage.found(kind, 300), Found::Unknown, "nothing ends: nobody knows");
    stage.add(worker(150, 0, &[]), 299);
    // 400 jobs at 150 in 300 s take 800 s; the limit is 600 s.
    assert_eq!(stage.found(kind, 300), Found::Clear, "it is not known to grow");
    stage.window.waits(399, at(150));
    assert_eq!((stage.found(kind, 300), stage.of(kind, 300)[0].value), (Found::Breached, Some(800.0)));
    stage.window.waits(400, at(150));
    assert_eq!(stage.found(kind, 300), Found::Clear, "it does not grow");
    stage.facts = depth(0, 0);
    assert_eq!(stage.found(kind, 300), Found::Clear);
}
