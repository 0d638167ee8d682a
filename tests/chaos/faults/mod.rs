//! Hurts the fleet as planned, waits until each victim is well again, and keeps the log that explains what it did.

mod plan;
mod scout;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_nats::jetstream::Context;
use harness::proxy::Link as State;
use runtime::clock;
use rustix::process::Signal;
use schemas::timestamp::Timestamp;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::fleet::{Fleet, Link, Machine, Victim};
use crate::history::{BROKER, Blow, Fault, Mishap};
use crate::options::Options;
use plan::{Plan, Planned};
use scout::Scout;

const POLL: Duration = Duration::from_millis(100);
/// How long a role is given to say that it is well again.
const WELL_LIMIT: Duration = Duration::from_secs(60);
/// What health may still tell from its cache.
const HEALTH_AGE: Duration = Duration::from_millis(500);

/// What was done, and what went wrong by itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<std::sync::Mutex<(Vec<Fault>, Vec<Mishap>)>>);

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
pub(crate) async fn run(options: &Options, fleet: &Fleet, context: &Context, log: Log, stop: CancellationToken) {
    let names: Vec<_> = fleet.victims.iter().map(|victim| victim.name.clone()).collect();
    let links: Vec<_> = fleet.links.iter().map(|link| (link.from.clone(), link.to.clone())).collect();
    let hand = Hand {
        victims: fleet.victims.clone(),
        links: Arc::clone(&fleet.links),
        broker: Arc::new(Mutex::new(Scout::new(context.clone()))),
        log,
    };
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
    /// Whoever hits a server of the broker holds this: one at a time, for with two of three gone nothing is promised.
    broker: Arc<Mutex<Scout>>,
    log: Log,
}

impl Hand {
    async fn strike(&self, planned: Planned) {
        let Some(victim) = self.victims.iter().find(|one| one.name == planned.victim) else { return };
        match planned {
            _ if victim.name.starts_with(BROKER) => self.strike_broker(victim, planned).await,
            Planned { blow: Blow::Jump, .. } => self.jump(victim, planned),
            _ if planned.peers.is_empty() => self.strike_role(victim, planned).await,
            _ => self.part(victim, planned).await,
        }
    }

    /// Hits a server of the broker, or cuts it off from the others, and waits until every role is well too.
    async fn strike_broker(&self, victim: &Victim, planned: Planned) {
        let Ok(scout) = self.broker.try_lock() else { return };
        let Ok(mut machine) = victim.machine.try_lock() else { return };
        let Some(before) = scout.settled().await else { return };
        let began = clock::now();
        let healed = match planned.peers.is_empty() {
            true => self.hit(victim, &mut machine, planned.blow, planned.lasts).await,
            false => self.cut_off(&planned).await,
        };
        self.until_well(&machine).await;
        drop(machine);
        self.roles_well().await;
        let (blow, victim, mut ended) = (planned.blow, victim.name.clone(), now_for_sure());
        // One that was away may make the others elect anew when it comes back: nothing is written until they have.
        let elected = scout.settled().await.is_none_or(|after| after != before);
        if elected {
            self.roles_well().await;
            ended = now_for_sure();
        }
        let led = elected || before.is(&victim);
        let to_it = self.links.iter().filter(|link| link.to == victim && !link.from.starts_with(BROKER));
        let reached: BTreeSet<_> =
            to_it.filter(|link| link.proxy.was_used(began, healed)).map(|link| link.from.clone()).collect();
        let peers: Vec<_> = planned.peers.into_iter().map(Some).collect();
        for peer in if peers.is_empty() { vec![None] } else { peers } {
            let (victim, reached) = (victim.clone(), reached.clone());
            self.log.fault(Fault { blow, victim, peer, began, ended, reached, led, shift: 0 });
        }
    }

    /// Hits a process, unless it is being hit already.
    async fn strike_role(&self, victim: &Victim, Planned { blow, lasts, .. }: Planned) {
        let Ok(mut machine) = victim.machine.try_lock() else { return };
        let began = clock::now();
        self.hit(victim, &mut machine, blow, lasts).await;
        self.until_well(&machine).await;
        let (victim, reached) = (victim.name.clone(), BTreeSet::from([victim.name.clone()]));
        self.log.fault(Fault { blow, victim, peer: None, began, ended: now_for_sure(), reached, led: false, shift: 0 });
    }

    /// Sets a clock, which disturbs nobody: what leases are judged by is not the holder's wall clock.
    fn jump(&self, victim: &Victim, Planned { blow, shift, .. }: Planned) {
        let Some(clock) = &victim.wall_clock else { return };
        clock.set(shift);
        let (victim, now, reached) = (victim.name.clone(), clock::now(), BTreeSet::new());
        self.log.fault(Fault { blow, victim, peer: None, began: now, ended: now, reached, led: false, shift });
    }

    /// Carries out a hit; when it was over.
    async fn hit(&self, victim: &Victim, machine: &mut Machine, blow: Blow, lasts: Duration) -> Timestamp {
        match blow {
            Blow::Stop => {
                machine.signal(Signal::STOP);
                sleep(lasts).await;
                machine.signal(Signal::CONT);
                return clock::now();
            }
            Blow::Restart => {
                if let Err(what) = machine.terminate().await {
                    self.log.mishap(&victim.name, what);
                }
            }
            _ => machine.kill().await,
        }
        sleep(lasts).await;
        let healed = clock::now();
        self.start(victim, machine).await;
        healed
    }

    async fn start(&self, victim: &Victim, machine: &mut Machine) {
        if let Err(what) = machine.start().await {
            self.log.mishap(&victim.name, what);
        }
    }

    /// Breaks links of a role. Only one that had a connection to the broker is disturbed by that.
    async fn part(&self, victim: &Victim, planned: Planned) {
        let began = clock::now();
        let healed = self.cut_off(&planned).await;
        self.well(victim).await;
        for peer in &planned.peers {
            let used =
                |link: &&Link| link.from == victim.name && link.to == *peer && link.proxy.was_used(began, healed);
            let felt = peer.starts_with(BROKER) && self.links.iter().any(|link| used(&link));
            let reached = if felt { BTreeSet::from([victim.name.clone()]) } else { BTreeSet::new() };
            let (blow, victim, peer, ended) = (planned.blow, victim.name.clone(), Some(peer.clone()), now_for_sure());
            self.log.fault(Fault { blow, victim, peer, began, ended, reached, led: false, shift: 0 });
        }
    }

    /// Breaks the links between a victim and its peers, whoever dials, for as long as planned; when they were whole again.
    async fn cut_off(&self, Planned { blow, victim, peers, lasts, .. }: &Planned) -> Timestamp {
        let state = if *blow == Blow::Cut { State::Cut } else { State::Frozen };
        let between = |link: &&Link| {
            (link.from == *victim && peers.contains(&link.to)) || (link.to == *victim && peers.contains(&link.from))
        };
        let set = |state| self.links.iter().filter(between).for_each(|link| link.proxy.set(state));
        set(state);
        sleep(*lasts).await;
        set(State::Up);
        clock::now()
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
