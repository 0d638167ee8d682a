//! Echo by itself: every path that a model's name can ask for, in paused time.

use std::time::Duration;

use schemas::catalog_file;
use schemas::chat::{ChatRequest, ChatResponse, FinishReason, Tool, ToolChoice, Usage};
use schemas::delta::{Assembly, Delta};
use schemas::dialect::classify::Class;
use schemas::error::ErrorCode;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::call::{Answer, CallError};
use super::{asking, best, call, config, registry};

async fn ask(model: &str, request: &ChatRequest, attempt: u32) -> (Result<Answer, CallError>, Vec<Delta>) {
    let registry = registry(catalog_file::DEFAULT, &config(&[]));
    let candidate = best(registry.catalog(), model);
    let (sink, mut deltas) = mpsc::channel(1000);
    let mut call = call(request, &candidate);
    call.attempt = attempt;
    let outcome = registry.call(&candidate, &call, Some(&sink)).await;
    drop(sink);
    let mut heard = Vec::new();
    while let Some(delta) = deltas.recv().await {
        heard.push(delta);
    }
    (outcome, heard)
}

async fn answer(model: &str, request: &ChatRequest) -> ChatResponse {
    ask(model, request, 1).await.0.unwrap().response
}

async fn error(model: &str) -> CallError {
    ask(model, &asking("one two three four", true), 1).await.0.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn it_says_the_prompt_again_word_by_word_with_true_usage() {
    let request = asking("one two three", true);
    let (outcome, deltas) = ask("echo", &request, 1).await;
    let response = outcome.unwrap().response;
    assert_eq!(response.message.joined_text(), "one two three");
    assert_eq!(response.finish, FinishReason::Stop);
    assert_eq!(response.usage, Some(Usage { input_tokens: 3, output_tokens: 3, ..Usage::default() }));
    assert_eq!(deltas.iter().filter(|delta| matches!(delta, Delta::Text { .. })).count(), 3);
    let mut assembly = Assembly::default();
    deltas.iter().for_each(|delta| assembly.push(delta));
    assert_eq!(assembly.into_response(), Some(response));
}

#[tokio::test(start_paused = true)]
async fn slow_and_stream_take_the_time_that_they_are_told() {
    let started = Instant::now();
    answer("echo-slow-500ms-stream-20ms", &asking("one two three", true)).await;
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(560) && took < Duration::from_millis(600), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn told_to_fail_it_fails_as_a_provider_would() {
    for (model, code, class) in [
        ("echo-fail-500", ErrorCode::ProviderOverloaded, Class::Retry { after: None }),
        ("echo-fail-429", ErrorCode::ProviderRateLimited, Class::Retry { after: None }),
        ("echo-fail-401", ErrorCode::ProviderAuth, Class::Failover),
        ("echo-fail-400", ErrorCode::ProviderRejected, Class::Fatal),
        ("echo-fail-504", ErrorCode::ProviderTimeout, Class::Retry { after: None }),
    ] {
        let error = error(model).await;
        assert_eq!((error.failure.code, error.class), (code, class), "{model}");
        assert!(error.sent && !error.emitted, "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn told_to_ask_for_patience_it_answers_the_second_attempt() {
    let after = Some(Duration::from_secs(30));
    assert_eq!(error("echo-retryafter-30s").await.class, Class::Retry { after });
    assert!(ask("echo-retryafter-30s", &asking("x", false), 2).await.0.is_ok());
    assert!(ask("echo-fail-429-retryafter-30s", &asking("x", false), 2).await.0.is_err());
}

#[tokio::test(start_paused = true)]
async fn flaky_fails_the_same_attempts_every_time_and_about_as_many_as_told() {
    let request = asking("x", false);
    let mut failed = Vec::new();
    for attempt in 0..200 {
        failed.push(ask("echo-flaky-50", &request, attempt).await.0.is_err());
    }
    let count = failed.iter().filter(|failed| **failed).count();
    assert!((60..140).contains(&count), "{count}");
    for (attempt, failed) in failed.iter().enumerate().take(20) {
        assert_eq!(ask("echo-flaky-50", &request, attempt as u32).await.0.is_err(), *failed);
    }
    assert!(ask("echo-flaky-0", &request, 1).await.0.is_ok());
    assert!(ask("echo-flaky-100", &request, 1).await.0.is_err());
}

#[tokio::test(start_paused = true)]
async fn dying_in_the_middle_is_no_answer() {
    let (outcome, deltas) = ask("echo-die", &asking("one two three four", true), 1).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.failure.code, ErrorCode::ProviderInvalidResponse);
    assert!(error.emitted);
    assert!(matches!(deltas.last(), Some(Delta::Text { text }) if text == "two "), "{deltas:?}");
}

#[tokio::test(start_paused = true)]
async fn hanging_ends_by_the_call_timeout() {
    let started = Instant::now();
    let error = error("echo-hang").await;
    assert_eq!(error.failure.code, ErrorCode::ProviderTimeout);
    assert!(error.sent && !error.emitted);
    assert!(started.elapsed() >= config(&[]).worker.call_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_length_limit_cuts_it() {
    let response = answer("echo-length", &asking("one two three four", false)).await;
    assert_eq!((response.message.joined_text().as_str(), response.finish), ("one two ", FinishReason::Length));
    let mut request = asking("one two three four", false);
    request.sampling.max_tokens = Some(3);
    let response = answer("echo", &request).await;
    assert_eq!((response.message.joined_text().as_str(), response.finish), ("one two three ", FinishReason::Length));
    assert_eq!(response.usage.unwrap().output_tokens, 3);
    request.sampling.max_tokens = Some(4);
    assert_eq!(answer("echo", &request).await.finish, FinishReason::Stop);
}

#[tokio::test(start_paused = true)]
async fn a_forced_tool_is_called() {
    let mut request = asking("Oslo", true);
    request.tools = vec![Tool { name: "weather".to_owned(), ..Tool::default() }];
    request.tool_choice = Some(ToolChoice::Required);
    let response = answer("echo", &request).await;
    assert_eq!(response.finish, FinishReason::ToolCalls);
    assert_eq!(response, answer("echo", &request).await);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_word_is_the_clients_error() {
    let error = error("echo-loud").await;
    assert_eq!((error.failure.code, error.class), (ErrorCode::ProviderRejected, Class::Fatal));
    assert!(!error.sent && error.failure.message.contains("\"loud\""), "{error}");
}
