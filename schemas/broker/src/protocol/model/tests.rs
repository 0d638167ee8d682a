//! The scenarios that must hold, and the broken ones that must be caught.

use super::mutation::Mutation;
use super::search::{Report, search};
use super::{Faults, Scenario};

/// Most worlds of one search; `PORTBROKER_MODEL_STATES` sets another bound for a longer form.
fn bound() -> usize {
    std::env::var("PORTBROKER_MODEL_STATES").ok().and_then(|text| text.parse().ok()).unwrap_or(60_000)
}

fn holds(scenario: &Scenario) {
    let Report { states, moves, cut, violation } = search(scenario, bound());
    let extent = if cut { "the first" } else { "all" };
    println!("{}: {extent} {states} states, {moves} moves", scenario.name);
    if let Some((what, trace)) = violation {
        panic!("{}: {what}\n{trace}", scenario.name);
    }
}

#[test]
fn nothing_is_lost_when_workers_crash() {
    let faults = Faults { crashes: 2, early: 1, ..Faults::default() };
    holds(&Scenario { faults, ..Scenario::new("crashes", 2) });
}
