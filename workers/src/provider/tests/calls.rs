//! Calls over HTTP that succeed: what is sent, what is read, and what is done with a connection.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use futures::{StreamExt, stream};
use schemas::chat::{FinishReason, Usage};
use schemas::delta::Delta;
use tokio::sync::{mpsc, watch};

use super::fake::{Fake, events, proper, respond, whole};
use super::{asking, best, call, config, registry};

/// `pieces`, then silence on an open connection.
fn endless(pieces: Vec<String>) -> Body {
    let pieces = pieces.into_iter().map(Ok::<_, Infallible>);
    Body::from_stream(stream::iter(pieces).chain(stream::pending()))
}

#[tokio::test]
async fn whole_and_streamed_answers() {
    let fake = Fake::start(|asked| proper(asked, "hello there")).await;
    let registry = registry(&fake.entry(""), &config(&[]));
    let candidate = best(registry.catalog(), "m");
    for stream in [false, true] {
        let (sink, mut deltas) = mpsc::channel(1000);
        let request = asking("one two three", stream);
        let answer = registry.call(&candidate, &call(&request, &candidate), Some(&sink)).await.unwrap();
        assert_eq!(answer.response.message.joined_text(), "hello there");
        assert_eq!(answer.response.finish, FinishReason::Stop);
        let usage = Usage { input_tokens: 1, output_tokens: 2, ..Usage::default() };
        assert_eq!(answer.response.usage, (!stream).then_some(usage));
        assert!(matches!(deltas.try_recv(), Ok(Delta::Start { .. })));
    }
}

#[tokio::test]
async fn pieces_come_while_it_runs_and_dropping_the_call_hangs_up() {
    let hung_up = watch::Sender::new(false);
    let guard = Arc::new(hung_up.clone());
    let fake = Fake::start(move |_| {
        let guard = guard.clone();
        let alive = stream::once(async { Ok(events("hello there")[..2].concat()) }).chain(stream::pending());
        let held = scopeguard(move || {
            guard.send_replace(true);
        });
        respond(
            200,
            "text/event-stream",
            Body::from_stream(alive.map(move |piece: Result<_, Infallible>| {
                let _held = &held;
                piece
            })),
        )
    })
    .await;
    let registry = registry(&fake.entry(""), &config(&[]));
    let candidate = best(registry.catalog(), "m");
    let (sink, mut deltas) = mpsc::channel(1000);
    let request = asking("one two three", true);
    let call = call(&request, &candidate);
    let heard = async { while !matches!(deltas.recv().await, Some(Delta::Text { .. })) {} };
    tokio::select! {
        outcome = registry.call(&candidate, &call, Some(&sink)) => panic!("it has no end: {outcome:?}"),
        () = heard => {}
    }
    // The select dropped the call.
    hung_up.subscribe().wait_for(|hung_up| *hung_up).await.unwrap();
}

/// Calls `end` when dropped.
fn scopeguard<F: Fn()>(end: F) -> impl Drop {
    struct Guard<F: Fn()>(F);
    impl<F: Fn()> Drop for Guard<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    Guard(end)
}

#[tokio::test]
async fn address_headers_and_key_are_as_configured() {
    let fake = Fake::start(|asked| proper(asked, "x")).await;
    let azure = "credential = \"k-e-y\"\ncredential_header = \"api-key\"\nheaders = { x-team = \"blue\" }\n\
                 query = { api-version = \"2024-10-21\" }";
    for more in [azure, "credential = \"k-e-y\"\nquirks = { idempotency_key = true }"] {
        let registry = registry(&fake.entry(more), &config(&[]));
        let candidate = best(registry.catalog(), "m");
        let request = asking("one two three", false);
        registry.call(&candidate, &call(&request, &candidate), None).await.unwrap();
        assert!(!format!("{registry:?}").contains("k-e-y"));
    }
    let asked = fake.asked();
    assert_eq!(asked[0].uri.to_string(), "/v1/chat/completions?api-version=2024-10-21");
    assert_eq!(asked[0].header("api-key"), Some("k-e-y"));
    assert_eq!(asked[0].header("x-team"), Some("blue"));
    assert_eq!(asked[0].header("authorization"), None);
    assert_eq!(asked[0].header("idempotency-key"), None);
    assert_eq!(asked[1].uri.to_string(), "/v1/chat/completions");
    assert_eq!(asked[1].header("authorization"), Some("Bearer k-e-y"));
    assert_eq!(asked[1].header("idempotency-key"), Some("key-1"));
}

#[tokio::test]
async fn a_version_and_a_path_are_data() {
    let fake = Fake::start_at("/openai/deployments/m/chat/completions", |asked| proper(asked, "x")).await;
    let azure = "path = \"/openai/deployments/{model}/chat/completions\"\napi_version = \"2024-10-21\"\n\
                 credential = \"k-e-y\"\ncredential_header = \"api-key\"\nquery = { a = \"b c\" }";
    let registry = registry(&fake.entry(azure), &config(&[]));
    let candidate = best(registry.catalog(), "m");
    let request = asking("one two three", false);
    registry.call(&candidate, &call(&request, &candidate), None).await.unwrap();
    let asked = fake.asked();
    let expected = "/v1/openai/deployments/m/chat/completions?a=b+c&api-version=2024-10-21";
    assert_eq!(asked[0].uri.to_string(), expected);
    assert_eq!(asked[0].header("api-key"), Some("k-e-y"));
}

#[tokio::test]
async fn content_types_and_stream_flags_may_lie() {
    let streamed = events("hello there").concat();
    for (content_type, body) in [
        ("text/html", format!("\n\n {}", whole("hello there"))),
        ("text/event-stream", whole("hello there")),
        ("application/json", streamed.clone()),
        ("text/plain", format!(": a comment first\n\n{streamed}data: [DONE]\n\n")),
    ] {
        let fake = Fake::start(move |_| respond(200, content_type, body.clone())).await;
        let registry = registry(&fake.entry(""), &config(&[]));
        let candidate = best(registry.catalog(), "m");
        for stream in [false, true] {
            let (sink, mut deltas) = mpsc::channel(100);
            let request = asking("one two three", stream);
            let answer = registry.call(&candidate, &call(&request, &candidate), Some(&sink)).await.unwrap();
            assert_eq!(answer.response.message.joined_text(), "hello there", "{content_type}");
            assert!(matches!(deltas.try_recv(), Ok(Delta::Start { .. })));
        }
    }
}

#[tokio::test]
async fn an_answer_in_any_pieces_is_the_same() {
    let text = "h\u{e9}llo \u{1f600} there";
    let fake = Fake::start(move |asked| {
        let body = if asked.body["stream"] == true { events(text).concat() } else { whole(text) };
        let bytes: Vec<_> = body.bytes().map(|byte| Ok::<_, Infallible>(vec![byte])).collect();
        respond(200, "text/plain", Body::from_stream(stream::iter(bytes)))
    })
    .await;
    let registry = registry(&fake.entry(""), &config(&[]));
    let candidate = best(registry.catalog(), "m");
    for stream in [false, true] {
        let request = asking("one two three", stream);
        let answer = registry.call(&candidate, &call(&request, &candidate), None).await.unwrap();
        assert_eq!(answer.response.message.joined_text(), text);
    }
}

#[tokio::test]
async fn silence_behind_a_finished_stream_spoils_nothing() {
    let fake = Fake::start(|_| respond(200, "text/event-stream", endless(events("hello there")))).await;
    let registry = registry(&fake.entry(""), &config(&[("PORTBROKER_WORKER__IDLE_TIMEOUT", "100ms")]));
    let candidate = best(registry.catalog(), "m");
    let request = asking("one two three", true);
    let answer = registry.call(&candidate, &call(&request, &candidate), None).await.unwrap();
    assert_eq!(answer.response.message.joined_text(), "hello there");
}

#[tokio::test]
async fn done_is_not_waited_behind() {
    let done = || endless(events("hello there").into_iter().chain(["data: [DONE]\n\n".to_owned()]).collect());
    let fake = Fake::start(move |_| respond(200, "text/event-stream", done())).await;
    // With the default idle timeout of a minute, only [DONE] can end this.
    let registry = registry(&fake.entry(""), &config(&[]));
    let candidate = best(registry.catalog(), "m");
    let request = asking("one two three", true);
    assert!(registry.call(&candidate, &call(&request, &candidate), None).await.is_ok());
}

#[tokio::test]
async fn a_sink_that_nobody_reads_is_left() {
    let fake = Fake::start(|asked| proper(asked, "hello there")).await;
    let registry = registry(&fake.entry(""), &config(&[]));
    let candidate = best(registry.catalog(), "m");
    let (sink, deltas) = mpsc::channel(1);
    drop(deltas);
    let request = asking("one two three", true);
    assert!(registry.call(&candidate, &call(&request, &candidate), Some(&sink)).await.is_ok());
}
