//! DEAD against STATE: entries of jobs that have not ended, or ended otherwise; and true ones that outlive record and body.

use async_nats::jetstream;
use broker::DeadJob;
use harness::api::{Api, output_text, prompt};
use harness::cluster::Cluster;
use harness::provider::{Act, Provider};
use harness::wait::{check, until};
use schemas::job::{ContextOptions, Job, Payload};
use schemas::state::{JobResult, JobState};
use schemas::{envelope, subject};
use serde_json::json;

use super::{LIMIT, delete, dies, impatient, listed, replay};

async fn messages(cluster: &Cluster, stream: &str) -> u64 {
    let context = jetstream::new(cluster.nats.client().await);
    context.get_stream(stream).await.unwrap().get_info().await.unwrap().state.messages
}

/// Puts an entry into DEAD for a job whose end says something else, as a worker does that is too late.
async fn lay_aside(cluster: &Cluster, id: &str) {
    let client = cluster.nats.client().await;
    let context = jetstream::new(client);
    let stream = context.get_stream(subject::STATE).await.unwrap();
    let id = id.parse().unwrap();
    let record = stream.get_last_raw_message_by_subject(&subject::state(id)).await.unwrap();
    let state: JobState = envelope::decode(&record.payload).unwrap();
    let (context_options, request) = (ContextOptions::default(), Payload::Inline(Box::default()));
    let job =
        Job { id, head: state.head.clone(), context: context_options, request, warnings: Vec::new(), surface: None };
    let subject = subject::dead(job.head.lane, &job.head.tenant, id);
    let result = JobResult { dead: true, ..JobResult::default() };
    let entry = envelope::encode(&DeadJob { job, state, result }).unwrap();
    context.publish(subject, entry).await.unwrap().await.unwrap();
}

async fn is_hidden(api: &Api, id: &str) {
    api.get(&format!("/v1/dead/{id}")).await.expect(404);
    replay(api, id, &json!({})).await.expect(404);
    assert_eq!(listed(api, "").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_counts_only_if_its_job_ended_there() {
    let provider = Provider::start("fake").await;
    provider.script("fake-held", [Act::Hold]);
    let cluster = Cluster::plan().provider(&provider).start().await;
    let api = cluster.api();
    let running = api.submit(&prompt("fake-held", "not ended")).await;
    provider.open(1).await;
    lay_aside(&cluster, &running).await;
    is_hidden(&api, &running).await;
    assert_eq!(delete(&api, &running).await, 404);
    assert_eq!(messages(&cluster, subject::DEAD).await, 1, "its end may be on its way: it must not lose its entry");

    provider.release();
    assert_eq!(api.ended(&running).await["status"], "completed");
    is_hidden(&api, &running).await;
    assert_eq!(messages(&cluster, subject::DEAD).await, 0, "whoever sees a stray entry purges it");

    // A page meets a stray one among others, and goes on.
    let done = api.run(&prompt("echo", "x")).await["id"].as_str().unwrap().to_owned();
    lay_aside(&cluster, &done).await;
    let dead = dies(&api, &prompt("echo-fail-401", "x")).await;
    assert_eq!(listed(&api, "").await, [dead]);
    assert_eq!(messages(&cluster, subject::DEAD).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_job_outlives_its_record_and_its_body() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Refuse(500, None), Act::Answer]);
    // Anything larger goes through the object store.
    let plan = impatient().short_retention().set("INGRESS__INLINE_MAX_BYTES", "4096");
    let cluster = plan.provider(&provider).start().await;
    let api = cluster.api();
    let text = "a long story ".repeat(2000);
    let id = dies(&api, &prompt("fake", &text)).await;
    // An entry that a completed job left behind is told by history, once STATE has forgotten how it ended.
    let stray = api.run(&prompt("echo", "x")).await["id"].as_str().unwrap().to_owned();
    until("the stray job in history", LIMIT, async || {
        let page = api.get("/v1/jobs?status=completed").await.expect(200).body;
        check(page["data"][0]["id"] == json!(stray), &page)
    })
    .await;
    lay_aside(&cluster, &stray).await;
    assert!(messages(&cluster, "OBJ_BODIES").await > 0, "the request went through the object store");
    until("the end of record and body", LIMIT, async || {
        let (records, bodies) = (messages(&cluster, subject::STATE).await, messages(&cluster, "OBJ_BODIES").await);
        check(records == 0 && bodies == 0, format!("{records} records, {bodies} pieces of bodies"))
    })
    .await;

    assert_eq!(api.get(&format!("/v1/jobs/{id}")).await.expect(410).body["status"], "failed");
    assert_eq!(listed(&api, "").await, std::slice::from_ref(&id));
    assert_eq!(messages(&cluster, subject::DEAD).await, 1, "the stray entry is purged");
    let entry = api.get(&format!("/v1/dead/{id}")).await.expect(200).body;
    assert_eq!((&entry["job"]["status"], &entry["job"]["id"]), (&json!("failed"), &json!(id)), "{entry}");
    assert_eq!(entry["job"]["attempts"].as_array().map(Vec::len), Some(1), "{entry}");
    assert!(entry["request"].to_string().contains(text.trim_end()));
    let child = replay(&api, &id, &json!({})).await.expect(202).body;
    let job = api.ended(child["id"].as_str().unwrap()).await;
    assert_eq!(
        (&job["status"], output_text(&job).trim_end()),
        (&json!("completed"), format!("fake: {text}").trim_end())
    );

    assert_eq!(delete(&api, &id).await, 204);
    let left = messages(&cluster, "OBJ_DEAD_BODIES").await;
    assert!(left <= 1, "nothing but the note that it was deleted: {left} messages");
    assert_eq!(messages(&cluster, subject::DEAD).await, 0, "the notes of its replays go with it");
}
