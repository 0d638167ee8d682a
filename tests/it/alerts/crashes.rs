//! Alerting dies at random moments, alone and as one of two: no incident is lost, and one is told twice only where a crash
//! fell between sending and recording, which is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::jetstream;
use futures::TryStreamExt;
use harness::cluster::Cluster;
use harness::process::{Process, Role};
use harness::telegram::Telegram;
use harness::wait::{check, until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::Signal;
use schemas::alert::{AlertEvent, AlertKind};
use schemas::{envelope, subject};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::{FINGERPRINTS, LIMIT, event, is_long, nothing_was_hurried, plan, publish};

/// Alerts between two crashes, one of them the first of its fingerprint: there is always something to send.
const BETWEEN: u64 = 50;
/// Longest life of one process.
const LIFE_MS: u64 = 4000;
/// Longest answer of the Bot API: a crash meanwhile leaves a message that nobody recorded.
const DAWDLE: Duration = Duration::from_millis(400);

/// What is kept of an incident, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Incident {
    episodes: Vec<Episode>,
}

#[derive(Debug, Deserialize)]
struct Episode {
    count: u64,
    posted: Option<Posted>,
    untold_since: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Posted {
    message: i64,
}

#[derive(Debug, Default, Deserialize)]
struct Outbox {
    possible_duplicates: u64,
}

/// What the bucket holds. Other roles raise alerts too, as when alerting is away for long: only ours are counted.
struct Kept {
    incidents: BTreeMap<String, Incident>,
    others: BTreeMap<String, Incident>,
    outbox: Outbox,
}

impl Kept {
    async fn read(cluster: &Cluster, ours: &BTreeSet<String>) -> Self {
        let context = jetstream::new(cluster.nats.client().await);
        let bucket = context.get_key_value(subject::INCIDENTS).await.unwrap();
        let keys: Vec<String> = bucket.keys().await.unwrap().try_collect().await.unwrap();
        let mut kept = Self { incidents: BTreeMap::new(), others: BTreeMap::new(), outbox: Outbox::default() };
        for key in keys {
            let value = bucket.get(&key).await.unwrap().filter(|value| !value.is_empty());
            match (key.as_str(), value) {
                ("outbox", Some(value)) => kept.outbox = envelope::decode(&value).unwrap(),
                (key, Some(value)) if key.len() == 16 => {
                    let known = if ours.contains(key) { &mut kept.incidents } else { &mut kept.others };
                    known.insert(key.to_owned(), envelope::decode(&value).unwrap());
                }
                _ => {}
            }
        }
        kept
    }

    fn episodes(&self) -> impl Iterator<Item = &Episode> {
        self.incidents.values().flat_map(|incident| &incident.episodes)
    }

    /// Every alert is counted, once, and told.
    fn tells_all(&self, events: u64) -> Result<(), String> {
        let counted: u64 = self.episodes().map(|episode| episode.count).sum();
        let untold =
            self.episodes().filter(|episode| episode.posted.is_none() || episode.untold_since.is_some()).count();
        check(counted == events && untold == 0, format!("{counted} counted of {events}, {untold} episodes to tell"))
    }

    /// Messages that the chat holds and nobody knows of. None that tells of ours alone is a notice: ours never end.
    fn strays(&self, telegram: &Telegram) -> BTreeSet<i64> {
        let episodes = self.episodes().chain(self.others.values().flat_map(|incident| &incident.episodes));
        let known: BTreeSet<_> = episodes.filter_map(|episode| Some(episode.posted.as_ref()?.message)).collect();
        let messages = telegram.messages();
        let tell_ours = messages.iter().filter(|message| message.versions[0].contains("dead_letter"));
        tell_ours.map(|message| message.id).filter(|id| !known.contains(id)).collect()
    }
}

async fn settled(cluster: &Cluster, events: u64, ours: &BTreeSet<String>) -> Kept {
    until("all alerts kept and told", LIMIT, async || {
        let kept = Kept::read(cluster, ours).await;
        kept.tells_all(events).map(|()| kept)
    })
    .await
}

/// A moment to die: any, or while the Bot API is busy with a call.
async fn moment(telegram: &Telegram, rng: &mut StdRng) {
    let (life, soon) = (rng.random_range(0..LIFE_MS), rng.random_range(0..80));
    if rng.random() {
        return sleep(Duration::from_millis(life)).await;
    }
    let calls = telegram.calls().len();
    let called = async {
        while telegram.calls().len() == calls {
            sleep(Duration::from_millis(2)).await;
        }
        sleep(Duration::from_millis(soon)).await;
    };
    // Nothing may be left to tell: then any moment will do.
    let _ = timeout(Duration::from_millis(2 * LIFE_MS), called).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_lose_no_incident_and_every_possible_duplicate_is_counted() {
    let crashes = if is_long() { 200 } else { 6 };
    let telegram = Telegram::start().await;
    telegram.dawdle(DAWDLE);
    let plan = plan(&telegram).set("ALERTS__HOLD", "1h").set("ALERTS__LEASE", "1s").set("TELEGRAM__COOLDOWN", "10h");
    let mut cluster = plan.set("TELEGRAM__GROUP_INTERVAL", "3s").start().await;
    let mut rng = StdRng::seed_from_u64(20_260_131);
    publish(&cluster, [foreign()]).await;
    for crash in 0..crashes {
        let numbers = crash * BETWEEN + 1..(crash + 1) * BETWEEN;
        publish(&cluster, numbers.map(event).chain([incident(crash)])).await;
        moment(&telegram, &mut rng).await;
        cluster.alerting.take().unwrap().kill9();
        cluster.alerting = Some(Process::launch(Role::Alerting, cluster.environment()));
    }
    let events = crashes * BETWEEN;
    let ours = (0..FINGERPRINTS).map(event).chain((0..crashes).map(incident));
    let kept = settled(&cluster, events, &ours.map(|event| event.fingerprint()).collect()).await;
    let (strays, possible) = (kept.strays(&telegram), kept.outbox.possible_duplicates);
    println!(
        "{crashes} crashes under {events} alerts: {} incidents in {} messages, {} of them sent twice, {possible} \
         counted as possibly so, {} calls",
        kept.incidents.len(),
        telegram.messages().len(),
        strays.len(),
        telegram.calls().len(),
    );
    assert_eq!(kept.incidents.len() as u64, FINGERPRINTS + crashes);
    assert!(strays.len() as u64 <= possible, "{strays:?} are strays, {possible} were counted");
    nothing_was_hurried(&telegram);
}

/// As ingress raises one when it hears nothing of alerting.
fn foreign() -> AlertEvent {
    let labels = [("component".to_owned(), "alerting".to_owned())].into();
    AlertEvent { kind: AlertKind::ComponentDown, labels, ..event(0) }
}

fn incident(number: u64) -> AlertEvent {
    AlertEvent { labels: [("alarm".to_owned(), format!("alarm<{number:03}>"))].into(), ..event(number) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_replicas_whichever_lives_tells_each_incident_once() {
    let rounds = if is_long() { 30 } else { 4 };
    let telegram = Telegram::start().await;
    telegram.dawdle(DAWDLE);
    let plan = plan(&telegram).set("ALERTS__HOLD", "1h").set("ALERTS__LEASE", "1s").set("TELEGRAM__COOLDOWN", "10h");
    let mut cluster = plan.start().await;
    let first = cluster.alerting.take().unwrap();
    let mut replicas = [first, Process::start(Role::Alerting, cluster.environment()).await];
    let mut rng = StdRng::seed_from_u64(20_260_201);
    for round in 0..rounds {
        publish(&cluster, [incident(round), incident(round)]).await;
        sleep(Duration::from_millis(rng.random_range(0..LIFE_MS))).await;
        let victim = &mut replicas[usize::from(rng.random::<bool>())];
        if round % 3 == 2 {
            // It is taken for dead, and comes back believing that it leads.
            victim.child().signal(Signal::STOP);
            sleep(Duration::from_millis(1000 + rng.random_range(0..LIFE_MS))).await;
            victim.child().signal(Signal::CONT);
        } else {
            victim.kill9();
            publish(&cluster, [incident(round)]).await;
            *victim = Process::start(Role::Alerting, cluster.environment()).await;
        }
    }
    let events = rounds * 2 + (0..rounds).filter(|round| round % 3 != 2).count() as u64;
    let ours = (0..rounds).map(incident).map(|event| event.fingerprint()).collect();
    let kept = settled(&cluster, events, &ours).await;
    let (strays, possible) = (kept.strays(&telegram), kept.outbox.possible_duplicates);
    println!(
        "{rounds} rounds of two replicas: {} incidents in {} messages, {} of them sent twice, {possible} counted as \
         possibly so",
        kept.incidents.len(),
        telegram.messages().len(),
        strays.len(),
    );
    assert_eq!(kept.incidents.len() as u64, rounds);
    assert!(strays.len() as u64 <= possible, "{strays:?} are strays, {possible} were counted");
    nothing_was_hurried(&telegram);
}
