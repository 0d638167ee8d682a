//! What PortBroker stands on goes away and comes back: nothing accepted is lost, and operators are told.

use std::time::Duration;

use harness::api::{Api, outcomes, prompt};
use harness::cluster::{Cluster, Plan};
use harness::provider::{Act, Provider};
use harness::telegram::Telegram;
use harness::wait::{check, until};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(60);
/// How long the broker is away.
const AWAY: Duration = Duration::from_secs(10);

/// Submits until told to stop; answers the ids that were accepted and how often it was refused.
async fn submit_until(api: Api, stop: CancellationToken) -> (Vec<String>, usize) {
    let (mut accepted, mut refused) = (Vec::new(), 0);
    let mut pace = tokio::time::interval(Duration::from_millis(25));
    while !stop.is_cancelled() {
        pace.tick().await;
        let answer = api.post("/v1/jobs", &prompt("echo", "under load")).await;
        if answer.status == 202 {
            accepted.push(answer.body["id"].as_str().unwrap().to_owned());
            continue;
        }
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        assert_eq!((&answer.body["code"], &answer.body["retriable"]), (&"unavailable".into(), &true.into()));
        refused += 1;
    }
    (accepted, refused)
}

async fn survives(outage: impl AsyncFnOnce(&mut Cluster)) {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    let mut cluster = Cluster::plan().workers(2).provider(&provider).start().await;
    let api = cluster.api();
    let mut running = Vec::new();
    for _ in 0..10 {
        running.push(api.submit(&prompt("fake", "answered during the outage")).await);
    }
    provider.open(10).await;
    let stop = CancellationToken::new();
    let mut load = JoinSet::new();
    for _ in 0..4 {
        load.spawn(submit_until(api.clone(), stop.clone()));
    }
    until("some load", LIMIT, async || {
        let status = api.get("/health/queue/status").await;
        check(status.body["completions_per_second"].as_f64() > Some(0.0), &status.text)
    })
    .await;

    // The answers come while the broker is away: workers hold the results until they can write them.
    let (_, ()) = tokio::join!(outage(&mut cluster), async { provider.release() });
    until("accepted submit", LIMIT, async || {
        let answer = api.post("/v1/jobs", &prompt("echo", "again")).await;
        check(answer.status == 202, &answer.text)
    })
    .await;
    stop.cancel();
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for (ids, refusals) in load.join_all().await {
        accepted.extend(ids);
        refused += refusals;
    }
    assert!(refused > 0 && accepted.len() > 20, "{refused} refused, {} accepted", accepted.len());
    for id in &accepted {
        assert_eq!(api.ended(id).await["status"], "completed", "{id}");
    }
    for id in &running {
        let job = api.ended(id).await;
        assert_eq!((job["status"].as_str(), outcomes(&job)), (Some("completed"), vec!["ok"]), "{job}");
    }
    assert_eq!(provider.calls().len(), 10, "an outage shorter than the lease repeats no call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_stops_and_comes_back() {
    survives(async |cluster: &mut Cluster| {
        cluster.nats.stop().await;
        tokio::time::sleep(AWAY).await;
        cluster.nats.resurrect().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_crashes_and_comes_back() {
    survives(async |cluster: &mut Cluster| {
        cluster.nats.kill9();
        tokio::time::sleep(AWAY).await;
        cluster.nats.resurrect().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_freezes_and_goes_on() {
    survives(async |cluster: &mut Cluster| {
        cluster.nats.pause();
        tokio::time::sleep(AWAY).await;
        cluster.nats.resume();
    })
    .await;
}

fn alerted(telegram: &Telegram) -> Plan {
    Cluster::plan().telegram(telegram).set("TELEGRAM__GROUP_WAIT", "200ms")
}

async fn component_becomes(api: &Api, component: &str, state: &str, overall: &str) {
    until(&format!("{component} {state}"), LIMIT, async || {
        let health = api.get("/health/detailed").await;
        let seen = &health.body["components"][component]["status"];
        check(health.status == 200 && seen == state && health.body["status"] == overall, &health.text)
    })
    .await;
}

/// Jobs flow without it, health says so, and operators are told.
async fn is_missed(api: &Api, telegram: &Telegram, component: &str) {
    for _ in 0..20 {
        assert_eq!(api.run(&prompt("echo", "on we go")).await["status"], "completed");
    }
    component_becomes(api, component, "down", "degraded").await;
    assert_eq!(api.get("/health/ready").await.status, 200);
    telegram.says(&["component_down", component], LIMIT).await;
}

async fn is_back(api: &Api, telegram: &Telegram, component: &str) {
    component_becomes(api, component, "up", "healthy").await;
    telegram.says(&["resolved", "component_down", component], LIMIT).await;
    assert_eq!(api.run(&prompt("echo", "back again")).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_flow_without_redis() {
    let telegram = Telegram::start().await;
    let mut cluster = alerted(&telegram).redis().start().await;
    let api = cluster.api();
    component_becomes(&api, "redis", "up", "healthy").await;
    cluster.redis.as_mut().unwrap().stop();
    is_missed(&api, &telegram, "redis").await;
    cluster.redis.as_mut().unwrap().resurrect().await;
    is_back(&api, &telegram, "redis").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_flow_without_postgres() {
    let telegram = Telegram::start().await;
    let mut cluster = alerted(&telegram).postgres().start().await;
    let api = cluster.api();
    component_becomes(&api, "sql", "up", "healthy").await;
    cluster.postgres.as_mut().unwrap().stop().await;
    is_missed(&api, &telegram, "sql").await;
    let history = api.get("/v1/jobs").await.expect(503);
    assert!(!history.header("retry-after").is_empty());
    cluster.postgres.as_mut().unwrap().resurrect().await;
    is_back(&api, &telegram, "sql").await;
    // What ended during the outage enters history once it can.
    until("whole history", LIMIT, async || {
        let page = api.get("/v1/jobs?limit=100").await.body;
        let jobs = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        check(jobs.len() == 21 && jobs.iter().all(|job| job["status"] == "completed"), &page)
    })
    .await;
}
