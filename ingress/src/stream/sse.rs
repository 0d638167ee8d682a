//! Server-sent events: how one is written, and how a stream of them is sent. The client's reading sets the pace.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use tokio::time::timeout;

const KEEPALIVE: &[u8] = b": keepalive\n\n";
/// Asks proxies that buffer (nginx) not to.
const NO_BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// One event: its name, its id where a client can go on from it, and JSON, which never holds a bare line end.
pub(crate) fn event(name: &str, id: Option<&str>, data: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Ok(format!("event: {name}\n{id}data: {}\n\n", serde_json::to_string(data)?).into())
}

/// An answer of events. A comment goes out whenever nothing else did for `keepalive`.
pub(crate) fn response(events: impl Stream<Item = Bytes> + Send + 'static, keepalive: Duration) -> Response {
    let body = kept_alive(events.boxed(), keepalive).map(Ok::<_, Infallible>);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        NO_BUFFERING,
    ];
    (headers, Body::from_stream(body)).into_response()
}

fn kept_alive(events: BoxStream<'static, Bytes>, keepalive: Duration) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::unfold(events, move |mut events| async move {
        match timeout(keepalive, events.next()).await {
            Ok(event) => event.map(|event| (event, events)),
            Err(_) => Some((Bytes::from_static(KEEPALIVE), events)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use serde_json::json;

    #[test]
    fn an_event_is_one_block_of_lines() {
        let event = event("delta", Some("1.7"), &json!({"text": "a\nb"})).unwrap();
        assert_eq!(event, "event: delta\nid: 1.7\ndata: {\"text\":\"a\\nb\"}\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_filled_with_comments() {
        let events = stream::unfold(0, |count| async move {
            tokio::time::sleep(Duration::from_secs(25)).await;
            (count < 2).then(|| (Bytes::from_static(b"data: 1\n\n"), count + 1))
        });
        let answer = response(events, Duration::from_secs(10));
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream; charset=utf-8");
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        let silence = ": keepalive\n\n: keepalive\n\n";
        assert_eq!(text, format!("{silence}data: 1\n\n{silence}data: 1\n\n{silence}"));
    }
}
