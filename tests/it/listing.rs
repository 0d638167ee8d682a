//! The list of jobs: newest first, by pages, with filters, queued ones included.

use std::time::Duration;

use harness::api::{Api, prompt};
use harness::cluster::{Cluster, KEY_TWO};
use harness::wait::{check, until};
use serde_json::{Value, json};

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
}

/// History follows the log: the list is awaited, not expected at once.
async fn lists(api: &Api, query: &str, wanted: &[String]) -> Value {
    until("list", Duration::from_secs(30), async || {
        let page = api.get(&format!("/v1/jobs{query}")).await.expect(200).body;
        check(ids(&page) == wanted, &page).map(|()| page)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_listed_newest_first() {
    let cluster = Cluster::plan().start().await;
    let api = cluster.api();
    let mut all = Vec::new();
    for number in 0..5 {
        let model = if number % 2 == 0 { "echo" } else { "echo-fail-400" };
        let job = api.run(&prompt(model, "x")).await;
        all.insert(0, job["id"].as_str().unwrap().to_owned());
    }
    let mut later = prompt("echo", "later");
    later["not_before"] = json!(4_000_000_000_u64);
    let too_far = api.post("/v1/jobs", &later).await;
    assert_eq!(too_far.status, 400, "{}", too_far.text);
    later["not_before"] = json!(unix_now() + 3600);
    all.insert(0, api.submit(&later).await);

    let page = lists(&api, "", &all).await;
    assert_eq!((&page["object"], &page["has_more"]), (&json!("list"), &json!(false)));
    assert_eq!(page["data"][0]["status"], "queued");
    lists(&api, "?status=queued", &all[..1]).await;
    lists(&api, "?status=queued&status=failed", &[all[0].clone(), all[2].clone(), all[4].clone()]).await;
    lists(&api, "?model=echo&status=completed", &[all[1].clone(), all[3].clone(), all[5].clone()]).await;
    lists(&cluster.api_of(KEY_TWO), "", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_join_without_gap_or_overlap() {
    let cluster = Cluster::plan().start().await;
    let api = cluster.api();
    let mut all = Vec::new();
    for _ in 0..7 {
        all.insert(0, api.submit(&prompt("echo", "x")).await);
    }
    lists(&api, "", &all).await;
    let mut seen = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let page = api.get(&format!("/v1/jobs{query}")).await.expect(200).body;
        seen.extend(ids(&page));
        // Newer jobs must not shift the pages that follow.
        api.run(&prompt("echo", "newer")).await;
        match page["next_cursor"].as_str().filter(|_| page["has_more"] == true) {
            Some(cursor) => query = format!("?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, all);
    for query in ["?cursor=%21%21", "?limit=0", "?limit=1000", "?status=nonsense"] {
        api.get(&format!("/v1/jobs{query}")).await.expect(400);
    }
}

fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
