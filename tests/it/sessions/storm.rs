//! Many turns of many sessions at once while workers, and the broker, are killed again and again.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use futures::future::join_all;
use harness::api::{Api, job_id};
use harness::cluster::Cluster;
use harness::provider::{Act, Ending, Provider};
use harness::wait::{check, until};
use reqwest::Method;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{asked, said, session, talk, turn};

/// Between two deaths.
const PACE: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(300);
const TURNS: usize = 20;

fn name(session: usize) -> String {
    format!("session-{session}")
}

fn text(session: usize, turn: usize) -> String {
    format!("turn {turn} of session {session}")
}

/// Submits every turn of one session as soon as the one before is accepted, and waits for no result. The ids in the order
/// of their answers.
async fn submit_all(api: Api, session: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..TURNS {
        let (body, key) = (turn("fake", &name(session), &text(session, number)), format!("{session}-{number}"));
        let accepted = until("an accepted turn", LIMIT, async || {
            let request = api.request(Method::POST, "/v1/jobs").header("idempotency-key", &key).json(&body);
            let answer = api.try_send(request).await.map_err(|error| error.to_string())?;
            check(answer.status == 202, &answer.text).map(|()| answer.body)
        });
        ids.push(job_id(&accepted.await));
    }
    ids
}

/// Every session has every turn once, in order; and each turn was asked with all those before it.
async fn checked(api: &Api, provider: &Provider, ids: &[Vec<String>]) {
    let mut answered: HashMap<String, Vec<_>> = HashMap::new();
    for call in provider.calls().iter().filter(|call| call.ending == Ending::Answered) {
        answered.entry(call.prompt()).or_default().push(asked(call));
    }
    for (number, ids) in ids.iter().enumerate() {
        let texts: Vec<_> = (0..TURNS).map(|turn| text(number, turn)).collect();
        let whole = talk(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let read = session(api, &name(number)).await;
        assert_eq!(said(&read), whole, "{read}");
        assert_eq!((&read["statistics"]["turns"], &read["statistics"]["waiting"]), (&TURNS.into(), &0.into()));
        let messages = read["messages"].as_array().unwrap();
        let turns: BTreeMap<_, _> = messages
            .iter()
            .map(|message| (message["turn"].as_u64().unwrap(), message["job"].as_str().unwrap()))
            .collect();
        assert_eq!(turns.keys().copied().collect::<Vec<_>>(), (1..=TURNS as u64).collect::<Vec<_>>());
        assert_eq!(turns.into_values().collect::<Vec<_>>(), *ids, "in the order in which they were accepted");
        for (turn, id) in ids.iter().enumerate() {
            let job = api.job(id).await;
            assert_eq!(
                (job["status"].as_str(), job["turn"].as_u64()),
                (Some("completed"), Some(turn as u64 + 1)),
                "{job}"
            );
            for prompt in &answered[&texts[turn]] {
                assert_eq!(*prompt, whole[..=2 * turn], "{id}");
            }
        }
    }
}

async fn survives(sessions: usize, disturb: impl AsyncFnOnce(&mut Cluster, CancellationToken) -> usize) {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Slow(Duration::from_millis(30))]);
    let plan = Cluster::plan().workers(3).short_leases().provider(&provider).set("WORKER__MAX_UNRESOLVED", "1000");
    let mut cluster = plan.set("BREAKER__FAILURES", "100000").start().await;
    let (api, done, began) = (cluster.api(), CancellationToken::new(), Instant::now());
    let mut load = JoinSet::new();
    // Dropped at the end, or when a check fails: either way nothing more is disturbed.
    let (client, ended) = (api.clone(), done.clone().drop_guard());
    load.spawn(async move {
        let ids = join_all((0..sessions).map(|session| submit_all(client.clone(), session))).await;
        let accepted = began.elapsed();
        for last in ids.iter().filter_map(|ids| ids.last()) {
            client.ended(last).await;
        }
        drop(ended);
        (ids, accepted, began.elapsed())
    });
    let deaths = disturb(&mut cluster, done).await;
    let (ids, accepted, ended) = load.join_next().await.unwrap().unwrap();
    checked(&api, &provider, &ids).await;
    let calls = provider.calls().len();
    println!(
        "{} turns of {sessions} sessions accepted within {accepted:.1?}, ended within {ended:.1?}: {deaths} deaths, {calls} calls",
        sessions * TURNS
    );
    assert!(deaths >= 3, "only {deaths}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_turn_is_in_its_session_once_whichever_workers_die() {
    let long = std::env::var_os("PORTBROKER_TEST_LONG").is_some_and(|value| value == "1");
    survives(if long { 50 } else { 15 }, async |cluster: &mut Cluster, done: CancellationToken| {
        let mut deaths = 0;
        while done.run_until_cancelled(tokio::time::sleep(PACE)).await.is_some() {
            cluster.workers.remove(0).kill9();
            deaths += 1;
            cluster.add_worker().await;
        }
        deaths
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_turn_is_in_its_session_once_however_often_the_broker_dies() {
    survives(6, async |cluster: &mut Cluster, done: CancellationToken| {
        let mut deaths = 0;
        while done.run_until_cancelled(tokio::time::sleep(2 * PACE)).await.is_some() {
            if deaths < 4 {
                cluster.nats.kill9();
                cluster.nats.resurrect().await;
                deaths += 1;
            }
        }
        deaths
    })
    .await;
}
