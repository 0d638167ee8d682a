//! What people read: one alert, several in a digest, and the short notice that some ended. Pure.

use std::fmt::Write as _;

use runtime::config::hours::UtcOffset;
use schemas::alert::AlertState;
use schemas::timestamp::Timestamp;
use time::OffsetDateTime;

use crate::chart::bars;
use crate::incidents::{Cause, Episode, Incident};
use crate::rich::{LIMIT, Rich, cut, units};

/// Longest summary of an alert that has its message to itself.
const SUMMARY: usize = 1500;
/// Longest value of a label, and longest name.
const LABEL: usize = 100;
/// Most labels shown.
const LABELS: usize = 15;
/// Room for labels in a message.
const LABELS_ROOM: usize = 1200;
/// Longest name of a person.
const NAME: usize = 64;
/// Longest summary in a line of a digest.
const LINE_SUMMARY: usize = 120;
/// Longest list of labels in a line of a digest.
const LINE_LABELS: usize = 80;
/// What the last line of a digest, which sums up the alerts that did not fit, and a link may need.
const TAIL: usize = 300;
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

/// What is always there goes last, and is written first, so that what is of any length takes the room that is left.
fn single(told: Told<'_>) -> Rich {
    let (incident, episode) = told;
    let mut head = Rich::new(LIMIT);
    head.bold(&format!("{}: {}", word(episode), incident.kind)).text("\n").text(cause(episode));
    let (labels, facts) = (labels(incident), facts(told));
    let taken = [&head, &labels, &facts].map(|part| units(part.html())).iter().sum::<usize>();
    let mut summary = Rich::new(LIMIT.saturating_sub(taken + TAIL));
    summary.text(&cut(&episode.summary, SUMMARY)).text("\n");
    let mut rich = Rich::new(LIMIT);
    for part in [&head, &summary, &labels, &facts] {
        rich.append(part, 0);
    }
    if cut(&episode.summary, SUMMARY) != episode.summary {
        rich.shorten();
    }
    rich
}

fn labels(incident: &Incident) -> Rich {
    let mut rich = Rich::new(LABELS_ROOM);
    for (position, (name, value)) in incident.labels.iter().enumerate() {
        if position == LABELS {
            rich.text(&format!("\n… and {} more labels", incident.labels.len() - LABELS)).shorten();
            break;
        }
        let (short_name, short_value) = (cut(name, LABEL), cut(value, LABEL));
        rich.text(&format!("\n{short_name}: {short_value}"));
        if short_name != *name || short_value != *value {
            rich.shorten();
        }
    }
    rich
}

fn facts((incident, episode): Told<'_>) -> Rich {
    let live = incident.live().is_some_and(|live| live.number == episode.number);
    let mut rich = Rich::new(LIMIT);
    rich.text(&measured(episode));
    if let Some(bars) = bars(incident.values.iter().copied()).filter(|_| live) {
        rich.text(&format!("\nTrend: {bars}"));
    }
    rich.text(&format!("\nCount: {}", episode.count));
    if episode.earlier > 0 {
        rich.text(&format!("\nTold before: {}", episode.earlier));
    }
    rich.text(&format!("\nFirst seen: {}", moment(episode.first_seen)));
    rich.text(&format!("\nLast seen: {}", moment(episode.last_seen)));
    if let Some(at) = episode.resolved_at {
        rich.text(&format!("\nResolved: {}", moment(at)));
        if let Some(by) = &episode.resolved_by {
            rich.text(&format!(" by {}", cut(by, NAME)));
        }
    }
    if live {
        rich.text(&standing(incident));
    }
    if episode.superseded {
        rich.text("\nContinued in a newer message.");
    }
    rich
}

/// Who sees to it, and until when nobody wants to hear of it.
fn standing(incident: &Incident) -> String {
    let mut text = String::new();
    if let Some(acknowledged) = &incident.acknowledged {
        let _ = write!(text, "\nAcknowledged: {} by {}", moment(acknowledged.at), cut(&acknowledged.by, NAME));
    }
    if let Some(silenced) = &incident.silenced {
        let _ = write!(text, "\nSilenced: until {} by {}", moment(silenced.until), cut(&silenced.by, NAME));
    }
    text
}

/// Why it has a message of its own, where that is not plain.
const fn cause(episode: &Episode) -> &'static str {
    match episode.cause {
        Cause::First | Cause::Again => "",
        Cause::Refired => "It fires again.\n",
        Cause::Escalated => "It became more severe.\n",
        Cause::Repeated => "It fires on.\n",
        Cause::AcknowledgeTimeout => "It fires on although it was acknowledged.\n",
        Cause::SilenceEnded => "It fires still, its silence being over.\n",
    }
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
    let live = incident.live().is_some_and(|live| live.number == episode.number);
    if episode.superseded {
        line.text(" continued");
    } else if live && incident.silenced.is_some() {
        line.text(" silenced");
    } else if live && incident.acknowledged.is_some() {
        line.text(" acknowledged");
    }
    line
}

fn events(told: &[Told<'_>]) -> u64 {
    told.iter().map(|(_, episode)| episode.count).sum()
}

/// How bad it is, or that it is over.
pub(crate) fn word(episode: &Episode) -> &'static str {
    use schemas::alert::Severity::{Critical, Info, Warning};
    match (episode.state, episode.severity) {
        (AlertState::Resolved, _) => "RESOLVED",
        (AlertState::Firing, Critical) => "CRITICAL",
        (AlertState::Firing, Warning) => "WARNING",
        (AlertState::Firing, Info) => "INFO",
    }
}

/// What it is about, in a line.
pub(crate) fn title(incident: &Incident) -> String {
    let mut title = incident.kind.to_string();
    for (name, value) in &incident.labels {
        let _ = write!(title, " {name}={value}");
    }
    cut(&title.replace('\n', " "), LINE_LABELS)
}

/// What was measured, and the limit of it.
pub(crate) fn measured(episode: &Episode) -> String {
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

/// To the second.
pub(crate) fn moment(at: Timestamp) -> String {
    let at = OffsetDateTime::from(at);
    let (hour, minute, second) = at.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", at.date())
}

/// To the minute, as clocks there show it.
pub(crate) fn local(at: Timestamp, offset: UtcOffset) -> String {
    let at = OffsetDateTime::from(offset.shown(at));
    format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute())
}

#[cfg(test)]
mod tests;
