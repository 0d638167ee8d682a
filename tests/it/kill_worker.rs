//! A worker dies with its jobs running: another finishes each, and the ledger says what nobody can know.

use harness::api::{JOB_LIMIT, outcomes, output_text, prompt};
use harness::cluster::Cluster;
use harness::provider::{Act, Ending, Provider};
use harness::wait::{check, until};
use serde_json::json;

const JOBS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_worker_finishes_what_a_killed_one_held() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    let mut cluster = Cluster::plan().short_leases().provider(&provider).start().await;
    let api = cluster.api();
    let mut ids = Vec::new();
    for number in 0..JOBS {
        ids.push(api.submit(&prompt("fake", &format!("job number {number}"))).await);
    }
    let mut once = prompt("fake", "at most once");
    once["on_ambiguous"] = json!("fail");
    let once = api.submit(&once).await;
    provider.open(JOBS + 1).await;
    for id in &ids {
        assert_eq!(api.job(id).await["status"], "running");
    }

    cluster.workers.remove(0).kill9();
    provider.open(0).await;
    cluster.add_worker().await;
    provider.release();
    for (number, id) in ids.iter().enumerate() {
        let job = api.ended(id).await;
        assert_eq!(job["status"], "completed", "{job}");
        assert_eq!(outcomes(&job), ["ambiguous", "ok"], "{job}");
        assert_eq!(output_text(&job), format!("fake: job number {number}"));
    }
    let failed = api.ended(&once).await;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("ambiguous")), "{failed}");
    assert_eq!(outcomes(&failed), ["ambiguous"]);

    let calls = provider.calls();
    let ended = |ending: Ending| calls.iter().filter(|call| call.ending == ending).count();
    assert_eq!((calls.len(), ended(Ending::Dropped), ended(Ending::Answered)), (2 * JOBS + 1, JOBS + 1, JOBS));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_kills_its_workers_is_laid_aside() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Hold]);
    let plan = Cluster::plan().workers(0).short_leases().provider(&provider).set("WORKER__MAX_UNRESOLVED", "2");
    let mut cluster = plan.start().await;
    let api = cluster.api();
    let id = api.submit(&prompt("fake", "poison")).await;
    for _ in 0..2 {
        cluster.lose_worker(&provider).await;
    }
    cluster.add_worker().await;
    let job = api.ended(&id).await;
    assert_eq!(job["status"], "failed", "{job}");
    assert_eq!(outcomes(&job), ["ambiguous", "ambiguous"], "{job}");
    assert_eq!(provider.calls().len(), 2);
    until("a dead letter", JOB_LIMIT, async || {
        let status = api.get("/health/queue/status").await.expect(200).body;
        check(status["total"]["dead_letters"] == 1, &status)
    })
    .await;
}
