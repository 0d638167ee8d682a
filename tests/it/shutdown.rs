//! SIGTERM: finish or park what runs, lose nothing, exit 0.

use std::time::Duration;

use harness::api::{outcomes, prompt};
use harness::cluster::Cluster;
use harness::provider::{Act, Ending, Provider};
use harness::wait::{check, until};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_finishes_its_jobs_before_it_leaves() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    let cluster = Cluster::plan().provider(&provider).set("WORKER__SLOTS", "3").start().await;
    let api = cluster.api();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(api.submit(&prompt("fake", "almost done")).await);
    }
    provider.open(3).await;
    let worker = &cluster.workers[0];
    worker.terminate();
    let ready = format!("{}/health/ready", worker.base());
    until("worker that says it is leaving", LIMIT, async || match reqwest::get(&ready).await {
        Ok(answer) => check(answer.status() == 503, answer.status()),
        Err(error) => check(error.is_connect(), error),
    })
    .await;
    let waiting = api.submit(&prompt("fake", "for the next worker")).await;
    provider.release();
    worker.ends_well(LIMIT).await;
    for id in &ids {
        let job = api.ended(id).await;
        assert_eq!((job["status"].as_str(), outcomes(&job)), (Some("completed"), vec!["ok"]), "{job}");
    }
    assert_eq!(api.job(&waiting).await["status"], "queued", "a leaving worker takes nothing new");
    assert_eq!(provider.calls().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_outlasts_the_grace_goes_to_another_worker() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    let mut cluster = Cluster::plan().provider(&provider).set("SHUTDOWN__GRACE", "1s").start().await;
    let api = cluster.api();
    let id = api.submit(&prompt("fake", "slow")).await;
    provider.open(1).await;
    cluster.workers.remove(0).stop(LIMIT).await;
    provider.open(0).await;
    let job = api.job(&id).await;
    assert_eq!(job["status"], "queued", "parked, not left to its lease: {job}");
    cluster.add_worker().await;
    provider.open(1).await;
    provider.release();
    let job = api.ended(&id).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!((outcomes(&job).len(), outcomes(&job).last()), (2, Some(&"ok")), "{job}");
    let endings: Vec<_> = provider.calls().into_iter().map(|call| call.ending).collect();
    assert_eq!(endings, [Ending::Dropped, Ending::Answered]);
    cluster.stop().await;
}
