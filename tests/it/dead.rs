//! Jobs that failed for good: read with their whole history, replayed as new jobs, deleted; and what only looks like one.

mod cli;
mod strays;

use harness::api::{Answer, Api, outcomes, output_text, prompt};
use harness::cluster::{Cluster, KEY_ADMIN, KEY_TWO, Plan};
use harness::provider::{Act, Provider};
use harness::wait::{check, until};
use reqwest::Method;
use serde_json::{Value, json};

use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A plan under which the first failed round of a job is its last.
fn impatient() -> Plan {
    Cluster::plan().set("RETRY__MAX_ATTEMPTS", "1").set("BREAKER__FAILURES", "1000")
}

/// A job that ends in DEAD.
async fn dies(api: &Api, body: &Value) -> String {
    let job = api.run(body).await;
    assert_eq!(job["status"], "failed", "{job}");
    job["id"].as_str().unwrap().to_owned()
}

async fn replay(api: &Api, id: &str, changes: &Value) -> Answer {
    api.post(&format!("/v1/dead/{id}/replay"), changes).await
}

async fn delete(api: &Api, id: &str) -> u16 {
    api.send(api.request(Method::DELETE, &format!("/v1/dead/{id}"))).await.status
}

/// The ids on one page.
async fn listed(api: &Api, query: &str) -> Vec<String> {
    let page = api.get(&format!("/v1/dead{query}")).await.expect(200).body;
    page["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_job_has_a_history_and_can_be_replayed() {
    let provider = Provider::start("fake").await;
    provider.script("fake-poison", [Act::Hold]);
    let plan = Cluster::plan().workers(0).short_leases().provider(&provider).set("WORKER__MAX_UNRESOLVED", "2");
    let mut cluster = plan.start().await;
    let api = cluster.api();
    let mut body = prompt("fake-poison", "kills its workers");
    (body["metadata"], body["session"]) = (json!({"team": "blue"}), json!("s-1"));
    let id = api.submit(&body).await;
    for _ in 0..2 {
        cluster.lose_worker(&provider).await;
    }
    cluster.add_worker().await;
    assert_eq!(api.ended(&id).await["error"]["code"], "ambiguous");

    let entry = api.get(&format!("/v1/dead/{id}")).await.expect(200).body;
    assert_eq!((&entry["id"], &entry["object"], &entry["tenant"]), (&json!(id), &json!("dead_job"), &json!("one")));
    assert_eq!((&entry["job"]["status"], &entry["job"]["error"]["code"]), (&json!("failed"), &json!("ambiguous")));
    assert_eq!(outcomes(&entry["job"]), ["ambiguous", "ambiguous"], "{entry}");
    assert!(entry["died_at"].is_string() && entry["replayed_as"] == json!([]), "{entry}");
    assert!(entry["request"].to_string().contains("kills its workers"), "{entry}");

    let answer = replay(&api, &id, &json!({"model": "fake", "lane": "high"})).await.expect(202);
    let child = answer.body["id"].as_str().unwrap().to_owned();
    assert_eq!((&answer.body["parent"], &answer.body["lane"]), (&json!(id), &json!("high")), "{}", answer.text);
    assert_eq!(answer.header("location"), format!("/v1/jobs/{child}"));
    assert_ne!(child, id);
    let job = api.ended(&child).await;
    assert_eq!((&job["status"], &job["parent"], &job["model"]), (&json!("completed"), &json!(id), &json!("fake")));
    assert_eq!((&job["metadata"]["team"], &job["session"]), (&json!("blue"), &json!("s-1")));
    assert_eq!(output_text(&job), "fake: kills its workers");
    let entry = api.get(&format!("/v1/dead/{id}")).await.expect(200).body;
    assert_eq!(entry["replayed_as"], json!([child]), "the entry stays and tells");
    let parent = api.job(&id).await;
    assert_eq!((&parent["status"], parent.get("parent")), (&json!("failed"), None), "{parent}");
    until("the parent in history", LIMIT, async || {
        let page = api.get("/v1/jobs?status=completed").await.expect(200).body;
        check(page["data"][0]["parent"] == json!(id), &page)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_jobs_are_seen_by_their_tenant_and_by_admins() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Refuse(500, None), Act::Answer]);
    let cluster = impatient().provider(&provider).start().await;
    let (api, other, admin) = (cluster.api(), cluster.api_of(KEY_TWO), cluster.api_of(KEY_ADMIN));
    let id = dies(&api, &prompt("fake", "mine")).await;
    for reader in [&api, &admin] {
        assert_eq!(listed(reader, "").await, std::slice::from_ref(&id));
    }
    assert_eq!(listed(&other, "").await, Vec::<String>::new());
    other.get(&format!("/v1/dead/{id}")).await.expect(404);
    replay(&other, &id, &json!({})).await.expect(404);
    assert_eq!(delete(&other, &id).await, 404);

    let child = replay(&admin, &id, &json!({})).await.expect(202).body;
    let job = api.ended(child["id"].as_str().unwrap()).await;
    assert_eq!((&job["status"], &job["parent"]), (&json!("completed"), &json!(id)), "a replay is the tenant's own");

    assert_eq!(delete(&api, &id).await, 204);
    assert_eq!(delete(&api, &id).await, 404);
    api.get(&format!("/v1/dead/{id}")).await.expect(404);
    replay(&api, &id, &json!({})).await.expect(404);
    assert_eq!(listed(&admin, "").await, Vec::<String>::new());
    assert_eq!(api.job(&id).await["status"], "failed", "the job's own record stays");
    until("no dead letters", LIMIT, async || {
        let status = api.get("/health/queue/status").await.expect(200).body;
        check(status["total"]["dead_letters"] == 0, &status)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_replay_is_a_new_job_unless_its_key_says_otherwise() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Refuse(500, None), Act::Answer]);
    let cluster = impatient().provider(&provider).start().await;
    let api = cluster.api();
    let mut body = prompt("fake", "again");
    body["deadline"] = json!(unix_now() + 3600);
    let id = dies(&api, &body).await;
    let keyed = async |changes: &Value| {
        let request = api.request(Method::POST, &format!("/v1/dead/{id}/replay")).header("idempotency-key", "k");
        api.send(request.json(changes)).await
    };
    let (first, second) = (keyed(&json!({})).await.expect(202), keyed(&json!({})).await.expect(202));
    assert_eq!((first.body, second.header("idempotency-replayed")), (second.body.clone(), "true"));
    assert_eq!(keyed(&json!({"lane": "low"})).await.expect(422).body["code"], "conflict");
    // Without a body, as with an empty one.
    let bare = api.send(api.request(Method::POST, &format!("/v1/dead/{id}/replay"))).await.expect(202);
    let mut children = vec![second.body["id"].clone(), bare.body["id"].clone()];
    children.push(replay(&api, &id, &json!({})).await.expect(202).body["id"].clone());
    for child in &children {
        assert_eq!(api.ended(child.as_str().unwrap()).await["status"], "completed");
    }
    let entry = api.get(&format!("/v1/dead/{id}")).await.expect(200).body;
    assert_eq!(entry["replayed_as"], json!(children));
    assert_eq!(provider.calls().len(), 1 + children.len());

    for (changes, param) in [
        (json!({"modle": "fake"}), "modle"),
        (json!({"provider": "nobody"}), "provider"),
        (json!({"model": "nobody-serves-this"}), "model"),
        (json!({"deadline": "2020-01-01T00:00:00Z"}), "deadline"),
    ] {
        let refused = replay(&api, &id, &changes).await;
        assert!(refused.status == 400 || refused.status == 404, "{}", refused.text);
        assert_eq!(refused.body["param"], param, "{}", refused.text);
    }
    replay(&api, "job_00000000000000000000000000", &json!({})).await.expect(404);
}

/// Two providers serve the model: the built-in echo, which fails it, and a second one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_can_be_pinned_to_a_provider() {
    let provider = Provider::start("echo-fail-500").await;
    provider.script("echo-fail-500", [Act::Refuse(500, None), Act::Answer]);
    let cluster = impatient().provider(&provider).start().await;
    let api = cluster.api();
    let id = dies(&api, &prompt("echo-fail-500", "who answers?")).await;
    let asked = |job: &Value| -> Vec<String> {
        let attempts = job["attempts"].as_array().unwrap().iter();
        attempts.map(|attempt| attempt["provider"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(asked(&api.job(&id).await), ["echo", "echo-fail-500"]);
    let pinned = async |name: &str| {
        let child = replay(&api, &id, &json!({"provider": name})).await.expect(202).body;
        api.ended(child["id"].as_str().unwrap()).await
    };
    let answered = pinned("echo-fail-500").await;
    assert_eq!((&answered["status"], asked(&answered)), (&json!("completed"), vec!["echo-fail-500".to_owned()]));
    let failed = pinned("echo").await;
    assert_eq!((&failed["status"], asked(&failed)), (&json!("failed"), vec!["echo".to_owned()]), "{failed}");
    // It is dead in its turn, and what it is replayed as names it.
    let grandchild = replay(&api, failed["id"].as_str().unwrap(), &json!({})).await.expect(202).body;
    assert_eq!(grandchild["parent"], failed["id"]);
    assert_eq!(asked(&api.ended(grandchild["id"].as_str().unwrap()).await), ["echo", "echo-fail-500"], "not inherited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_jobs_are_listed_oldest_first_by_pages() {
    let provider = Provider::start("fake").await;
    for model in ["fake", "fake-other"] {
        provider.script(model, [Act::Refuse(500, None)]);
    }
    let cluster = impatient().provider(&provider).start().await;
    let api = cluster.api();
    let mut all = Vec::new();
    for number in 0..7 {
        let mut body = prompt(if number % 2 == 0 { "fake" } else { "fake-other" }, "x");
        body["lane"] = json!(if number < 2 { "low" } else { "normal" });
        all.push(dies(&api, &body).await);
    }
    assert_eq!(listed(&api, "").await, all);
    assert_eq!(listed(&api, "?lane=low").await, all[..2]);
    let others = [1, 3, 5].map(|number| all[number].clone());
    assert_eq!(listed(&api, "?model=fake-other").await, others);
    assert_eq!(listed(&api, "?model=fake-other&lane=normal").await, others[1..]);
    assert_eq!(listed(&api, "?lane=high").await, Vec::<String>::new());

    for filter in ["", "&model=fake"] {
        let (mut seen, mut query) = (Vec::new(), format!("?limit=2{filter}"));
        loop {
            let page = api.get(&format!("/v1/dead{query}")).await.expect(200).body;
            let data = page["data"].as_array().unwrap();
            assert!(data.len() <= 2, "{page}");
            seen.extend(data.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str().filter(|_| page["has_more"] == true) {
                Some(cursor) => query = format!("?limit=2{filter}&after={cursor}"),
                None => break,
            }
        }
        let step = if filter.is_empty() { 1 } else { 2 };
        assert_eq!(seen, all.iter().step_by(step).cloned().collect::<Vec<_>>(), "{filter}");
    }
    // A deleted entry moves no page.
    let page = api.get("/v1/dead?limit=2").await.expect(200).body;
    assert_eq!(delete(&api, &all[1]).await, 204);
    let rest = format!("?after={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(listed(&api, &rest).await, all[2..]);
    for query in ["?after=%21%21", "?limit=0", "?limit=101", "?lane=fast", "?cursor=x"] {
        api.get(&format!("/v1/dead{query}")).await.expect(400);
    }
}

fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
