//! Refusals reach clients that write their whole body before they read: what a handler left unread of a refused
//! request is read and thrown away, within bounds, before the answer goes out. Without this the connection is reset.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::app::App;

/// Bodies of up to this many times the allowed size are read to their end; what sends more is cut off.
const PATIENCE: usize = 4;

/// Reads what a refused request has not sent yet.
pub(crate) async fn linger(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // Such a client holds its body back until it is asked for it, and takes the refusal first.
    if request.headers().contains_key(header::EXPECT) || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (give_back, mut returned) = oneshot::channel();
    let request = request.map(|inner| Body::new(Lent { inner, give_back: Some(give_back) }));
    let response = next.run(request).await;
    let refused = response.status().is_client_error() || response.status().is_server_error();
    if let (true, Ok(rest)) = (refused, returned.try_recv()) {
        let limit = app.config.ingress.max_body_bytes.saturating_mul(PATIENCE);
        let bytes = drain(rest, limit, app.config.ingress.body_timeout).await;
        app.metrics.http.discarded_bytes.inc_by(bytes as u64);
    }
    response
}

/// Throws away up to `limit` bytes of `body`; returns how many there were.
async fn drain(mut body: Body, limit: usize, patience: Duration) -> usize {
    let mut bytes = 0;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > limit {
                break;
            }
        }
    };
    // Whoever sends slower than that has had its chance.
    let _ = timeout(patience, all).await;
    bytes
}

/// A body that comes back when its reader stops before the end.
struct Lent {
    inner: Body,
    give_back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.inner.is_end_stream() {
            return;
        }
        if let Some(give_back) = self.give_back.take() {
            // The middleware may be gone with its connection; then so is the need.
            let _ = give_back.send(std::mem::take(&mut self.inner));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    fn endless(piece: usize) -> Body {
        Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(Bytes::from(vec![0; piece]))))
    }

    #[tokio::test]
    async fn a_body_dropped_half_way_comes_back() {
        let (give_back, returned) = oneshot::channel();
        let pieces = stream::iter(["one", "two"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece))));
        let mut body = Body::new(Lent { inner: Body::from_stream(pieces), give_back: Some(give_back) });
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        drop(body);
        let rest = returned.await.unwrap();
        assert_eq!(rest.collect().await.unwrap().to_bytes(), "two");
    }

    #[tokio::test(start_paused = true)]
    async fn draining_ends_by_size_and_by_time() {
        assert_eq!(drain(endless(1000), 10_000, Duration::from_secs(1)).await, 11_000);
        let stalled = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(drain(stalled, 10_000, Duration::from_secs(1)).await, 0);
    }
}
