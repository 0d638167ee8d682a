//! Which faults come, when, and to whom: drawn from the seed alone, so that the same seed plans the same run.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::history::{BROKER, Blow};
use crate::options::Options;

/// Of all hits on processes, so many go to workers: they hold the leases.
const WORKERS_SHARE: f64 = 0.55;

/// Of all jumps of a clock, so many go back to the truth.
const TRUE_AGAIN: f64 = 0.2;
/// The farthest that a clock is set from it, in seconds.
const FARTHEST: i64 = 3600;

/// One fault to come.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    /// How long after the one before it.
    pub(crate) gap: Duration,
    /// What is done.
    pub(crate) blow: Blow,
    /// To whom.
    pub(crate) victim: String,
    /// The links that are broken, by their other end; empty for a hit on the process itself.
    pub(crate) peers: Vec<String>,
    /// How long it lasts, or how long the process stays dead.
    pub(crate) lasts: Duration,
    /// How far from the truth its wall clock is set, in seconds.
    pub(crate) shift: i64,
}

/// What a fault is drawn as.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sort {
    /// A hit on a process.
    Hit(Blow),
    /// A link, or all links of a role to the broker.
    Part(Blow),
    /// A server of the broker from the others.
    Isolate(Blow),
}

/// All faults to come, without end.
#[derive(Debug)]
pub(crate) struct Plan {
    rng: StdRng,
    rates: Vec<(Sort, f64)>,
    victims: Vec<String>,
    links: Vec<(String, String)>,
    lease: Duration,
}

impl Plan {
    /// The plan for these victims and links.
    pub(crate) fn new(options: &Options, victims: &[String], links: &[(String, String)]) -> Self {
        let spared = |name: &String| options.spare.contains(name);
        let parts = links.iter().any(|(from, _)| !from.starts_with(BROKER));
        let isolates = links.iter().any(|(from, _)| from.starts_with(BROKER));
        let half = |rate: f64, possible: bool| if possible { rate / 2.0 } else { 0.0 };
        let part = half(options.partitions_per_minute, parts);
        let isolate = half(options.node_partitions_per_minute, isolates);
        Self {
            rng: StdRng::seed_from_u64(options.seed),
            rates: vec![
                (Sort::Hit(Blow::Kill), options.kills_per_minute),
                (Sort::Hit(Blow::Stop), options.stops_per_minute),
                (Sort::Hit(Blow::Restart), options.restarts_per_minute),
                (Sort::Hit(Blow::Jump), options.clock_jumps()),
                (Sort::Part(Blow::Cut), part),
                (Sort::Part(Blow::Freeze), part),
                (Sort::Isolate(Blow::Cut), isolate),
                (Sort::Isolate(Blow::Freeze), isolate),
            ],
            victims: victims.iter().filter(|name| !spared(name)).cloned().collect(),
            links: links.iter().filter(|(from, to)| !spared(from) && !spared(to)).cloned().collect(),
            lease: options.lease(),
        }
    }

    fn sort(&mut self) -> Option<Sort> {
        self.rates.choose_weighted(&mut self.rng, |(_, rate)| *rate).ok().map(|(sort, _)| *sort)
    }

    /// A process that this blow can hit, workers first.
    fn victim(&mut self, blow: Blow) -> Option<String> {
        let can = |name: &str| match blow {
            Blow::Kill => true,
            // Whose wall clock could matter to a job.
            Blow::Jump => name.starts_with("worker") || name.starts_with("ingress"),
            // These two are servers of others, told to die but not how to be paused.
            _ => name != "redis" && name != "postgres",
        };
        let workers_only = self.rng.random_bool(WORKERS_SHARE);
        let of =
            |workers: bool| self.victims.iter().filter(move |name| can(name) && name.starts_with("worker") == workers);
        let mut chosen: Vec<_> = of(workers_only).collect();
        if chosen.is_empty() {
            chosen = of(!workers_only).collect();
        }
        chosen.choose(&mut self.rng).map(|name| (*name).clone())
    }

    /// A link, or all links of a process to the broker.
    fn partition(&mut self) -> Option<(String, Vec<String>)> {
        let links: Vec<_> = self.links.iter().filter(|(from, _)| !from.starts_with(BROKER)).collect();
        let (from, to) = (*links.choose(&mut self.rng)?).clone();
        if !to.starts_with(BROKER) || self.rng.random_bool(0.3) {
            return Some((from, vec![to]));
        }
        let broker = self.links.iter().filter(|(one, other)| *one == from && other.starts_with(BROKER));
        let peers = broker.map(|(_, node)| node.clone()).collect();
        Some((from, peers))
    }

    /// A server of the broker, and the others.
    fn isolation(&mut self) -> Option<(String, Vec<String>)> {
        let links: Vec<_> = self.links.iter().filter(|(from, _)| from.starts_with(BROKER)).collect();
        let (victim, _) = (*links.choose(&mut self.rng)?).clone();
        let peers = links.iter().filter(|(from, _)| *from == victim).map(|(_, to)| to.clone()).collect();
        Some((victim, peers))
    }

    /// How far off a clock is set.
    fn shift(&mut self, blow: Blow) -> i64 {
        if blow != Blow::Jump || self.rng.random_bool(TRUE_AGAIN) {
            return 0;
        }
        self.rng.random_range(-FARTHEST..=FARTHEST)
    }

    /// Half of them shorter than a lease, half of them longer.
    fn lasting(&mut self, blow: Blow) -> Duration {
        let leases = match blow {
            Blow::Kill | Blow::Restart => self.rng.random_range(0.0..0.7),
            _ if self.rng.random_bool(0.5) => self.rng.random_range(0.1..0.9),
            _ => self.rng.random_range(1.2..2.5),
        };
        self.lease.mul_f64(leases)
    }
}

impl Iterator for Plan {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        let total: f64 = self.rates.iter().map(|(_, rate)| rate).sum();
        // The gaps of a Poisson process.
        let minutes = -(1.0 - self.rng.random::<f64>()).ln() / total;
        let sort = self.sort()?;
        let (blow, (victim, peers)) = match sort {
            Sort::Hit(blow) => (blow, (self.victim(blow)?, Vec::new())),
            Sort::Part(blow) => (blow, self.partition()?),
            Sort::Isolate(blow) => (blow, self.isolation()?),
        };
        let (gap, lasts, shift) = (Duration::from_secs_f64(minutes * 60.0), self.lasting(blow), self.shift(blow));
        Some(Planned { gap, blow, victim, peers, lasts, shift })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn plan(arguments: &[&str]) -> Plan {
        let options = Options::parse_from([&["chaos"], arguments].concat());
        let victims = ["worker-1", "ingress-1", "nats-a", "redis"].map(str::to_owned);
        let links = [("worker-1", "nats-a"), ("worker-1", "provider"), ("ingress-1", "nats-a")];
        Plan::new(&options, &victims, &links.map(|(from, to)| (from.to_owned(), to.to_owned())))
    }

    #[test]
    fn a_seed_is_a_plan() {
        let first: Vec<_> = plan(&["--seed", "7"]).take(50).collect();
        assert_eq!(first, plan(&["--seed", "7"]).take(50).collect::<Vec<_>>());
        assert_ne!(first, plan(&["--seed", "8"]).take(50).collect::<Vec<_>>());
    }

    #[test]
    fn the_mix_is_what_was_asked_for() {
        let arguments = ["--kills-per-minute", "0", "--partitions-per-minute", "0", "--spare", "nats-a"];
        let arguments = [&arguments[..], &["--clock-jumps-per-minute", "0"]].concat();
        let faults: Vec<_> = plan(&arguments).take(500).collect();
        assert!(faults.iter().all(|fault| matches!(fault.blow, Blow::Stop | Blow::Restart)));
        assert!(faults.iter().all(|fault| fault.victim == "worker-1" || fault.victim == "ingress-1"));
        let minutes = faults.iter().map(|fault| fault.gap.as_secs_f64()).sum::<f64>() / 60.0;
        assert!((80.0..125.0).contains(&minutes), "500 faults at 5 a minute took {minutes}");
        let none = [&arguments[..], &["--stops-per-minute", "0", "--restarts-per-minute", "0"]].concat();
        assert_eq!(plan(&none).next(), None);
    }

    #[test]
    fn a_server_is_cut_off_from_both_others() {
        let options = Options::parse_from(["chaos", "--node-partitions-per-minute", "60"]);
        let links = [("a", "b"), ("a", "c"), ("b", "a"), ("b", "c"), ("c", "a"), ("c", "b")];
        let links = links.map(|(from, to)| (format!("{BROKER}-{from}"), format!("{BROKER}-{to}")));
        let plan = Plan::new(&options, &["worker-1".to_owned()], &links);
        let parted: Vec<_> = plan.take(100).filter(|fault| !fault.peers.is_empty()).collect();
        assert!(parted.iter().all(|fault| fault.victim.starts_with(BROKER) && fault.peers.len() == 2), "{parted:?}");
        assert!(parted.len() > 50, "{parted:?}");
    }
}
