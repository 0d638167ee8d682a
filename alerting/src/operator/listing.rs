//! What the book holds, for whoever asks: what is open, what is silenced, and all there is to tell of one alert. Pure.

use std::fmt::Write as _;

use schemas::alert::Severity;
use strum::IntoEnumIterator;

use crate::incidents::{Book, Incident, Standing};
use crate::pages::{list, pages};
use crate::rich::{LIMIT, Rich, cut, sentence};
use crate::text::{measured, moment, title, word};

/// Longest summary in a list.
const SUMMARY: usize = 80;
/// Longest list of matchers in a list.
const MATCHERS: usize = 200;
/// Most alerts whose details are told at once.
const DETAILED: usize = 5;
/// Most messages that the details of one may take.
const PAGES: usize = 20;

/// What is open, the worst first.
pub(super) fn open(book: &Book) -> Rich {
    let listed = book.incidents();
    let open: Vec<_> = listed.iter().filter(|(.., standing)| *standing != Standing::Resolved).collect();
    let mut rich = Rich::new(LIMIT);
    if open.is_empty() {
        rich.text("No alert is open.");
        return rich;
    }
    rich.bold(&format!("Open alerts: {}", open.len()));
    list(&mut rich, open.iter().map(|(key, incident, standing)| line(key, incident, *standing)));
    rich
}

fn line(key: &str, incident: &Incident, standing: Standing) -> String {
    let Some(episode) = incident.live() else { return key.to_owned() };
    let state = match standing {
        Standing::Firing | Standing::Resolved => String::new(),
        Standing::Acknowledged | Standing::Silenced => format!(", {}", <&str>::from(standing)),
    };
    let summary = cut(&episode.summary.replace('\n', " "), SUMMARY);
    let count = episode.earlier + episode.count;
    let since = moment(episode.first_seen);
    format!("{} {}: {summary} ({count} since {since}{state}) {key}", word(episode), title(incident))
}

/// The alerts in a few lines, for the status.
pub(super) fn summary(book: &Book) -> String {
    let standings: Vec<_> = book.incidents().iter().map(|(.., standing)| *standing).collect();
    let count = |wanted: Standing| standings.iter().filter(|standing| **standing == wanted).count();
    let firing = |severity: Severity| format!("{} {severity}", book.firing(severity));
    let firing: Vec<_> = Severity::iter().rev().map(firing).collect();
    let (acknowledged, silenced) = (count(Standing::Acknowledged), count(Standing::Silenced));
    let mut text = format!("\nAlerts open: {}", firing.join(", "));
    let _ = write!(text, "; {acknowledged} acknowledged, {silenced} silenced");
    let _ = write!(text, "\nSilences: {}", book.silences().len());
    text
}

/// What is silenced, the one that ends next first.
pub(super) fn silences(book: &Book) -> Rich {
    let silences = book.silences();
    let mut rich = Rich::new(LIMIT);
    if silences.is_empty() {
        rich.text("Nothing is silenced.");
        return rich;
    }
    rich.bold(&format!("Silences: {}", silences.len()));
    let lines = silences.iter().map(|silence| {
        let matchers: Vec<_> = silence.matchers.iter().map(ToString::to_string).collect();
        let comment = if silence.comment.is_empty() { String::new() } else { format!(": {}", silence.comment) };
        let (matchers, until) = (cut(&matchers.join(" "), MATCHERS), moment(silence.until));
        format!("{} until {until} by {}: {matchers}{comment}", silence.id, silence.by)
    });
    list(&mut rich, lines);
    rich
}

/// All there is to tell of the alerts whose fingerprints begin so, in as many messages as it takes.
pub(super) fn details(book: &Book, keys: &[String]) -> Vec<Rich> {
    let wanted = |key: &str| keys.iter().any(|wanted| !wanted.is_empty() && key.starts_with(wanted.as_str()));
    let found = book.incidents.iter().filter(|(key, _)| wanted(key));
    found.take(DETAILED).flat_map(|(key, incident)| one(key, incident)).collect()
}

fn one(key: &str, incident: &Incident) -> Vec<Rich> {
    let mut text = format!("{key}\n");
    if let Some(episode) = incident.live() {
        let _ = writeln!(text, "{}\n", episode.summary);
        for (name, value) in &incident.labels {
            let _ = writeln!(text, "{name}: {value}");
        }
        let _ = writeln!(text, "{}", measured(episode).trim_start());
        for episode in &incident.episodes {
            let (first, last) = (moment(episode.first_seen), moment(episode.last_seen));
            let _ = write!(text, "\n{}: {} from {first} to {last}", word(episode), episode.count);
            if let Some(at) = episode.resolved_at {
                let _ = write!(text, ", resolved {}", moment(at));
            }
        }
    }
    if let Some(acknowledged) = &incident.acknowledged {
        let _ = write!(text, "\nAcknowledged: {} by {}", moment(acknowledged.at), acknowledged.by);
    }
    if let Some(silenced) = &incident.silenced {
        let _ = write!(text, "\nSilenced: until {} by {} ({})", moment(silenced.until), silenced.by, silenced.id);
    }
    let mut pages = pages(&format!("Details of {}", title(incident)), &text);
    if pages.len() > PAGES {
        pages.truncate(PAGES);
        pages.extend([sentence("… and more than can be told here.")]);
    }
    pages
}
