//! Hurts the fleet as planned, waits until each victim is well again, and keeps the log that explains what it did.

mod plan;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harness::proxy::Link as State;
use runtime::clock;
use rustix::process::Signal;
use schemas::timestamp::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::fleet::{Fleet, Link, Machine, Victim};
use crate::history::{BROKER, Blow, Fault, Mishap};
use crate::options::Options;
use plan::{Plan, Planned};

const POLL: Duration = Duration::from_millis(100);
/// How long a role is given to say that it is well again.
const WELL_LIMIT: Duration = Duration::from_secs(60);
/// What health may still tell from its cache.
const HEALTH_AGE: Duration = Duration::from_millis(500);

/// What was done, and what went wrong by itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<(Vec<Fault>, Vec<Mishap>)>>);

impl Log {
    /// Everything so far.
    pub(crate) fn read(&self) -> (Vec<Fault>, Vec<Mishap>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fault(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.push(fault);
    }

    fn mishap(&self, victim: &str, what: String) {
        let mishap = Mishap { victim: victim.to_owned(), at: clock::now(), what };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.push(mishap);
    }
}

/// Hurts the fleet until `stop`, then waits until everyone is well.
pub(crate) async fn run(options: &Options, fleet: &Fleet, log: Log, stop: CancellationToken) {
    let names: Vec<_> = fleet.victims.iter().map(|victim| victim.name.clone()).collect();
    let links: Vec<_> = fleet.links.iter().map(|link| (link.from.clone(), link.to.clone())).collect();
    let hand = Hand { victims: fleet.victims.clone(), links: Arc::clone(&fleet.links), log };
    let mut blows = JoinSet::new();
    let plan = Plan::new(options, &names, &links);
    let (watcher, watched) = (hand.clone(), stop.clone());
    blows.spawn(async move { watcher.watch(watched).await });
    let mut next = Instant::now();
    for planned in plan {
        next += planned.gap;
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = stop.cancelled() => break,
        }
        let hand = hand.clone();
        blows.spawn(async move { hand.strike(planned).await });
    }
    stop.cancelled().await;
    while let Some(struck) = blows.join_next().await {
        struck.expect("every fault is carried out");
    }
    hand.all_well().await;
}

/// What strikes.
#[derive(Debug, Clone)]
struct Hand {
    victims: Vec<Arc<Victim>>,
    links: Arc<Vec<Link>>,
    log: Log,
}

impl Hand {
    async fn strike(&self, planned: Planned) {
        if planned.peers.is_empty() {
            self.hit(planned).await;
        } else {
            self.part(planned).await;
        }
    }

    /// Hits a process, unless it is being hit already.
    async fn hit(&self, Planned { blow, victim, lasts, .. }: Planned) {
        let Some(victim) = self.victims.iter().find(|one| one.name == victim) else { return };
        let is_broker = victim.name.starts_with(BROKER);
        if is_broker && self.broker_is_hurt() {
            return;
        }
        let Ok(mut machine) = victim.machine.try_lock() else { return };
        let began = clock::now();
        match blow {
            Blow::Stop => {
                machine.signal(Signal::STOP);
                sleep(lasts).await;
                machine.signal(Signal::CONT);
            }
            Blow::Restart => {
                if let Err(what) = machine.terminate().await {
                    self.log.mishap(&victim.name, what);
                }
                sleep(lasts).await;
                self.start(victim, &mut machine).await;
            }
            _ => {
                machine.kill().await;
                sleep(lasts).await;
                self.start(victim, &mut machine).await;
            }
        }
        self.until_well(&machine).await;
        drop(machine);
        if is_broker {
            self.roles_well().await;
        }
        self.log.fault(Fault { blow, victim: victim.name.clone(), peer: None, began, ended: now_for_sure() });
    }

    /// One server of the broker at a time: with two of three gone nothing is promised.
    fn broker_is_hurt(&self) -> bool {
        self.victims.iter().any(|one| one.name.starts_with(BROKER) && one.machine.try_lock().is_err())
    }

    async fn start(&self, victim: &Victim, machine: &mut Machine) {
        if let Err(what) = machine.start().await {
            self.log.mishap(&victim.name, what);
        }
    }

    /// Breaks links.
    async fn part(&self, Planned { blow, victim, peers, lasts, .. }: Planned) {
        let state = if blow == Blow::Cut { State::Cut } else { State::Frozen };
        let links = || self.links.iter().filter(|link| link.from == victim && peers.contains(&link.to));
        let began = clock::now();
        links().for_each(|link| link.proxy.set(state));
        sleep(lasts).await;
        links().for_each(|link| link.proxy.set(State::Up));
        if let Some(role) = self.victims.iter().find(|one| one.name == victim) {
            self.well(role).await;
        }
        for peer in peers {
            let ended = now_for_sure();
            self.log.fault(Fault { blow, victim: victim.clone(), peer: Some(peer), began, ended });
        }
    }

    async fn until_well(&self, machine: &Machine) {
        // One that stays ill is found by its own health later, not here.
        let _ = timeout(WELL_LIMIT, async {
            while !machine.is_well().await {
                sleep(POLL).await;
            }
        })
        .await;
    }

    /// Waits until nobody hits it and it is well.
    async fn well(&self, victim: &Victim) {
        let machine = victim.machine.lock().await;
        self.until_well(&machine).await;
    }

    async fn roles_well(&self) {
        sleep(HEALTH_AGE).await;
        for victim in self.victims.iter().filter(|one| !one.name.starts_with(BROKER)) {
            if let Ok(machine) = victim.machine.try_lock() {
                self.until_well(&machine).await;
            }
        }
    }

    async fn all_well(&self) {
        for victim in &self.victims {
            self.well(victim).await;
        }
    }

    /// Brings back whoever died by itself, which nobody may.
    async fn watch(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            sleep(POLL).await;
            for victim in &self.victims {
                let Ok(mut machine) = victim.machine.try_lock() else { continue };
                if let Some(what) = machine.died() {
                    self.log.mishap(&victim.name, what);
                    self.start(victim, &mut machine).await;
                }
            }
        }
    }
}

/// Health answers from a cache: what it says now held a moment ago.
fn now_for_sure() -> Timestamp {
    clock::now().after(HEALTH_AGE)
}
