//! Route, admit, call and what follows, as a worker goes through them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use schemas::catalog::Candidate;
use schemas::error::ErrorCode;
use schemas::timestamp::Timestamp;
use tokio::sync::mpsc;

use super::super::breaker_share::BreakerShare;
use super::super::call::{Answer, CallError};
use super::super::limit::{Held, Limits};
use super::super::registry::Registry;
use super::super::route::{Route, WaitReason};
use super::super::transition::Transition;
use super::super::{Providers, registry};
use super::fake::{Fake, proper, respond};
use super::{asking, call, catalog, config, metrics, words};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

struct Fixture {
    providers: Providers,
    transitions: mpsc::Receiver<Transition>,
}

impl Fixture {
    fn new(file: &str) -> Self {
        let (config, metrics, catalog) = (config(&[]), metrics(), catalog(file));
        let (sender, transitions) = mpsc::channel(100);
        let breakers = BreakerShare::new(config.breaker.clone(), None, Duration::from_secs(1), sender, metrics.clone());
        let limits = Limits::new(&catalog, None, metrics.clone());
        let registry = Registry::new(catalog, &config.worker, &words(), &metrics).unwrap();
        Self { providers: Providers::new(registry, limits, breakers, metrics), transitions }
    }

    fn route(&self, model: &str, now: Timestamp) -> Vec<String> {
        match self.providers.route(model, None, now) {
            Route::Go(candidates) => candidates.iter().map(|found| found.provider.name.clone()).collect(),
            Route::ParkUntil { at, reason } => vec![format!("{} {reason}", at.since(NOW).as_secs())],
            Route::Unknown => Vec::new(),
        }
    }

    /// Asks the best candidate.
    async fn ask(&self, model: &str, now: Timestamp) -> Result<Result<Answer, CallError>, Held> {
        let Route::Go(candidates) = self.providers.route(model, None, now) else { panic!("nobody can be asked") };
        self.ask_of(&candidates[0], now).await
    }

    async fn ask_of(&self, candidate: &Candidate<'_>, now: Timestamp) -> Result<Result<Answer, CallError>, Held> {
        let admitted = self.providers.admit(candidate.clone(), None, Duration::ZERO, now).await?;
        let request = asking("one two three", false);
        Ok(self.providers.call(admitted, &call(&request, candidate), None, || now).await)
    }
}

#[tokio::test]
async fn a_failing_provider_is_left_and_tried_again_by_one_probe() {
    let failures = AtomicU32::new(5);
    let first = Fake::start(move |asked| match failures.load(Ordering::Relaxed) {
        0 => proper(asked, "first"),
        left => {
            failures.store(left - 1, Ordering::Relaxed);
            respond(500, "text/plain", "down")
        }
    })
    .await;
    let second = Fake::start(|asked| proper(asked, "second")).await;
    let file = second.entry("name = \"second\"") + &first.entry("name = \"first\"\npriority = 1");
    let mut fixture = Fixture::new(&file);
    let said = |asked: Result<Result<Answer, CallError>, Held>| asked.unwrap().unwrap().response.message.joined_text();
    assert_eq!(fixture.route("m", NOW), ["first", "second"]);
    for _ in 0..5 {
        assert_eq!(fixture.ask("m", NOW).await.unwrap().unwrap_err().failure.code, ErrorCode::ProviderOverloaded);
    }
    assert_eq!(fixture.route("m", NOW), ["second"]);
    assert_eq!(said(fixture.ask("m", NOW).await), "second");
    let later = NOW.after(Duration::from_secs(60));
    assert_eq!(fixture.route("m", later), ["first", "second"]);
    assert_eq!(said(fixture.ask("m", later).await), "first");
    assert_eq!(fixture.route("m", later), ["first", "second"]);
    let told = std::iter::from_fn(|| fixture.transitions.try_recv().ok()).map(|told| told.phase.word());
    assert_eq!(told.collect::<Vec<_>>(), ["open", "half_open", "closed"]);
    assert_eq!((first.asked().len(), second.asked().len()), (6, 1));
}

#[tokio::test]
async fn a_wrong_request_or_a_refused_key_opens_no_breaker() {
    let fixture = Fixture::new(schemas::catalog_file::DEFAULT);
    for model in ["echo-fail-400", "echo-fail-401", "echo-fail-429"] {
        for _ in 0..10 {
            fixture.ask(model, NOW).await.unwrap().unwrap_err();
        }
        assert_eq!(fixture.route(model, NOW), ["echo"], "{model}");
    }
}

#[tokio::test]
async fn retry_after_holds_the_model_for_every_job() {
    let fixture = Fixture::new(schemas::catalog_file::DEFAULT);
    fixture.ask("echo-retryafter-30s", NOW).await.unwrap().unwrap_err();
    assert_eq!(fixture.route("echo-retryafter-30s", NOW), ["30 rate_limited"]);
    assert_eq!(fixture.route("echo", NOW), ["echo"]);
    assert_eq!(fixture.route("gpt-4o", NOW), [] as [&str; 0]);
}

#[tokio::test]
async fn an_answer_ends_the_pause() {
    let refused = AtomicU32::new(0);
    let fake = Fake::start(move |asked| match refused.fetch_add(1, Ordering::Relaxed) {
        0 => {
            let mut answer = respond(429, "text/plain", "later");
            answer.headers_mut().insert("retry-after", "1754000000".parse().unwrap());
            answer
        }
        _ => proper(asked, "back"),
    })
    .await;
    let fixture = Fixture::new(&fake.entry(""));
    let Route::Go(candidates) = fixture.providers.route("m", None, NOW) else { panic!("unknown") };
    fixture.ask_of(&candidates[0], NOW).await.unwrap().unwrap_err();
    assert_eq!(fixture.route("m", NOW), ["3600 rate_limited"]);
    // It was routed before the refusal, and sent after it.
    let later = NOW.after(Duration::from_secs(1));
    fixture.ask_of(&candidates[0], later).await.unwrap().unwrap();
    assert_eq!(fixture.route("m", later), ["p"]);
}

#[tokio::test]
async fn an_open_breaker_of_the_only_provider_means_wait() {
    let fixture = Fixture::new(schemas::catalog_file::DEFAULT);
    let Route::Go(candidates) = fixture.providers.route("echo-fail-500", None, NOW) else { panic!("unknown") };
    for _ in 0..5 {
        fixture.ask("echo-fail-500", NOW).await.unwrap().unwrap_err();
    }
    assert_eq!(fixture.route("echo-fail-500", NOW), ["60 breaker_open"]);
    // Who routed before it opened is refused at the door.
    let held = fixture.providers.admit(candidates[0].clone(), None, Duration::ZERO, NOW).await.unwrap_err();
    assert_eq!(held, Held { until: NOW.after(Duration::from_secs(60)), reason: WaitReason::BreakerOpen });
}

#[tokio::test]
async fn a_place_is_taken_where_one_is_free() {
    let entry = |name: &str, priority: u32| {
        format!(
            "[[provider]]\nname = \"{name}\"\ndialect = \"echo\"\nmax_concurrency = 1\npriority = {priority}\n\
             [[provider.model]]\nname = \"m\"\n"
        )
    };
    let fixture = Fixture::new(&(entry("a", 1) + &entry("b", 2) + &entry("c", 3)));
    let Route::Go(mut candidates) = fixture.providers.route("m", None, NOW) else { panic!("unknown") };
    let order = |candidates: &[Candidate<'_>]| -> Vec<String> {
        candidates.iter().map(|candidate| candidate.provider.name.clone()).collect()
    };
    let first = fixture.providers.take_place(&mut candidates, NOW).unwrap();
    assert_eq!(order(&candidates), ["a", "b", "c"]);
    let _second = fixture.providers.take_place(&mut candidates, NOW).unwrap();
    assert_eq!(order(&candidates), ["b", "a", "c"]);
    let _third = fixture.providers.take_place(&mut candidates, NOW).unwrap();
    assert_eq!(order(&candidates), ["c", "b", "a"]);
    let wait = fixture.providers.take_place(&mut candidates, NOW).unwrap_err();
    assert!(wait > Duration::ZERO && wait < Duration::from_secs(1), "{wait:?}");
    drop(first);
    assert!(fixture.providers.take_place(&mut candidates, NOW).is_ok());
    assert_eq!(order(&candidates), ["a", "c", "b"]);
}

#[tokio::test]
async fn a_providers_file_is_read_or_its_faults_are_told() {
    let environment = std::collections::BTreeMap::from([("KEY".to_owned(), "k".to_owned())]);
    assert_eq!(registry::load(None, &environment).unwrap().providers.len(), 1);
    let missing = std::path::Path::new("/nowhere/providers.toml");
    let error = registry::load(Some(missing), &environment).unwrap_err();
    assert_eq!(error.to_string(), "the providers file /nowhere/providers.toml cannot be read");
    let here = std::path::Path::new(file!());
    let here = here.strip_prefix("workers").unwrap_or(here);
    assert!(matches!(registry::load(Some(here), &environment), Err(registry::RegistryError::Invalid(_))));
}
