//! How deep the queue is, how old, and how fast it drains.

use std::time::Duration;

use runtime::config::rules::Timing;
use schemas::alert::{AlertKind, Severity};
use schemas::stats::{LaneDepth, QueueDepth};

use super::scene::{Findings, Scene, float};
use crate::rules::reading::Reading;

pub(super) fn rules(scene: Scene<'_>, findings: &mut Findings) {
    let (rules, depth) = (&scene.config.rules, scene.facts.depth.as_ref().map(QueueDepth::total));
    findings.extend(scene.rule(&rules.queue_backlog).map(|timing| backlog(scene, depth, timing)));
    findings.extend(scene.rule(&rules.queue_age).map(|timing| age(scene, depth, timing)));
    findings.extend(scene.rule(&rules.queue_stalled).map(|timing| stalled(scene, depth, timing)));
    findings.extend(scene.rule(&rules.queue_drain).map(|timing| drain(scene, depth, timing)));
}

fn backlog(scene: Scene<'_>, depth: Option<LaneDepth>, timing: Timing) -> Reading {
    let limit = scene.config.rules.queue_backlog.threshold;
    let reading = Reading::new(AlertKind::QueueBacklog, Severity::Warning, timing).limit(float(limit));
    let Some(depth) = depth else { return reading.unknown() };
    let (bad, good) = ("more jobs wait than configured", "the queue is below its limit again");
    reading.found(depth.pending > limit, bad, good).value(float(depth.pending))
}

fn age(scene: Scene<'_>, depth: Option<LaneDepth>, timing: Timing) -> Reading {
    let limit = scene.config.rules.queue_age.threshold.0;
    let reading = Reading::new(AlertKind::QueueAge, Severity::Warning, timing).limit(limit.as_secs_f64());
    let Some(depth) = depth else { return reading.unknown() };
    let age = depth.oldest_age_seconds;
    let bad = format!("the oldest waiting job has waited for {age} s");
    reading.found(Duration::from_secs(age) > limit, bad, "no job waits for too long any more").value(float(age))
}

fn stalled(scene: Scene<'_>, depth: Option<LaneDepth>, timing: Timing) -> Reading {
    let reading = Reading::new(AlertKind::QueueStalled, Severity::Critical, timing);
    let Some(depth) = depth else { return reading.unknown() };
    let after = scene.config.rules.queue_stalled.threshold.0;
    let waited = depth.pending > 0 && depth.oldest_age_seconds >= after.as_secs();
    let ends = scene.window.ends(after, scene.now);
    let breached = waited && scene.window.covers(after, scene.now) && ends.total() == 0;
    let bad = format!("jobs wait and none has ended for {} s", after.as_secs());
    reading.found(breached, bad, "jobs are ending again").value(float(depth.pending))
}

/// Only while more and more waits: a long queue that shrinks is already being dealt with.
fn drain(scene: Scene<'_>, depth: Option<LaneDepth>, timing: Timing) -> Reading {
    let (window, now, span) = (scene.window, scene.now, scene.config.window);
    let limit = scene.config.rules.queue_drain.threshold.0.as_secs_f64();
    let reading = Reading::new(AlertKind::QueueDrain, Severity::Warning, timing).limit(limit);
    let Some(depth) = depth else { return reading.unknown() };
    let good = "the queue drains in time again";
    if depth.pending == 0 {
        return reading.found(false, "", good).value(0.0);
    }
    let ended = window.ends(span, now).total();
    if ended == 0 {
        // Nothing ends: how long it would take is unknown, and another rule's to tell.
        return reading.unknown();
    }
    let seconds = float(depth.pending) / float(ended) * window.listened(span, now).as_secs_f64();
    let grows = window.waited(span / 2, now).is_some_and(|before| depth.pending > before);
    let bad = format!("what waits will take {seconds:.0} s at this pace, and more waits all the time");
    reading.found(grows && seconds > limit, bad, good).value(seconds.round())
}
