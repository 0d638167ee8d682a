//! One run: start, load and faults together, rest, then the statements of all witnesses.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::Context;
use tokio::time::{Instant, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::faults::{self, Log};
use crate::fleet::{Fleet, faketime};
use crate::history::{Blow, Client, Fault, History, Record};
use crate::load::{self, Tally};
use crate::options::Options;
use crate::{whereabouts, witness};

const PROGRESS_EVERY: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_secs(1);
const PULSE: Duration = Duration::from_millis(50);

/// Runs it and gathers everything that is known.
pub(crate) async fn run(options: &Options) -> History {
    if let Some(folder) = &options.logs {
        fs::create_dir_all(folder).expect("the folder for logs can be made");
    }
    println!("chaos: seed {}, {} minutes, {} broker servers: starting", options.seed, options.minutes, options.nodes);
    if faketime::library().is_none() {
        println!("chaos: libfaketime is not installed (apt-get install libfaketime): no clock will jump");
    }
    let fleet = Fleet::start(options).await;
    println!("chaos: everything is ready, its files are in {}", fleet.folder().display());
    let context = witness::connect(&fleet.broker).await;
    let (log, tally) = (Log::default(), Arc::new(Tally::default()));
    let (over, rested) = (CancellationToken::new(), CancellationToken::new());
    let late = CancellationToken::new();
    let act = async {
        sleep(options.duration()).await;
        while !is_enough(options, &tally, &log) {
            sleep(POLL).await;
        }
        over.cancel();
    };
    let lateness = async {
        over.cancelled().await;
        sleep(options.drain()).await;
        late.cancel();
    };
    let acted = async {
        let ends = load::Ends { stop: over.clone(), late: late.clone() };
        let play = async {
            tokio::join!(
                load::run(options, &fleet.bases, Arc::clone(&tally), ends),
                faults::run(options, &fleet, &context, log.clone(), over.clone()),
                act,
            )
        };
        tokio::pin!(play, lateness);
        let (clients, (), ()) = tokio::select! {
            played = &mut play => played,
            () = lateness => play.await,
        };
        rest(options, &context).await;
        rested.cancel();
        clients
    };
    let (clients, versions, sessions, (), (lateness, room)) = tokio::join!(
        acted,
        witness::follow(context.clone(), rested.clone()),
        witness::sessions::follow(context.clone(), rested.clone()),
        progress(&fleet, &tally, &log, rested.clone()),
        pulse(fleet.folder(), rested.clone()),
    );
    let mut history = gather(&fleet, &context, options, clients).await;
    (history.versions, history.sessions) = (versions, sessions);
    (history.lateness, history.room) = (lateness, room);
    witness::sessions::read(&context, &mut history.sessions).await;
    (history.faults, history.mishaps) = log.read();
    history
}

/// Whether as much has happened as was asked for.
fn is_enough(options: &Options, tally: &Tally, log: &Log) -> bool {
    let is_kill = |fault: &&Fault| fault.blow == Blow::Kill && fault.victim.starts_with("worker");
    let kills = log.read().0.iter().filter(is_kill).count();
    kills >= options.at_least_kills && tally.accepted.load(Ordering::Relaxed) >= options.at_least_jobs
}

/// Waits until every record has ended, those included whose submit was never answered, and every line is empty.
async fn rest(options: &Options, context: &Context) {
    let deadline = Instant::now() + options.drain();
    while Instant::now() < deadline {
        if witness::records(context).await.values().all(has_ended) && witness::sessions::are_settled(context).await {
            return;
        }
        sleep(POLL).await;
    }
}

fn has_ended(record: &Record) -> bool {
    record.phase.is_terminal()
}

async fn gather(fleet: &Fleet, context: &Context, options: &Options, clients: Vec<Client>) -> History {
    let records = witness::records(context).await;
    let dead = witness::dead(context).await;
    let ended = records.values().filter(|record| has_ended(record)).count();
    let rows = match &fleet.sql {
        Some(url) => Some(witness::rows(url, ended, options.drain()).await),
        None => None,
    };
    let stuck = records.iter().filter(|(_, record)| !has_ended(record)).map(|(id, _)| *id);
    let whereabouts = whereabouts::of(context, stuck).await;
    let (calls, lease) = (fleet.provider.calls(), options.lease());
    History { clients, calls, records, dead, rows, whereabouts, lease, ..History::default() }
}

/// What the machine did to the run: how late the instrument itself was woken at worst, as any process may have been, and the
/// least that was free on the disk.
async fn pulse(folder: &Path, stop: CancellationToken) -> (Duration, u64) {
    let (mut lateness, mut room) = (Duration::ZERO, u64::MAX);
    loop {
        let slept = Instant::now();
        tokio::select! { () = sleep(PULSE) => {} () = stop.cancelled() => return (lateness, room) }
        lateness = lateness.max(slept.elapsed().saturating_sub(PULSE));
        let free = rustix::fs::statvfs(folder).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        room = room.min(free);
    }
}

async fn progress(fleet: &Fleet, tally: &Tally, log: &Log, stop: CancellationToken) {
    let (started, mut tick) = (Instant::now(), interval(PROGRESS_EVERY));
    tick.tick().await;
    loop {
        tokio::select! { _ = tick.tick() => {} () = stop.cancelled() => return }
        let (calls, open) = fleet.provider.count();
        let (faults, mishaps) = log.read();
        println!(
            "{:>5}s  wishes {:>6}  accepted {:>6}  ended {:>6}  calls {:>6} ({open} open)  faults {:>4}  mishaps {}",
            started.elapsed().as_secs(),
            tally.wishes.load(Ordering::Relaxed),
            tally.accepted.load(Ordering::Relaxed),
            tally.ended.load(Ordering::Relaxed),
            calls,
            faults.len(),
            mishaps.len(),
        );
    }
}
