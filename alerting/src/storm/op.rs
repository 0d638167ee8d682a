//! What may happen in a storm, in any order.

use std::time::Duration;

use proptest::prelude::*;
use schemas::alert::{AlertEvent, AlertKind, Severity};

use super::World;
use crate::fixture;
use crate::incidents::{Inhibition, Operation, Silence};

/// A provider that refuses our credential explains its open breakers.
pub(super) fn inhibition() -> Inhibition {
    let all = |text: &str| vec![text.to_owned()];
    let (source, target) = (all("kind=provider_auth"), all("kind=breaker_open"));
    let config = runtime::config::InhibitionConfig { source, target, equal: all("provider"), within: None };
    Inhibition::new(&config).unwrap()
}

/// One thing that happens, mostly to one of a dozen providers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    Fire(u8, Severity),
    Resolve(u8),
    /// The cause that inhibits it begins.
    Cause(u8),
    CauseOver(u8),
    Acknowledge(u8),
    Declare(u8),
    Silence(u8, u64),
    Unsilence(u8),
    /// Folded in, but the acknowledgement is lost.
    Unacknowledged(u8),
    /// Delivered to a process that dies before it keeps anything.
    Died(u8),
    Redeliver,
    Crash,
    Throttle(u64),
    Pass(u64),
}

/// A storm, and what operators do about it if they are there.
pub(super) fn op(handled: bool) -> BoxedStrategy<Op> {
    let severity = prop_oneof![Just(Severity::Info), Just(Severity::Warning), Just(Severity::Critical)];
    let concern = || 0_u8..12;
    let storm = prop_oneof![
        6 => (concern(), severity).prop_map(|(concern, severity)| Op::Fire(concern, severity)),
        3 => concern().prop_map(Op::Resolve),
        1 => concern().prop_map(Op::Unacknowledged),
        1 => concern().prop_map(Op::Died),
        1 => Just(Op::Redeliver),
        1 => Just(Op::Crash),
        1 => (1_u64..40).prop_map(Op::Throttle),
        3 => (0_u64..20).prop_map(Op::Pass),
        1 => (200_u64..700).prop_map(Op::Pass),
    ];
    let hands = prop_oneof![
        concern().prop_map(Op::Cause),
        concern().prop_map(Op::CauseOver),
        concern().prop_map(Op::Acknowledge),
        concern().prop_map(Op::Declare),
        (concern(), 1_u64..900).prop_map(|(concern, seconds)| Op::Silence(concern, seconds)),
        concern().prop_map(Op::Unsilence),
    ];
    if handled { prop_oneof![3 => storm, 1 => hands].boxed() } else { storm.boxed() }
}

fn event(concern: u8) -> AlertEvent {
    fixture::firing(AlertKind::BreakerOpen, &concern.to_string())
}

pub(super) fn apply(world: &mut World, op: Op) {
    let key = |concern: u8| event(concern).fingerprint();
    match op {
        Op::Fire(concern, severity) => world.hear(AlertEvent { severity, ..event(concern) }),
        Op::Resolve(concern) => world.hear(fixture::resolved(AlertKind::BreakerOpen, &concern.to_string())),
        Op::Cause(concern) => world.hear(fixture::firing(AlertKind::ProviderAuth, &concern.to_string())),
        Op::CauseOver(concern) => world.hear(fixture::resolved(AlertKind::ProviderAuth, &concern.to_string())),
        Op::Acknowledge(concern) => world.operate(Operation::Acknowledge { key: key(concern) }),
        Op::Declare(concern) => world.operate(Operation::Resolve { key: key(concern) }),
        Op::Silence(concern, seconds) => world.operate(Operation::Silence(Silence {
            id: concern.to_string(),
            matchers: vec![format!("provider={concern}").parse().unwrap()],
            starts: world.now.wall,
            until: world.now.wall.after(Duration::from_secs(seconds)),
            by: "somebody".to_owned(),
            comment: String::new(),
        })),
        Op::Unsilence(concern) => world.operate(Operation::Unsilence { id: concern.to_string() }),
        Op::Unacknowledged(concern) => {
            let delivery = world.publish(event(concern));
            world.deliver(&delivery);
            world.lose(delivery);
        }
        Op::Died(concern) => {
            let delivery = world.publish(event(concern));
            world.crash();
            world.lose(delivery);
        }
        Op::Redeliver => world.redeliver(Duration::ZERO),
        Op::Crash => world.crash(),
        Op::Throttle(seconds) => {
            world.pacer.hold(Duration::from_secs(seconds), world.now.monotonic);
            world.witness.throttled(world.now.wall.after(Duration::from_secs(seconds)));
        }
        Op::Pass(seconds) => world.pass(Duration::from_secs(seconds)),
    }
}
