//! The scenarios that must hold, and the broken ones that must be caught.

use std::collections::BTreeSet;

use strum::IntoEnumIterator;

use super::mutation::Mutation;
use super::search::{Report, search};
use super::{Faults, Scenario};

const NONE: Faults = Scenario::new("", 0).faults;

const MOST: usize = 120_000;

/// The longer form: `PORTBROKER_MODEL_STATES` sets how many worlds one search may visit, and each fault may come once
/// more.
fn longer() -> Option<usize> {
    std::env::var("PORTBROKER_MODEL_STATES").ok().and_then(|text| text.parse().ok())
}

fn holds(mut scenario: Scenario) {
    let longer = longer();
    if longer.is_some() {
        (scenario.faults, scenario.slow) = (scenario.faults.once_more(), true);
    }
    let Report { states, moves, cut, violation } = search(&scenario, longer.unwrap_or(MOST));
    assert!(longer.is_some() || !cut, "{}: not searched to its end", scenario.name);
    let extent = if cut { "the first" } else { "all" };
    println!("{}: {extent} {states} states, {moves} moves", scenario.name);
    if let Some((what, trace)) = violation {
        panic!("{}: {what}\n{trace}", scenario.name);
    }
}

fn crashes() -> Scenario {
    Scenario { faults: Faults { crashes: 2, early: 1, ..NONE }, ..Scenario::new("crashes", 2) }
}

fn pauses() -> Scenario {
    let faults = Faults { pauses: 1, early: 1, ..NONE };
    Scenario { faults, attempts: 1, ..Scenario::new("pauses past the lease", 2) }
}

fn writes() -> Scenario {
    let faults = Faults { unknown: 1, late: 1, early: 1, ..NONE };
    Scenario { faults, attempts: 1, ..Scenario::new("unknown and late writes", 2) }
}

fn deadlines() -> Scenario {
    let faults = Faults { unknown: 1, late: 1, crashes: 1, ..NONE };
    Scenario { faults, attempts: 1, deadline: true, ..Scenario::new("deadlines", 2) }
}

fn stale() -> Scenario {
    let faults = Faults { stale: 1, unknown: 1, crashes: 1, early: 1, ..NONE };
    Scenario { faults, ..Scenario::new("stale reads", 2) }
}

fn parks() -> Scenario {
    let faults = Faults { crashes: 1, early: 1, ..NONE };
    Scenario { faults, short_parks: 2, release: true, ..Scenario::new("short parks", 2) }
}

fn long_parks() -> Scenario {
    let faults = Faults { crashes: 1, unknown: 1, ..NONE };
    Scenario { faults, long_parks: 1, ..Scenario::new("long parks", 2) }
}

/// The due copy comes before the park is on record.
fn early_copies() -> Scenario {
    let faults = Faults { pauses: 1, ..NONE };
    Scenario { faults, long_parks: 1, ..Scenario::new("copies that come early", 2) }
}

fn cancels() -> Scenario {
    let faults = Faults { crashes: 1, unknown: 1, lost_hints: 1, ..NONE };
    Scenario { faults, cancel: true, ..Scenario::new("cancels", 2) }
}

fn waiting() -> Scenario {
    let faults = Faults { crashes: 1, lost_hints: 1, ..NONE };
    Scenario { faults, cancel: true, waiter: true, ..Scenario::new("a waiter", 2) }
}

fn clocks() -> Scenario {
    let faults = Faults { early: 1, pauses: 1, ..NONE };
    Scenario { faults, clocks: [1, -1, 0], ..Scenario::new("clocks apart", 2) }
}

/// Both margins are there, so that one alone bears an error of its size, and both together nearly twice that.
fn far_clocks() -> Scenario {
    Scenario { clocks: [2, 0, 0], name: "clocks far apart", ..clocks() }
}

fn sweeps() -> Scenario {
    let faults = Faults { crashes: 1, lost_messages: 1, ..NONE };
    Scenario { faults, long_parks: 1, sweeper: true, ..Scenario::new("a sweeper and lost messages", 2) }
}

fn sweeps_of_nothing() -> Scenario {
    let faults = Faults { crashes: 1, ..NONE };
    Scenario { faults, name: "a sweeper and nothing lost", ..sweeps() }
}

fn submits() -> Scenario {
    let faults = Faults { unknown: 2, silences: 1, lost_acks: 1, ..NONE };
    Scenario { faults, submitter: true, ..Scenario::new("submits with a key", 1) }
}

fn retention() -> Scenario {
    let faults = Faults { silences: 1, lost_acks: 1, crashes: 1, early: 1, ..NONE };
    Scenario { faults, ..Scenario::new("past retention", 2) }
}

fn two_jobs() -> Scenario {
    let faults = Faults { crashes: 1, early: 1, ..NONE };
    Scenario { faults, jobs: 2, ..Scenario::new("two jobs", 2) }
}

fn three_workers() -> Scenario {
    let faults = Faults { pauses: 1, early: 1, ..NONE };
    Scenario { faults, ..Scenario::new("three workers", 3) }
}

macro_rules! each_holds {
    ($($test:ident: $scenario:ident,)*) => {
        $(#[test]
        fn $test() {
            holds($scenario());
        })*
    };
}

each_holds! {
    nothing_is_lost_when_workers_crash: crashes,
    a_zombie_changes_nothing: pauses,
    no_lost_answer_is_a_verdict: writes,
    a_deadline_is_no_fault: deadlines,
    the_past_is_not_believed: stale,
    a_park_is_kept: parks,
    a_long_park_moves_the_carrier: long_parks,
    an_early_copy_waits: early_copies,
    a_cancel_and_an_end_are_one: cancels,
    no_waiter_misses_the_end: waiting,
    clocks_may_be_wrong: clocks,
    clocks_may_be_wrong_by_both_margins: far_clocks,
    lost_messages_are_swept: sweeps,
    nothing_else_is_swept: sweeps_of_nothing,
    one_key_is_one_job: submits,
    what_outlived_its_record_does_not_run: retention,
    jobs_do_not_meddle: two_jobs,
    a_third_worker_is_no_other: three_workers,
}

/// Each mutation, where it is caught, and by which property.
fn planted() -> Vec<(Mutation, Scenario, &'static str)> {
    use Mutation as M;
    vec![
        (M::AckBeforeResult, crashes(), "P1"),
        (M::AckOfAStrayDueMessage, early_copies(), "P1"),
        (M::AckBeforeParked, long_parks(), "P1"),
        (M::CarrierNotMoved, long_parks(), "P1"),
        (M::RefusedIsAVerdict, writes(), "P3"),
        (M::HolderKnownByName, crashes(), "P3"),
        (M::ParkNotObserved, parks(), "P3"),
        (M::LeaseNotObserved, writes(), "P3"),
        (M::NoMarginInClaim, far_clocks(), "P3"),
        (M::NoMarginInHold, far_clocks(), "P3"),
        (M::CallBeforeItsLedger, pauses(), "P3"),
        (M::CallWithoutLeaseCheck, pauses(), "P3"),
        (M::StaleReadBelieved, stale(), "P3"),
        (M::CancelOverAnEnd, cancels(), "P2"),
        (M::CancelWithoutLooking, cancels(), "P6"),
        (M::TakeOverForgetsLedger, crashes(), "P4"),
        (M::ResultForgetsLedger, pauses(), "P4"),
        (M::CancelForgetsLedger, cancels(), "P4"),
        (M::SweepDueBeforeDelayed, sweeps_of_nothing(), "P1"),
        (M::SweepOverANewerRecord, sweeps_of_nothing(), "P2"),
        (M::RetentionIgnored, retention(), "P2"),
        (M::WaiterNeverReadsAgain, waiting(), "P5, P7"),
        (M::UnknownIsAccepted, submits(), "P1"),
        (M::PurgeOfUndoneWork, crashes(), "P1"),
    ]
}

#[test]
fn every_planted_fault_is_caught() {
    let planted = planted();
    let named: BTreeSet<_> = planted.iter().map(|(mutation, ..)| format!("{mutation:?}")).collect();
    assert_eq!(named.len(), Mutation::iter().count(), "a mutation is not planted");
    let mut escaped = Vec::new();
    for (mutation, scenario, property) in planted {
        let scenario = Scenario { mutation: Some(mutation), ..scenario };
        let Report { states, violation, .. } = search(&scenario, MOST);
        let caught = violation.as_ref().map_or("nothing", |(what, _)| what.as_str());
        let trace = violation.as_ref().map_or("", |(_, trace)| trace.as_str());
        println!("{mutation:?}, {}: {caught} ({states} states)", scenario.name);
        if !caught.starts_with(property) {
            escaped.push(format!("{mutation:?}: {caught}\n{trace}"));
        }
    }
    assert!(escaped.is_empty(), "not caught as expected:\n{}", escaped.join("\n"));
}
