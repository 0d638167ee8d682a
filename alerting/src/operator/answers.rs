//! What commands are answered with. Pure.

use std::time::Duration;

use broker::DeadEntry;
use runtime::queue::{LaneCounts, QueueState, QueueStatus};
use schemas::breaker::{BreakerPhase, BreakerRecord};
use schemas::id::JobId;
use schemas::state::JobState;

use super::command::{Name, names};
use crate::pages::list;
use crate::rich::{LIMIT, Rich, cut, sentence};
use crate::text::moment;

/// Longest name of a model or a tenant.
const NAME: usize = 60;

/// Every command, with what it does.
pub(crate) fn help() -> Rich {
    let mut rich = Rich::new(LIMIT);
    rich.bold("Commands");
    for name in names() {
        let (usage, meaning) = name.usage();
        rich.text(&format!("\n{usage}: {meaning}"));
    }
    rich.text("\n\nMatchers: kind=disk, severity!=critical, provider=~\"open.*\", model!~gpt");
    rich
}

/// A command that cannot be understood, and how it is written.
pub(crate) fn usage(name: Name, why: &str) -> Rich {
    let mut rich = Rich::new(LIMIT);
    let (usage, meaning) = name.usage();
    rich.text(&format!("{}\n", cut(why, 300))).bold("Usage").text(&format!(": {usage}\n{meaning}"));
    rich
}

/// The queue in a few lines, for the status.
pub(crate) fn summary(rich: &mut Rich, queue: &QueueStatus) {
    rich.text("Queue: ").bold(word(queue.status)).text(&format!(", {}\n", counts(&queue.total)));
    rich.text(&fleet(queue));
}

/// The queue by lane.
pub(crate) fn queue(queue: &QueueStatus) -> Rich {
    let mut rich = Rich::new(LIMIT);
    rich.bold(&format!("Queue: {}", word(queue.status))).text(&format!(", {}\n", moment(queue.as_of)));
    for (lane, depth) in &queue.lanes {
        rich.text(&format!("{lane}: {}\n", counts(depth)));
    }
    rich.text(&format!("all: {}\n", counts(&queue.total)));
    rich.text(&fleet(queue));
    rich
}

const fn word(state: QueueState) -> &'static str {
    match state {
        QueueState::Healthy => "healthy",
        QueueState::Backlogged => "backlogged",
        QueueState::Stalled => "stalled",
    }
}

fn counts(depth: &LaneCounts) -> String {
    let LaneCounts { pending, running, delayed, dead_letters, oldest_age_seconds, .. } = depth;
    let oldest = span(Duration::from_secs(*oldest_age_seconds));
    let age = if *pending > 0 { format!(" (oldest {oldest})") } else { String::new() };
    format!("{pending} waiting{age}, {running} running, {delayed} delayed, {dead_letters} dead")
}

fn fleet(queue: &QueueStatus) -> String {
    let drain = match queue.estimated_drain_seconds {
        _ if queue.total.pending == 0 => String::new(),
        Some(seconds) => format!(", empty in about {}", span(Duration::from_secs(seconds))),
        None => ", and nothing ends".to_owned(),
    };
    format!(
        "Workers: {} alive, {} of {} slots in use\nLast minute: {}/s accepted, {}/s ended{drain}",
        queue.workers_alive, queue.slots_used, queue.slots, queue.arrivals_per_second, queue.completions_per_second,
    )
}

/// Breakers that are not closed.
pub(crate) fn breakers(open: &[BreakerRecord]) -> Rich {
    let mut rich = Rich::new(LIMIT);
    if open.is_empty() {
        return sentence("Every circuit breaker is closed.");
    }
    rich.bold(&format!("Breakers not closed: {}", open.len()));
    let line = |record: &BreakerRecord| {
        let state = match record.state {
            BreakerPhase::Closed => "closed".to_owned(),
            BreakerPhase::Open { until } => format!("open, a probe may pass at {}", moment(until)),
            BreakerPhase::HalfOpen { until, .. } => format!("half open, its probe counts until {}", moment(until)),
        };
        format!("{}/{}: {state}", cut(&record.provider, NAME), cut(&record.model, NAME))
    };
    list(&mut rich, open.iter().map(line));
    rich
}

/// A page of dead jobs, and where the next one begins if there is one.
pub(crate) fn dead(total: u64, page: &[(DeadEntry, JobState)], next: Option<u64>) -> Rich {
    let mut rich = Rich::new(LIMIT);
    if page.is_empty() {
        return sentence("No job has failed for good.");
    }
    rich.bold(&format!("Dead jobs: {total}"));
    let line = |(entry, state): &(DeadEntry, JobState)| {
        let code = state.result.as_ref().and_then(|result| result.error.as_ref());
        let code = code.map_or("unknown", |failure| failure.code.into());
        let (model, tenant) = (cut(&state.head.model, NAME), cut(&state.head.tenant, NAME));
        format!("{} {model} of {tenant}: {code}, {}", entry.id.job(), moment(entry.stored_at))
    };
    list(&mut rich, page.iter().map(line));
    if let Some(place) = next {
        rich.text(&format!("\nMore: /dead {place}"));
    }
    rich
}

/// A dead job runs again.
pub(crate) fn replayed(parent: JobId, child: JobId, before: bool) -> Rich {
    let already = if before { "was already" } else { "is" };
    sentence(&format!("{} {already} submitted anew as {}", parent.job(), child.job()))
}

/// In its two largest units.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use insta::assert_snapshot;
    use runtime::config::QueueConfig;
    use runtime::queue::Fleet;
    use schemas::job::Lane;
    use schemas::stats::{LaneDepth, ProcessStats, QueueDepth};

    use super::*;
    use crate::fixture::NOON;

    fn status() -> QueueStatus {
        let mut fleet = Fleet::new(NOON);
        let worker = ProcessStats {
            role: "worker".to_owned(),
            slots: 100,
            slots_used: 7,
            succeeded: 30,
            accepted: 60,
            ..ProcessStats::default()
        };
        fleet.hear(NOON, &worker);
        let normal = LaneDepth { pending: 700, running: 7, dead: 3, oldest_age_seconds: 3700, ..LaneDepth::default() };
        let depth = QueueDepth { lanes: BTreeMap::from([(Lane::Normal, normal)]) };
        let config = QueueConfig { backlog_threshold: 500, stalled_after: Duration::from_secs(60) };
        fleet.status(NOON, &depth, &config)
    }

    #[test]
    fn the_queue_in_lines() {
        assert_snapshot!(queue(&status()).html(), @r"
        <b>Queue: backlogged</b>, 2026-01-31 12:00:00 UTC
        high: 0 waiting, 0 running, 0 delayed, 0 dead
        normal: 700 waiting (oldest 1 h 1 min), 7 running, 0 delayed, 3 dead
        low: 0 waiting, 0 running, 0 delayed, 0 dead
        all: 700 waiting (oldest 1 h 1 min), 7 running, 0 delayed, 3 dead
        Workers: 1 alive, 7 of 100 slots in use
        Last minute: 60/s accepted, 30/s ended, empty in about 24 s
        ");
    }

    #[test]
    fn breakers_that_are_not_closed() {
        let record = |provider: &str, state| BreakerRecord { provider: provider.into(), model: "m<1>".into(), state };
        let open = [
            record("a", BreakerPhase::Open { until: NOON }),
            record("b&c", BreakerPhase::HalfOpen { probe: 1, until: NOON }),
        ];
        assert_snapshot!(breakers(&open).html(), @r"
        <b>Breakers not closed: 2</b>
        a/m&lt;1&gt;: open, a probe may pass at 2026-01-31 12:00:00 UTC
        b&amp;c/m&lt;1&gt;: half open, its probe counts until 2026-01-31 12:00:00 UTC
        ");
        assert_eq!(breakers(&[]).plain(), "Every circuit breaker is closed.");
    }

    #[test]
    fn what_is_written_wrongly_is_answered_with_how_it_is_written() {
        assert_snapshot!(usage(Name::Silence, "how long is missing").plain(), @r"
        how long is missing
        Usage: /silence <time> <matcher>... [-- <comment>]
        keeps alerts quiet: /silence 2h kind=disk
        ");
        assert!(help().plain().lines().count() > names().count());
        assert!(!help().is_cut());
    }

    #[test]
    fn times_are_told_in_two_units() {
        let spans = [59, 61, 3700, 90_000].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }
}
