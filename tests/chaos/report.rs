//! What a run prints in the end: a table, and each violation with the whole story of its job.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;

use schemas::id::JobId;
use schemas::timestamp::Timestamp;

use crate::check::{Dossier, Violation};
use crate::history::{Blow, Event, Fault, History, Seen};
use crate::mutant::Mutant;
use crate::options::Options;

/// Violations of one rule that are named; the rest are counted.
const HEADLINES: usize = 20;
/// With less on the disk, a stream that could not write takes nothing more until its server is started again.
const FULL: u64 = 64 << 20;

/// Prints it all.
pub(crate) fn print(options: &Options, history: &History, violations: &[Violation]) {
    table(history);
    if let Some(folder) = &options.logs {
        let path = folder.join("faults.log");
        let kept = fs::write(&path, faults(history));
        kept.unwrap_or_else(|error| eprintln!("{} cannot be written: {error}", path.display()));
    }
    let mut told: BTreeMap<_, usize> = BTreeMap::new();
    let dossiers = Dossier::all(history);
    for violation in violations {
        let told = told.entry(violation.rule).or_default();
        *told += 1;
        if *told > HEADLINES {
            continue;
        }
        let job = violation.job.map_or(String::new(), |id| format!(" ({})", id.job()));
        println!("VIOLATION {}: {}{job}", violation.rule, violation.detail);
        let dossier = violation.job.and_then(|id| dossiers.get_key_value(&id)).filter(|_| *told <= options.stories);
        for line in dossier.into_iter().flat_map(|(id, dossier)| story(history, *id, dossier)) {
            println!("    {line}");
        }
    }
    let rules = counted(violations.iter().map(|violation| violation.rule));
    match violations.len() {
        0 => println!("chaos: no violation"),
        count => println!("chaos: {count} violations: {rules}; seed {}", options.seed),
    }
}

/// Tells whether what was planted was found, by a rule that is broken by it and by nothing else.
pub(crate) fn names(mutant: Mutant, violations: &[Violation]) -> bool {
    let rules = mutant.breaks();
    let named = violations.iter().map(|violation| violation.rule).filter(|rule| rules.contains(rule));
    let found = violations.iter().any(|violation| rules.contains(&violation.rule));
    match found {
        true => println!("chaos: the mutant {mutant} was named: {}", counted(named)),
        false => println!("chaos: the mutant {mutant} was NOT named by any of {}", counted(rules.iter())),
    }
    found
}

/// Every fault, a line each: from when to when, what, and whom.
fn faults(history: &History) -> String {
    let line = |fault: &Fault| format!("{}  {}  {} {}\n", fault.began, fault.ended, fault.blow, whom(fault));
    history.faults.iter().map(line).collect()
}

fn whom(fault: &Fault) -> String {
    let mut text = fault.peer.as_ref().map_or(fault.victim.clone(), |peer| format!("{} from {peer}", fault.victim));
    if fault.blow == Blow::Jump {
        text.push_str(&format!(" by {} s", fault.shift));
    } else if fault.led {
        text.push_str(" (which led STATE)");
    } else if !fault.reached.contains(&fault.victim) && !fault.reached.is_empty() {
        let reached: Vec<_> = fault.reached.iter().map(String::as_str).collect();
        text.push_str(&format!(" (with connections of {})", reached.join(", ")));
    }
    text
}

fn table(history: &History) {
    let row = |name: &str, value: &dyn Display| println!("{name:<28} {value}");
    println!("{:-<72}", "");
    row("wishes", &history.clients.len());
    row("accepted", &history.clients.iter().filter(|client| !client.ids().is_empty()).count());
    row(
        "answers refused or broken",
        &counted(history.clients.iter().flat_map(|client| &client.events).filter_map(trouble)),
    );
    row("records by phase", &counted(history.records.values().map(|record| record.phase)));
    row("dead letters", &history.dead.len());
    row(
        "provider calls by ending",
        &counted(history.calls.iter().map(|call| format!("{:?}", call.ending).to_lowercase())),
    );
    let attempts = history.records.values().flat_map(|record| &record.attempts);
    let outcome =
        |outcome: Option<schemas::state::Outcome>| outcome.map_or("open".to_owned(), |outcome| outcome.to_string());
    row("attempts by outcome", &counted(attempts.map(|attempt| outcome(attempt.outcome))));
    row("faults", &counted(history.faults.iter().map(|fault| fault.blow)));
    row("faults by victim", &counted(history.faults.iter().map(|fault| &fault.victim)));
    row("hits on the leader of STATE", &history.faults.iter().filter(|fault| fault.led).count());
    row("versions of records seen", &history.versions.values().map(Vec::len).sum::<usize>());
    row("turns of sessions", &sessions(history));
    row("rows in SQL", &history.rows.as_ref().map_or("none wanted".to_owned(), |rows| rows.len().to_string()));
    row(
        "longest wait for its turn",
        &format!("{} ms, of leases of {} ms", history.lateness.as_millis(), history.lease.as_millis()),
    );
    let full = if history.room < FULL { ": it was full, no fault of ours" } else { "" };
    row("least room on the disk", &format!("{} MiB{full}", history.room >> 20));
    println!("{:-<72}", "");
}

/// Turns that were answered, and how many stood in one line at most.
fn sessions(history: &History) -> String {
    let sessions = history.sessions.values();
    let turns: usize = sessions.clone().map(|session| session.turns.len()).sum();
    let longest = sessions.flat_map(|session| &session.lines).map(|line| line.jobs.len()).max().unwrap_or_default();
    format!("{turns} answered in {} sessions, at most {longest} in a line", history.sessions.len())
}

fn trouble(event: &Event) -> Option<String> {
    match event.what {
        Seen::Refused(status) => Some(status.to_string()),
        Seen::Broken(what) => Some(what.to_owned()),
        _ => None,
    }
}

fn counted<T: Display>(things: impl Iterator<Item = T>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for thing in things {
        *counts.entry(thing.to_string()).or_default() += 1;
    }
    if counts.is_empty() {
        return "none".to_owned();
    }
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

/// Everything that happened to a job and around it, in order of time.
fn story(history: &History, id: JobId, dossier: &Dossier<'_>) -> Vec<String> {
    let mut lines: Vec<(Timestamp, String)> = Vec::new();
    for client in &dossier.clients {
        lines.extend(
            client.events.iter().map(|event| (event.at, format!("client  {}: {:?}", event.ingress, event.what))),
        );
    }
    for version in dossier.versions {
        let ledger = version.attempts.iter().map(|(number, nonce)| format!("{number}/{}", short(nonce.as_str())));
        let ledger = ledger.collect::<Vec<_>>().join(" ");
        let line = format!(
            "state   #{} {} by {} of {}, ledger [{ledger}]",
            version.seq,
            version.phase,
            short(version.nonce.as_str()),
            version.holder
        );
        lines.push((version.written, line));
    }
    for attempt in dossier.attempts() {
        let name = format!("attempt {}/{}", attempt.number, short(attempt.nonce.as_str()));
        lines.push((attempt.started_at, format!("ledger  {name} starts")));
        if let Some(ended) = attempt.ended_at {
            let code = attempt.error.as_ref().map(|failure| failure.code.to_string()).unwrap_or_default();
            lines.push((
                ended,
                format!(
                    "ledger  {name} ends {} {code}",
                    attempt.outcome.map_or("open".to_owned(), |one| one.to_string())
                ),
            ));
        }
    }
    let session = dossier.record.and_then(|record| history.sessions.get(record.session.as_ref()?));
    lines.extend(session.into_iter().flat_map(|session| session.story(id)));
    for call in &dossier.calls {
        lines.push((call.started, format!("call    of {} starts", call.holder)));
        if let Some(ended) = call.ended {
            lines.push((ended, format!("call    of {} ends {:?}", call.holder, call.ending)));
        }
    }
    let (first, last) = (lines.iter().map(|line| line.0).min(), lines.iter().map(|line| line.0).max());
    if let (Some(first), Some(last)) = (first, last) {
        let callers = dossier.calls.iter().map(|call| call.holder.as_str());
        let holders: BTreeSet<_> = callers.chain(dossier.versions.iter().map(|one| one.holder.as_str())).collect();
        let near = |fault: &&Fault| {
            fault.victim.starts_with("ingress") || holders.iter().any(|one| fault.victim == *one || fault.disturbs(one))
        };
        lines.extend(history.faults.iter().filter(|fault| fault.overlaps(first, last)).filter(near).flat_map(around));
    }
    lines.sort();
    lines.into_iter().map(|(at, line)| format!("{at}  {line}")).collect()
}

fn around(fault: &Fault) -> [(Timestamp, String); 2] {
    let whom = whom(fault);
    [(fault.began, format!("fault   {} {whom}", fault.blow)), (fault.ended, format!("fault   {whom} well again"))]
}

fn short(nonce: &str) -> &str {
    nonce.get(..6).unwrap_or(nonce)
}
