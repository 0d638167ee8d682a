//! The janitor purges lanes below the ack floor. However often it does, and whoever dies meanwhile, it never takes a job
//! that is not done.

use std::time::Duration;

use async_nats::jetstream;
use harness::api::{Api, JOB_LIMIT, prompt};
use harness::cluster::Cluster;
use harness::wait::{check, until};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 4;
const LANES: [&str; 3] = ["high", "normal", "low"];

/// Submits quick and slow jobs to every lane until told to stop, so that floors move past some while others run; answers
/// the ids that were accepted.
async fn submit_until(api: Api, stop: CancellationToken) -> Vec<String> {
    let mut accepted = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(40));
    while !stop.is_cancelled() {
        pace.tick().await;
        let number = accepted.len();
        let mut body = prompt(if number % 5 == 0 { "echo-slow-800ms" } else { "echo-slow-20ms" }, "keep me");
        body["lane"] = LANES[number % LANES.len()].into();
        let answer = api.post("/v1/jobs", &body).await;
        if answer.status == 202 {
            accepted.push(answer.body["id"].as_str().unwrap().to_owned());
        }
    }
    accepted
}

/// Messages in all lanes.
async fn waiting(cluster: &Cluster) -> u64 {
    let context = jetstream::new(cluster.nats.client().await);
    let mut sum = 0;
    for stream in ["JOBS_HIGH", "JOBS_NORMAL", "JOBS_LOW"] {
        sum += context.get_stream(stream).await.unwrap().get_info().await.unwrap().state.messages;
    }
    sum
}

async fn some_end(api: &Api) {
    until("jobs that end", JOB_LIMIT, async || {
        let answer = api.get("/health/queue/status").await;
        check(answer.status == 200 && answer.body["completions_per_second"].as_f64() > Some(0.0), &answer.text)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_never_takes_work_that_is_not_done() {
    let plan = Cluster::plan().workers(2).short_leases().set("WORKER__MAX_UNRESOLVED", "100");
    let mut cluster = plan.set("STREAMS__PURGE_INTERVAL", "5ms").start().await;
    let api = cluster.api();
    let stop = CancellationToken::new();
    let mut load = JoinSet::new();
    for _ in 0..2 {
        load.spawn(submit_until(api.clone(), stop.clone()));
    }
    for _ in 0..ROUNDS {
        some_end(&api).await;
        cluster.workers.remove(0).kill9();
        some_end(&api).await;
        cluster.nats.kill9();
        cluster.nats.resurrect().await;
        cluster.add_worker().await;
    }
    some_end(&api).await;
    stop.cancel();
    let accepted: Vec<String> = load.join_all().await.concat();
    assert!(accepted.len() > 50, "{} jobs flowed", accepted.len());
    for id in &accepted {
        assert_eq!(api.ended(id).await["status"], "completed", "{id}");
    }
    until("empty lanes", JOB_LIMIT, async || {
        let left = waiting(&cluster).await;
        check(left == 0, format!("{left} messages are left"))
    })
    .await;
}
