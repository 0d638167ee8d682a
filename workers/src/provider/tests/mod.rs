//! The parts together, against real servers and a strict provider.

mod breakers;
mod calls;
mod echo;
mod failures;
mod fake;
mod limits;
mod servers;
mod whole;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use runtime::config::Config;
use runtime::metrics::Metrics;
use schemas::catalog::{Candidate, Catalog};
use schemas::catalog_file;
use schemas::chat::{ChatRequest, Message, Role};
use schemas::id::JobId;
use schemas::timestamp::Timestamp;

use super::call::Call;
use super::echo::{CountTokens, Countable};
use super::metrics::ProviderMetrics;
use super::registry::Registry;

fn config(settings: &[(&str, &str)]) -> Config {
    let environment: BTreeMap<_, _> =
        settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    runtime::config::load(None, &environment).unwrap()
}

fn metrics() -> ProviderMetrics {
    let metrics = Metrics::new().unwrap();
    ProviderMetrics::register(&metrics.registry, &metrics.chat).unwrap()
}

fn catalog(file: &str) -> Catalog {
    catalog_file::parse(file, |_| None).unwrap()
}

fn registry(file: &str, config: &Config) -> Registry {
    Registry::new(catalog(file), &config.worker, &words(), &metrics()).unwrap()
}

/// Counts words, so that a test can count too.
fn words() -> CountTokens {
    Arc::new(|what| {
        let count = |text: &str| text.split_whitespace().count() as u64;
        match what {
            Countable::Text(text) => count(text),
            Countable::Request(request) => request.messages.iter().map(|message| count(&message.joined_text())).sum(),
        }
    })
}

fn best<'a>(catalog: &'a Catalog, model: &str) -> Candidate<'a> {
    catalog.candidates(model).into_iter().next().unwrap()
}

fn asking(text: &str, stream: bool) -> ChatRequest {
    ChatRequest { messages: vec![Message::text(Role::User, text)], stream, ..ChatRequest::default() }
}

fn call<'a>(request: &'a ChatRequest, candidate: &'a Candidate<'_>) -> Call<'a> {
    let job = JobId::new(Timestamp::from_millis(1), 1);
    Call {
        request,
        upstream: &candidate.upstream,
        max_output: candidate.model.max_output,
        job,
        attempt: 1,
        idempotency_key: "key-1".to_owned(),
    }
}

/// Asks until it is so. A test that waits for another process's news has no other way; the limit is only for giving up.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap_or_else(|_| panic!("no sign of {what}"));
}
