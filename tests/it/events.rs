//! A job's events: its statuses, its tokens while they are made, its end, and going on where one broke off.

use std::time::Duration;

use harness::api::{output_text, prompt};
use harness::cluster::Cluster;
use harness::provider::{Act, Provider};
use reqwest::Method;
use serde_json::{Value, json};

#[derive(Debug)]
struct Event {
    name: String,
    id: Option<String>,
    data: Value,
}

fn parse(text: &str) -> Vec<Event> {
    let blocks = text.split("\n\n").filter(|block| block.contains("data:"));
    blocks
        .map(|block| {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            Event {
                name: field("event:").unwrap_or("message").to_owned(),
                id: field("id:").map(str::to_owned),
                data: serde_json::from_str(field("data:").unwrap()).unwrap(),
            }
        })
        .collect()
}

fn text_of(events: &[Event]) -> String {
    let deltas = events.iter().filter(|event| event.name == "delta").map(|event| &event.data["delta"]);
    deltas.filter(|delta| delta["type"] == "text").filter_map(|delta| delta["text"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_tell_a_job_to_its_end() {
    let provider = Provider::start("fake").await;
    provider.script("fake", [Act::Trickle(Duration::from_millis(100))]);
    let cluster = Cluster::plan().provider(&provider).start().await;
    let api = cluster.api();
    let mut body = prompt("fake", "one two three four five six seven eight");
    body["stream"] = json!(true);
    let id = api.submit(&body).await;
    let path = format!("/v1/jobs/{id}/events");
    let events = parse(&api.get(&path).await.expect(200).text);
    let last = events.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["status"]), ("done", &json!("completed")), "{events:#?}");
    assert_eq!(output_text(&last.data), "fake: one two three four five six seven eight");
    assert_eq!(text_of(&events), output_text(&last.data));
    let indexes: Vec<_> =
        events.iter().filter(|event| event.name == "delta").map(|event| event.data["index"].as_u64()).collect();
    assert!(indexes.iter().enumerate().all(|(at, index)| *index == Some(at as u64)), "gapless from 0: {indexes:?}");

    let second = events.iter().filter(|event| event.name == "delta").nth(1).unwrap();
    let request = api.request(Method::GET, &path).header("last-event-id", second.id.clone().unwrap());
    let resumed = parse(&api.send(request).await.expect(200).text);
    let missed = text_of(&events).len() - text_of(&resumed).len();
    let seen: Vec<_> =
        resumed.iter().filter(|event| event.name == "delta").map(|event| event.data["index"].as_u64()).collect();
    assert_eq!(seen.first(), Some(&Some(2)), "it goes on after what was seen: {seen:?}");
    assert!(text_of(&events)[missed..] == text_of(&resumed));
    assert_eq!(resumed.last().unwrap().name, "done");
}
