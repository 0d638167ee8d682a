//! What people read: one alert, several in a digest, and the short notice that some ended. Pure.

use std::fmt::Write as _;

use schemas::alert::AlertState;
use schemas::timestamp::Timestamp;
use time::OffsetDateTime;

use crate::incident::{Episode, Incident};
use crate::rich::{LIMIT, Rich, cut};

/// Longest summary of an alert that has its message to itself.
const SUMMARY: usize = 1500;
/// Longest value of a label, and longest name.
const LABEL: usize = 100;
/// Most labels shown.
const LABELS: usize = 15;
/// Longest summary in a line of a digest.
const LINE_SUMMARY: usize = 120;
/// Longest list of labels in a line of a digest.
const LINE_LABELS: usize = 80;
/// What the last line of a digest, which sums up the alerts that did not fit, may need.
const TAIL: usize = 100;
/// An episode and the alert it belongs to.
pub(crate) type Told<'a> = (&'a Incident, &'a Episode);

/// The text of a message that tells `told`: one alert in full, several as a digest. Digest lines keep the given order.
pub(crate) fn message(told: &[Told<'_>]) -> Rich {
    match told {
        [only] => single(*only),
        several => digest(several),
    }
}

/// The short message that these alerts ended.
pub(crate) fn notice(told: &[Told<'_>]) -> Rich {
    let mut rich = Rich::new(LIMIT);
    if let [(incident, episode)] = told {
        rich.bold("RESOLVED").text(&format!(": {}\n", title(incident))).text(&cut(&episode.summary, SUMMARY));
        return rich;
    }
    rich.bold(&format!("RESOLVED: {} alerts", told.len()));
    for (position, (incident, _)) in told.iter().enumerate() {
        if !rich.append(Rich::new(LIMIT).text(&format!("\n- {}", title(incident))), TAIL) {
            rich.text(&format!("\n… and {} more", told.len() - position));
            break;
        }
    }
    rich
}

fn single((incident, episode): Told<'_>) -> Rich {
    let mut rich = Rich::new(LIMIT);
    rich.bold(&format!("{}: {}", word(episode), incident.kind)).text("\n").text(&cut(&episode.summary, SUMMARY));
    rich.text("\n");
    for (name, value) in incident.labels.iter().take(LABELS) {
        rich.text(&format!("\n{}: {}", cut(name, LABEL), cut(value, LABEL)));
    }
    rich.text(&measured(episode));
    rich.text(&format!("\nCount: {}", episode.count));
    rich.text(&format!("\nFirst seen: {}", moment(episode.first_seen)));
    rich.text(&format!("\nLast seen: {}", moment(episode.last_seen)));
    if let Some(at) = episode.resolved_at {
        rich.text(&format!("\nResolved: {}", moment(at)));
    }
    if episode.superseded {
        rich.text("\nContinued in a newer message.");
    }
    rich
}

fn digest(told: &[Told<'_>]) -> Rich {
    let mut rich = Rich::new(LIMIT);
    rich.bold(&format!("{} alerts, {} events", told.len(), events(told)));
    for (position, (incident, episode)) in told.iter().enumerate() {
        if !rich.append(&line(incident, episode), TAIL) {
            let rest = &told[position..];
            rich.text(&format!("\n… and {} more alerts, {} events", rest.len(), events(rest)));
            break;
        }
    }
    rich
}

fn line(incident: &Incident, episode: &Episode) -> Rich {
    let mut line = Rich::new(LIMIT);
    line.text("\n").bold(word(episode)).text(&format!(" {}", title(incident)));
    line.text(&format!(": {}", cut(&episode.summary, LINE_SUMMARY)));
    line.text(&format!(" (count: {}, last: {})", episode.count, moment(episode.last_seen)));
    if episode.superseded {
        line.text(" continued");
    }
    line
}

fn events(told: &[Told<'_>]) -> u64 {
    told.iter().map(|(_, episode)| episode.count).sum()
}

fn word(episode: &Episode) -> &'static str {
    use schemas::alert::Severity::{Critical, Info, Warning};
    match (episode.state, episode.severity) {
        (AlertState::Resolved, _) => "RESOLVED",
        (AlertState::Firing, Critical) => "CRITICAL",
        (AlertState::Firing, Warning) => "WARNING",
        (AlertState::Firing, Info) => "INFO",
    }
}

fn title(incident: &Incident) -> String {
    let mut title = incident.kind.to_string();
    for (name, value) in &incident.labels {
        let _ = write!(title, " {name}={value}");
    }
    cut(&title, LINE_LABELS)
}

fn measured(episode: &Episode) -> String {
    match (episode.value, episode.threshold) {
        (Some(value), Some(threshold)) => format!("\nValue: {} (limit {})", number(value), number(threshold)),
        (Some(value), None) => format!("\nValue: {}", number(value)),
        (None, _) => String::new(),
    }
}

/// At most three decimals, and no trailing zeros.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn moment(at: Timestamp) -> String {
    let at = OffsetDateTime::from(at);
    let (hour, minute, second) = at.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", at.date())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;
    use schemas::alert::{AlertEvent, AlertKind, Severity};

    use super::*;
    use crate::fixture::{NOON, firing};

    fn told(event: &AlertEvent, count: u64) -> (Incident, Episode) {
        let episode =
            Episode { count, last_seen: NOON.after(Duration::from_secs(250)), ..Episode::new(0, event, NOON) };
        (Incident::new(event), episode)
    }

    fn borrow(told: &[(Incident, Episode)]) -> Vec<Told<'_>> {
        told.iter().map(|(incident, episode)| (incident, episode)).collect()
    }

    #[test]
    fn one_alert() {
        let mut event = firing(AlertKind::ErrorRate, "a<b>&c");
        event.severity = Severity::Critical;
        event.value = Some(0.254_91);
        event.threshold = Some(0.1);
        assert_snapshot!(message(&borrow(&[told(&event, 37)])).html(), @r"
        <b>CRITICAL: error_rate</b>
        a&lt;b&gt;&amp;c is unwell

        provider: a&lt;b&gt;&amp;c
        Value: 0.255 (limit 0.1)
        Count: 37
        First seen: 2026-01-31 12:00:00 UTC
        Last seen: 2026-01-31 12:04:10 UTC
        ");
    }

    #[test]
    fn one_alert_that_ended() {
        let mut ended = told(&firing(AlertKind::ComponentDown, "redis"), 1);
        ended.1.state = AlertState::Resolved;
        ended.1.resolved_at = Some(NOON.after(Duration::from_secs(300)));
        ended.1.summary = "redis answers again".to_owned();
        assert_snapshot!(message(&borrow(std::slice::from_ref(&ended))).html(), @r"
        <b>RESOLVED: component_down</b>
        redis answers again

        provider: redis
        Count: 1
        First seen: 2026-01-31 12:00:00 UTC
        Last seen: 2026-01-31 12:04:10 UTC
        Resolved: 2026-01-31 12:05:00 UTC
        ");
        assert_snapshot!(notice(&borrow(&[ended])).html(), @r"
        <b>RESOLVED</b>: component_down provider=redis
        redis answers again
        ");
    }

    #[test]
    fn a_digest() {
        let mut several =
            vec![told(&firing(AlertKind::DeadLetter, "a&b"), 12), told(&firing(AlertKind::Disk, "b"), 30)];
        several[0].1.severity = Severity::Critical;
        several[1].1.superseded = true;
        assert_snapshot!(message(&borrow(&several)).html(), @r"
        <b>2 alerts, 42 events</b>
        <b>CRITICAL</b> dead_letter provider=a&amp;b: a&amp;b is unwell (count: 12, last: 2026-01-31 12:04:10 UTC)
        <b>WARNING</b> disk provider=b: b is unwell (count: 30, last: 2026-01-31 12:04:10 UTC) continued
        ");
        assert_snapshot!(notice(&borrow(&several)).plain(), @r"
        RESOLVED: 2 alerts
        - dead_letter provider=a&b
        - disk provider=b
        ");
    }

    #[test]
    fn a_digest_too_long_sums_up_the_rest() {
        let several: Vec<_> = (0..500).map(|n| told(&firing(AlertKind::Disk, &n.to_string()), 3)).collect();
        for hostile in ["", "&<>"] {
            let mut several = several.clone();
            several.iter_mut().for_each(|(_, episode)| episode.summary = hostile.repeat(1000));
            let text = message(&borrow(&several));
            let last = text.plain().lines().last().unwrap();
            let shown = text.plain().matches("(count: 3,").count();
            assert!(shown > 2);
            assert_eq!(last, format!("… and {} more alerts, {} events", 500 - shown, (500 - shown) * 3));
            assert!(text.html().encode_utf16().count() <= LIMIT);
        }
    }
}
