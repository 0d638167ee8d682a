//! Calls over HTTP that fail: each failure by its kind, and no secret in any of their texts.

use std::convert::Infallible;
use std::io::Error;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures::{StreamExt, stream};
use schemas::dialect::classify::Class;
use schemas::error::ErrorCode as E;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::call::CallError;
use super::fake::{Fake, KEY, entry, events, respond, whole};
use super::{asking, best, call, config, registry};

const RETRY: Class = Class::Retry { after: None };

async fn fail(file: &str, stream: bool, settings: &[(&str, &str)]) -> CallError {
    let registry = registry(file, &config(settings));
    let candidate = best(registry.catalog(), "m");
    let request = asking("one two three", stream);
    registry.call(&candidate, &call(&request, &candidate), None).await.unwrap_err()
}

fn refuse(status: u16, after: Option<&str>) -> Response {
    let body = json!({ "error": { "message": "no", "type": "some_error", "param": null, "code": null } });
    let mut response = respond(status, "application/json", body.to_string());
    if let Some(after) = after {
        response.headers_mut().insert("retry-after", after.parse().unwrap());
    }
    response
}

#[tokio::test]
async fn every_refusal_has_its_kind() {
    let after = Class::Retry { after: Some(Duration::from_secs(30)) };
    for (status, header, expected) in [
        (429, Some("30"), (E::ProviderRateLimited, after)),
        (429, None, (E::ProviderRateLimited, RETRY)),
        (500, None, (E::ProviderOverloaded, RETRY)),
        (503, Some("30"), (E::ProviderOverloaded, after)),
        (408, None, (E::ProviderTimeout, RETRY)),
        (401, None, (E::ProviderAuth, Class::Failover)),
        (403, None, (E::ProviderAuth, Class::Failover)),
        (404, None, (E::ProviderRejected, Class::Failover)),
        (400, None, (E::ProviderRejected, Class::Fatal)),
        (422, None, (E::ProviderRejected, Class::Fatal)),
    ] {
        let fake = Fake::start(move |_| refuse(status, header)).await;
        for stream in [false, true] {
            let error = fail(&fake.entry(""), stream, &[]).await;
            assert_eq!((error.failure.code, error.class), expected, "{status}: {error}");
            assert_eq!((error.sent, error.emitted), (true, false), "{status}");
        }
    }
}

type Misbehaviour = (&'static str, bool, fn() -> Response, (E, Class), bool);

const INVALID: (E, Class) = (E::ProviderInvalidResponse, RETRY);

/// Reads up to the body's end: closing a connection with unread bytes would be another failure.
async fn whole_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
    }
}

fn half() -> Vec<Result<String, Error>> {
    vec![Ok(events("hello there")[..2].concat())]
}

const MISBEHAVIOURS: [Misbehaviour; 8] = [
    ("a web page", false, || respond(200, "text/html", "<html>hello</html>"), INVALID, false),
    ("a web page", true, || respond(200, "text/html", "<html>hello</html>"), INVALID, false),
    ("nothing", false, || respond(200, "application/json", ""), INVALID, false),
    ("half a document", false, || respond(200, "application/json", whole("x")[..99].to_owned()), INVALID, false),
    ("too much", false, || respond(200, "application/json", whole(&"x".repeat(200_000))), INVALID, false),
    ("too much", true, || respond(200, "text/plain", events(&"x ".repeat(9_000)).concat()), INVALID, true),
    ("no finish", true, || respond(200, "text/event-stream", events("hello there")[..2].concat()), INVALID, true),
    (
        "silence",
        true,
        || respond(200, "text/event-stream", Body::from_stream(stream::iter(half()).chain(stream::pending()))),
        (E::ProviderTimeout, RETRY),
        true,
    ),
];

#[tokio::test]
async fn every_broken_answer_has_its_kind() {
    let settings = [("PORTBROKER_WORKER__IDLE_TIMEOUT", "200ms"), ("PORTBROKER_WORKER__MAX_ANSWER_BYTES", "100000")];
    for (told, streamed, answer, expected, emitted) in MISBEHAVIOURS {
        let fake = Fake::start(move |_| answer()).await;
        let error = fail(&fake.entry(""), streamed, &settings).await;
        assert_eq!((error.failure.code, error.class), expected, "{told}: {error}");
        assert_eq!((error.sent, error.emitted), (true, emitted), "{told}");
        assert_eq!(error.failure.message.starts_with("truncated: "), told == "too much", "{told}: {error}");
    }
}

#[tokio::test]
async fn an_answer_cut_in_its_middle_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let pieces = [(true, events("hello there")[..2].concat()), (false, whole("x")[..50].to_owned())];
    for (streamed, piece) in pieces {
        let cut = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            whole_request(&mut stream).await;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{piece}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let file = entry(&address, "");
        let (error, ()) = tokio::join!(fail(&file, streamed, &[]), cut);
        assert_eq!((error.failure.code, error.class), INVALID, "{error}");
        assert_eq!((error.sent, error.emitted), (true, streamed));
    }
}

#[tokio::test]
async fn an_error_within_a_stream_is_that_error_and_its_usage_is_kept() {
    let usage = json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8 } });
    let error =
        json!({ "error": { "message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded" } });
    let body = format!("{}data: {usage}\n\ndata: {error}\n\n", events("hello there")[..2].concat());
    let fake = Fake::start(move |_| respond(200, "text/event-stream", body.clone())).await;
    let error = fail(&fake.entry(""), true, &[]).await;
    assert_eq!((error.failure.code, error.class), (E::ProviderRateLimited, RETRY));
    assert_eq!(error.usage.map(|usage| usage.input_tokens), Some(7));
}

#[tokio::test]
async fn a_provider_that_tells_our_key_does_not_tell_it_to_clients() {
    let body = json!({ "error": { "message": format!("Incorrect API key provided: {KEY}.") } }).to_string();
    let fake = Fake::start(move |_| respond(401, "application/json", body.clone())).await;
    // A key that no pattern would recognise is known all the same.
    for key in [KEY, "Incorrect"] {
        let error = fail(&fake.entry(&format!("credential = \"{key}\"")), false, &[]).await;
        assert_eq!(error.failure.code, E::ProviderAuth);
        assert!(!format!("{error} {error:?}").contains(key), "{error:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_was_certainly_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = fail(&entry(&address, "credential = \"k-e-y\"\nquery = { code = \"hidden\" }"), false, &[]).await;
    assert_eq!((error.failure.code, error.class, error.sent), (E::ProviderOverloaded, RETRY, false));
    let text = format!("{error} {error:?}");
    assert!(!text.contains("k-e-y") && !text.contains("hidden"), "{text}");
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_may_have_been_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let close = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        whole_request(&mut stream).await;
    };
    let file = entry(&address, "");
    let (error, ()) = tokio::join!(fail(&file, false, &[]), close);
    assert_eq!((error.failure.code, error.class, error.sent), (E::ProviderOverloaded, RETRY, true));
}

#[tokio::test]
async fn silence_ends_by_the_call_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let settings = [("PORTBROKER_WORKER__CALL_TIMEOUT", "200ms"), ("PORTBROKER_WORKER__IDLE_TIMEOUT", "200ms")];
    let error = fail(&entry(&address, ""), false, &settings).await;
    assert_eq!((error.failure.code, error.class, error.sent), (E::ProviderTimeout, RETRY, true));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let fake = Fake::start(|asked| {
        let mut response = respond(307, "text/plain", "moved");
        response.headers_mut().insert("location", asked.uri.to_string().parse().unwrap());
        response
    })
    .await;
    let error = fail(&fake.entry(""), false, &[]).await;
    assert_eq!((error.failure.code, error.class), (E::ProviderInvalidResponse, Class::Failover));
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn an_error_answer_without_end_is_read_in_part() {
    let fake = Fake::start(|_| {
        let pieces = stream::repeat_with(|| Ok::<_, Infallible>("x".repeat(10_000)));
        respond(500, "text/plain", Body::from_stream(pieces))
    })
    .await;
    let error = fail(&fake.entry(""), false, &[]).await;
    assert_eq!((error.failure.code, error.class), (E::ProviderOverloaded, RETRY));
    assert!(error.failure.message.len() < 1000);
}
