//! What PortBroker adds to a streamed chat call: the same calls at the same rate, straight to the provider and through
//! the gateway, in turns, so that both meet the same machine.

use std::time::{Duration, Instant};

use futures::StreamExt;
use harness::api::Api;
use harness::cluster::Cluster;
use harness::provider::Provider;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::interval;

/// Milliseconds from sending a call.
struct Times {
    first: f64,
    whole: f64,
}

/// The times of all calls of one way.
pub(crate) struct Way {
    /// To the first token.
    pub(crate) first: Vec<f64>,
    /// To the end of the stream.
    pub(crate) whole: Vec<f64>,
}

/// Calls at `rate` a second for `span`, every other one through the gateway: straight, and through.
pub(crate) async fn both(cluster: &Cluster, provider: &Provider, rate: f64, span: Duration) -> [Way; 2] {
    let ways = [Api::new(&provider.base(), provider.credential()), cluster.api()];
    let mut ticks = interval(Duration::from_secs_f64(0.5 / rate));
    let (started, mut calls) = (Instant::now(), JoinSet::new());
    for turn in (0..2).cycle() {
        ticks.tick().await;
        if started.elapsed() > span {
            break;
        }
        let (api, model) = (ways[turn].clone(), provider.name().to_owned());
        calls.spawn(async move { (turn, call(&api, &model).await) });
    }
    let mut found = [(); 2].map(|()| Way { first: Vec::new(), whole: Vec::new() });
    for (turn, times) in calls.join_all().await {
        found[turn].first.push(times.first);
        found[turn].whole.push(times.whole);
    }
    for way in &mut found {
        way.first.sort_by(f64::total_cmp);
        way.whole.sort_by(f64::total_cmp);
    }
    found
}

/// The value that this share of the sorted `times` does not exceed.
pub(crate) fn quantile(times: &[f64], share: f64) -> f64 {
    times.get((times.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

async fn call(api: &Api, model: &str) -> Times {
    let body = json!({
        "model": model, "stream": true,
        "messages": [{"role": "user", "content": "How long does this take on the way?"}],
    });
    let (started, mut first) = (Instant::now(), None);
    let request = api.request(reqwest::Method::POST, "/v1/chat/completions").json(&body);
    let response = request.send().await.expect("the server answers");
    assert_eq!(response.status(), 200);
    let (mut bytes, mut text) = (response.bytes_stream(), Vec::new());
    while let Some(piece) = bytes.next().await {
        text.extend_from_slice(&piece.expect("the stream is whole"));
        if first.is_none() && has_content(&text) {
            first = Some(millis(started));
        }
    }
    Times { first: first.expect("there was a token"), whole: millis(started) }
}

fn has_content(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let chunks = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut chunks = chunks.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks.any(|chunk| chunk["choices"][0]["delta"]["content"].as_str().is_some_and(|text| !text.is_empty()))
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
