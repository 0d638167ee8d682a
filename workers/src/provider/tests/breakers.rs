//! Two workers' breakers over a real nats-server: one fleet, one probe, and each alone while it is away.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::kv::Store;
use futures::future::join_all;
use runtime::config::BreakerConfig;
use schemas::breaker::BreakerPhase;
use schemas::timestamp::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::breaker::{Ticket, Verdict};
use super::super::breaker_share::BreakerShare;
use super::super::transition::Transition;
use super::servers::Nats;
use super::{metrics, until};

const PROVIDER: &str = "open.ai";
const MODEL: &str = "gpt-4o*";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

async fn store(nats: &Nats) -> Store {
    let context = jetstream::new(nats.client().await);
    let config = jetstream::kv::Config { bucket: "BREAKERS".to_owned(), ..Default::default() };
    context.create_or_update_key_value(config).await.unwrap()
}

struct Worker {
    share: BreakerShare,
    transitions: mpsc::Receiver<Transition>,
}

impl Worker {
    fn new(store: Option<Store>) -> Self {
        let config =
            BreakerConfig { failures: 3, open_for: Duration::from_secs(60), probe_timeout: Duration::from_secs(30) };
        let (sender, transitions) = mpsc::channel(100);
        Self { share: BreakerShare::new(config, store, Duration::from_secs(2), sender, metrics()), transitions }
    }

    async fn fail(&self, times: usize, now: Timestamp) {
        for _ in 0..times {
            self.share.judge(PROVIDER, MODEL, Ticket::Ordinary, Verdict::Sick, now).await;
        }
    }

    async fn probe(&self, now: Timestamp, number: u64) -> Result<Ticket, Timestamp> {
        self.share.admit(PROVIDER, MODEL, now, number).await
    }

    fn shut(&self, now: Timestamp) -> Option<Timestamp> {
        self.share.shut_until(PROVIDER, MODEL, now)
    }

    async fn hears(&self, until: Option<Timestamp>, now: Timestamp) {
        super::until("the breaker's news", async || self.shut(now) == until).await;
    }

    fn told(&mut self) -> Vec<(BreakerPhase, bool)> {
        std::iter::from_fn(|| self.transitions.try_recv().ok()).map(|told| (told.phase, told.shared)).collect()
    }
}

#[tokio::test]
async fn the_fleet_opens_together_sends_one_probe_and_closes_together() {
    let nats = Nats::start();
    let (mut one, mut two) = (Worker::new(Some(store(&nats).await)), Worker::new(Some(store(&nats).await)));
    let stop = CancellationToken::new();
    let test = async {
        one.fail(2, at(0)).await;
        assert_eq!(one.shut(at(0)), None);
        one.fail(1, at(0)).await;
        assert_eq!(one.shut(at(0)), Some(at(60)));
        two.hears(Some(at(60)), at(0)).await;
        let (mine, other) = tokio::join!(one.probe(at(60), 1), two.probe(at(60), 2));
        let (winner, loser, ticket) = match (mine, other) {
            (Ok(ticket), Err(until)) if until == at(90) => (&one, &two, ticket),
            (Err(until), Ok(ticket)) if until == at(90) => (&two, &one, ticket),
            both => panic!("one probe was to pass: {both:?}"),
        };
        assert_eq!(loser.probe(at(61), 3).await, Err(at(90)));
        winner.share.judge(PROVIDER, MODEL, ticket, Verdict::Healthy, at(62)).await;
        loser.hears(None, at(62)).await;
        assert_eq!(loser.probe(at(62), 4).await, Ok(Ticket::Ordinary));
        stop.cancel();
    };
    tokio::join!(one.share.run(stop.clone()), two.share.run(stop.clone()), test);
    // Each change was made once, by whoever won it.
    let mut told = one.told();
    told.extend(two.told());
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|(_, shared)| *shared));
    assert_eq!(told[0].0, BreakerPhase::Open { until: at(60) });
    assert!(told.iter().any(|(phase, _)| *phase == BreakerPhase::Closed));
}

#[tokio::test]
async fn many_slots_at_once_open_it_once_and_send_one_probe() {
    let nats = Nats::start();
    let (mut one, mut two) = (Worker::new(Some(store(&nats).await)), Worker::new(Some(store(&nats).await)));
    join_all((0..20).map(|slot| if slot % 2 == 0 { one.fail(3, at(0)) } else { two.fail(3, at(0)) })).await;
    assert_eq!((one.shut(at(1)), two.shut(at(1))), (Some(at(60)), Some(at(60))));
    assert_eq!(one.told().len() + two.told().len(), 1);
    let probes = (0..20).map(|slot| if slot % 2 == 0 { one.probe(at(60), slot) } else { two.probe(at(60), slot) });
    let passed = join_all(probes).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(passed, 1);
}

#[tokio::test]
async fn a_worker_that_starts_later_knows_what_is_open() {
    let nats = Nats::start();
    let one = Worker::new(Some(store(&nats).await));
    one.fail(3, at(0)).await;
    let late = Worker::new(Some(store(&nats).await));
    let stop = CancellationToken::new();
    let test = async {
        late.hears(Some(at(60)), at(1)).await;
        stop.cancel();
    };
    tokio::join!(late.share.run(stop.clone()), test);
}

#[tokio::test]
async fn one_that_missed_the_news_loses_its_write_and_learns() {
    let nats = Nats::start();
    let (one, mut two) = (Worker::new(Some(store(&nats).await)), Worker::new(Some(store(&nats).await)));
    one.fail(3, at(0)).await;
    // Nobody runs its watch: only its own write can tell it.
    two.fail(3, at(10)).await;
    assert_eq!(two.shut(at(11)), Some(at(60)));
    assert_eq!(two.told(), []);
}

/// As age does, it leaves no mark, and no watch hears of it.
#[tokio::test]
async fn a_record_that_the_bucket_forgot_is_written_anew() {
    let nats = Nats::start();
    let store = store(&nats).await;
    let mut worker = Worker::new(Some(store.clone()));
    worker.fail(3, at(0)).await;
    store.stream.purge().await.unwrap();
    let ticket = worker.probe(at(60), 1).await.unwrap();
    worker.share.judge(PROVIDER, MODEL, ticket, Verdict::Healthy, at(61)).await;
    assert_eq!(worker.shut(at(61)), None);
    assert!(worker.told().iter().all(|(_, shared)| *shared));
    assert!(store.entry(schemas::breaker::key(PROVIDER, MODEL)).await.unwrap().is_some());
}

#[tokio::test]
async fn with_the_broker_away_each_works_alone_and_joins_again() {
    let mut nats = Nats::start();
    let mut worker = Worker::new(Some(store(&nats).await));
    nats.kill();
    worker.fail(3, at(0)).await;
    assert_eq!(worker.shut(at(1)), Some(at(60)));
    assert_eq!(worker.told(), [(BreakerPhase::Open { until: at(60) }, false)]);
    nats.resurrect();
    let fresh = store(&nats).await;
    // Its old write may still arrive by itself: either way its probe's claim is the fleet's.
    until("a shared probe", async || {
        let _ = worker.probe(at(200), 1).await;
        fresh.entry(schemas::breaker::key(PROVIDER, MODEL)).await.unwrap().is_some()
    })
    .await;
}

#[tokio::test]
async fn without_a_store_it_is_the_plain_breaker() {
    let mut worker = Worker::new(None);
    worker.fail(3, at(0)).await;
    assert_eq!(worker.probe(at(59), 1).await, Err(at(60)));
    assert_eq!(worker.probe(at(60), 1).await, Ok(Ticket::Probe(1)));
    assert_eq!(worker.probe(at(60), 2).await, Err(at(90)));
    worker.share.judge(PROVIDER, MODEL, Ticket::Probe(1), Verdict::Alive, at(61)).await;
    assert_eq!(worker.probe(at(61), 3).await, Ok(Ticket::Ordinary));
    assert!(worker.told().iter().all(|(_, shared)| *shared));
}

#[tokio::test]
async fn names_without_end_crowd_out_no_breaker() {
    let worker = Worker::new(None);
    for number in 0..10_000 {
        worker.share.judge(PROVIDER, &format!("m{number}"), Ticket::Ordinary, Verdict::Sick, at(0)).await;
        if number == 0 {
            worker.fail(3, at(0)).await;
        }
    }
    assert_eq!(worker.shut(at(1)), Some(at(60)), "what is open stays open");
    for _ in 0..3 {
        worker.share.judge(PROVIDER, "new", Ticket::Ordinary, Verdict::Sick, at(1)).await;
    }
    assert_eq!(worker.share.shut_until(PROVIDER, "new", at(2)), Some(at(61)));
}
