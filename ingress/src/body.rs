//! Request bodies: refused by their declared size before a byte is read, read within a budget of memory shared by all
//! requests and a budget of time of their own, and only then parsed.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use schemas::error::{ErrorCode, Failure};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout, timeout_at};

use crate::app::App;
use crate::error::ApiError;
use crate::json::{self, Limits};
use crate::memory::{BodyMemory, Hold, SMALL};

/// Bodies larger than this are parsed and hashed away from the threads that serve connections.
const OFFLOAD: usize = 256 * 1024;

/// A JSON object as it came and as it reads. Its share of the memory budget goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct JsonBody {
    /// The bytes as they came.
    pub(crate) bytes: Bytes,
    /// Its fields.
    pub(crate) object: Map<String, Value>,
    /// The memory set aside for it.
    pub(crate) hold: Holds,
}

/// What a body holds of the budget: for its bytes, a second time when it outgrew what was expected, and for what is
/// built of it.
pub(crate) type Holds = Vec<Hold>;

impl FromRequest<Arc<App>> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let config = &app.config.ingress;
        let read = read(request, &app.memory, config.max_body_bytes, config.body_timeout).await;
        let (bytes, hold) = read.inspect_err(|error| app.metrics.http.body_refused(error))?;
        app.metrics.http.body_bytes.observe(bytes.len() as f64);
        let limits = Limits::new(config.max_json_depth, config.max_body_bytes);
        let body = bytes.clone();
        let (checked, mut hold) = offload(bytes.len(), hold, move || json::check(body, limits)).await?;
        let checked = checked?;
        hold.push(within(config.body_timeout, app.memory.hold_built(checked.cost())).await?);
        let (object, hold) = offload(bytes.len(), hold, move || checked.build()).await?;
        Ok(Self { bytes, object: object?, hold })
    }
}

/// Nothing for a request without a body.
impl OptionalFromRequest<Arc<App>> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Option<Self>, ApiError> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        <Self as FromRequest<Arc<App>>>::from_request(request, app).await.map(Some)
    }
}

/// Runs `work` on `bytes` bytes of input here when that is quick, else on a thread that may block. What the work takes of
/// the memory budget, `holds`, comes back with its result: it goes on when whoever waits for it has left.
pub(crate) async fn offload<T: Send + 'static>(
    bytes: usize,
    holds: Holds,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<(T, Holds), ApiError> {
    if bytes <= OFFLOAD {
        return Ok((work(), holds));
    }
    tokio::task::spawn_blocking(move || (work(), holds)).await.map_err(|error| {
        tracing::error!(error = %error, "large body could not be processed");
        ApiError::new(ErrorCode::Internal, "the request could not be processed")
    })
}

async fn read(
    request: Request,
    memory: &BodyMemory,
    limit: usize,
    patience: Duration,
) -> Result<(Bytes, Holds), ApiError> {
    check_headers(request.headers())?;
    let declared = declared_length(request.headers())?;
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    let mut room = declared.map_or(SMALL, |length| length as usize);
    let mut holds = vec![within(patience, memory.hold(room)).await?];
    let mut bytes = BytesMut::with_capacity(room);
    let mut deadline = Instant::now() + patience;
    let mut body = request.into_body();
    while let Some(piece) = next_piece(&mut body, deadline).await? {
        let length = bytes.len() + piece.len();
        if length > limit {
            return Err(too_large(limit));
        }
        if length > room {
            // Only a body of undeclared size comes here, and only once: it takes as much as it may ever need. Were it
            // to take more and more, two such bodies could wait for each other.
            holds.push(within(patience, memory.hold(limit)).await?);
            (room, deadline) = (limit, Instant::now() + patience);
            // All at once: growing step by step would copy, and hold twice what it needs while it does.
            bytes.reserve(limit - bytes.len());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes.freeze(), holds))
}

/// Waits for room in the memory budget, within bounds.
pub(crate) async fn within(patience: Duration, hold: impl Future<Output = Hold>) -> Result<Hold, ApiError> {
    timeout(patience, hold).await.map_err(|_| ApiError::unavailable("too many large requests at once; try again"))
}

/// The next bytes of `body`; `None` at its end.
async fn next_piece(body: &mut Body, deadline: Instant) -> Result<Option<Bytes>, ApiError> {
    loop {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| {
            ApiError::new(ErrorCode::InvalidRequest, "the request body did not arrive in time")
                .with_status(StatusCode::REQUEST_TIMEOUT)
        })?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
            Some(Err(_)) => return Err(invalid("the request body broke off before its end")),
        }
    }
}

/// Refuses what is not said to be JSON in UTF-8. A request that says nothing is taken at its word.
fn check_headers(headers: &HeaderMap) -> Result<(), ApiError> {
    let unsupported = |message: &str| invalid(message).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let plain = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|value| !plain(value.as_bytes())) {
        return Err(unsupported("compressed request bodies are not supported: send it without content-encoding"));
    }
    match headers.get(header::CONTENT_TYPE) {
        Some(value) if !value.to_str().is_ok_and(is_json) => {
            Err(unsupported("the request body must be JSON in UTF-8: send `content-type: application/json`"))
        }
        _ => Ok(()),
    }
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(|part| part.trim().to_ascii_lowercase());
    let media = parts.next().unwrap_or_default();
    let json = media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"));
    json && parts.all(|parameter| match parameter.strip_prefix("charset=") {
        Some(charset) => matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"),
        None => true,
    })
}

/// The declared length. The connection itself refuses two different ones, or one that is not a number.
fn declared_length(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| invalid("content-length is not a number"))
}

fn too_large(limit: usize) -> ApiError {
    Failure::new(ErrorCode::PayloadTooLarge, format!("the request body is larger than {limit} bytes")).into()
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use futures::{FutureExt, StreamExt, stream};

    const LIMIT: usize = 1 << 20;
    const PATIENCE: Duration = Duration::from_secs(5);

    fn post() -> http::request::Builder {
        Request::builder().method("POST").header("content-type", "application/json")
    }

    fn chunked(pieces: usize) -> Body {
        let pieces = stream::iter(0..pieces).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 10_000])));
        Body::from_stream(pieces)
    }

    async fn status(request: Request, memory: &BodyMemory) -> u16 {
        match read(request, memory, LIMIT, PATIENCE).await {
            Ok(_) => 200,
            Err(error) => error.into_response().status().as_u16(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn size_is_judged_by_what_is_declared_and_by_what_comes() {
        let memory = BodyMemory::new(4 * LIMIT);
        let declared = post().header("content-length", "104857600").body(chunked(1)).unwrap();
        assert_eq!(status(declared, &memory).await, 413);
        assert_eq!(status(post().body(chunked(200)).unwrap(), &memory).await, 413);
        assert_eq!(status(post().body(chunked(100)).unwrap(), &memory).await, 200);
        let lying = post().header("content-length", "18446744073709551616").body(chunked(1)).unwrap();
        assert_eq!(status(lying, &memory).await, 400);
        assert_eq!(memory.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_or_finds_no_room_is_given_up() {
        let memory = BodyMemory::new(LIMIT);
        let stalled = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(status(post().body(stalled).unwrap(), &memory).await, 408);
        let _all = memory.hold(LIMIT).await;
        let large = post().header("content-length", "500000").body(chunked(50)).unwrap();
        assert_eq!(status(large, &memory).await, 503);
        let small = post().header("content-length", "10000").body(chunked(1)).unwrap();
        assert_eq!(status(small, &memory).await, 200);
    }

    #[tokio::test]
    async fn memory_is_held_for_as_long_as_the_work_goes_on() {
        let memory = BodyMemory::new(LIMIT);
        let holds = vec![memory.hold(LIMIT).await];
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let mut work = Box::pin(offload(usize::MAX, holds, move || wait.recv()));
        assert!(work.as_mut().now_or_never().is_none());
        drop(work);
        assert!(memory.hold(LIMIT).now_or_never().is_none(), "nobody waits for it, and it goes on");
        drop(go);
        memory.hold(LIMIT).await;
    }

    #[test]
    fn only_json_is_taken() {
        let verdict = |name: &'static str, value: &'static str| {
            let headers =
                HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))]);
            check_headers(&headers).map_or_else(|error| error.into_response().status().as_u16(), |()| 200)
        };
        assert_eq!(verdict("content-type", "application/json; charset=UTF-8"), 200);
        assert_eq!(verdict("content-type", "application/vnd.api+json"), 200);
        assert_eq!(verdict("content-type", "application/json; charset=utf-16"), 415);
        assert_eq!(verdict("content-type", "application/x-www-form-urlencoded"), 415);
        assert_eq!(verdict("content-type", "text/json"), 415);
        assert_eq!(verdict("content-encoding", "gzip"), 415);
        assert_eq!(verdict("accept", "text/html"), 200);
    }
}
