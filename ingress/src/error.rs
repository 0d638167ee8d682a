//! How a request is refused. A refusal travels as an extension of an empty response, so that whatever made it, one
//! place ([`render`]) writes the body in the words of the API that was called.

use std::error::Error;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use broker::{BrokerError, SessionError, SubmitError};
use http::{HeaderName, HeaderValue, StatusCode, header};
use schemas::dialect::{anthropic, openai_chat};
use schemas::error::{ErrorBody, ErrorCode, Failure};
use schemas::view::Status;
use serde::Serialize;

/// When to come back after an outage or from a full queue, in seconds.
const COME_BACK: Duration = Duration::from_secs(2);
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The API that a path belongs to, which decides the form of its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surface {
    /// PortBroker's own.
    Native,
    /// OpenAI's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

impl Surface {
    /// The API of `path`.
    pub(crate) fn of(path: &str) -> Self {
        let any = |starts: &[&str]| starts.iter().any(|start| path.starts_with(start));
        if any(&["/v1/messages", "/api/anthropic/"]) {
            Self::Anthropic
        } else if any(&["/v1/chat/", "/v1/models", "/v1/responses", "/v1/conversations"]) {
            Self::OpenAi
        } else {
            Self::Native
        }
    }
}

/// A refusal.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    failure: Failure,
    status: StatusCode,
    retry_after: Option<Duration>,
    /// The same request will meet the same answer, whatever the code says in general.
    settled: bool,
    /// How the job ended that this is about, where only its end is still known.
    ended: Option<Status>,
    /// A job may exist all the same, and go on.
    open: bool,
}

/// The native body, with the end of a job that is past its retention.
#[derive(Serialize)]
struct NativeBody {
    #[serde(flatten)]
    error: ErrorBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

impl ApiError {
    /// A refusal with the status that goes with the code.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Failure::new(code, message).into()
    }

    /// No such thing, or not the caller's.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// Something that we need is away: nothing was done, try again.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorCode::Unavailable, message);
        error.retry_after = Some(COME_BACK);
        error
    }

    /// The refusal for a status that something other than a handler of ours answered with.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let code = match status.as_u16() {
            401 => ErrorCode::Unauthorized,
            403 => ErrorCode::Forbidden,
            404 => ErrorCode::NotFound,
            413 => ErrorCode::PayloadTooLarge,
            429 => ErrorCode::RateLimited,
            503 => ErrorCode::Unavailable,
            400..=499 => ErrorCode::InvalidRequest,
            _ => ErrorCode::Internal,
        };
        let message = status.canonical_reason().unwrap_or("refused").to_ascii_lowercase();
        Self::new(code, message).with_status(status)
    }

    /// With another status than the code's own: HTTP knows faults that the taxonomy does not tell apart.
    pub(crate) const fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With the time after which the client may come back.
    pub(crate) const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same request will be answered so again: tells SDKs not to repeat it.
    pub(crate) const fn settled(mut self) -> Self {
        self.settled = true;
        self
    }

    /// About a job of which only this end is still known.
    pub(crate) const fn with_ended(mut self, status: Status) -> Self {
        self.ended = Some(status);
        self
    }

    /// Whatever the client is told, a job may exist and go on: its retry should find that one.
    pub(crate) const fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Whether a job may exist and go on.
    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    /// Whether it is [`Self::settled`].
    #[cfg(test)]
    pub(crate) const fn is_settled(&self) -> bool {
        self.settled
    }

    /// What is wrong.
    pub(crate) const fn failure(&self) -> &Failure {
        &self.failure
    }

    /// The HTTP status.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// When the client may come back, where that is any use.
    fn come_back(&self) -> Option<Duration> {
        let usual = matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        self.retry_after.or((usual && !self.settled).then_some(COME_BACK))
    }

    /// Whether the same request, sent again, may fare better and does no harm. A body that came too slowly left nothing
    /// behind.
    fn should_retry(&self) -> bool {
        let retriable = self.failure.code.retriable() || self.status == StatusCode::REQUEST_TIMEOUT;
        retriable && !self.settled
    }

    fn body(&self, surface: Surface, trace_id: &str) -> Vec<u8> {
        let body = match surface {
            Surface::Native => {
                let error = ErrorBody::new(&self.failure, trace_id);
                serde_json::to_vec(&NativeBody { error, status: self.ended })
            }
            Surface::OpenAi => serde_json::to_vec(&openai_chat::encode_error(&self.failure)),
            Surface::Anthropic => {
                let mut body = anthropic::encode_error(&self.failure);
                body["request_id"] = trace_id.into();
                serde_json::to_vec(&body)
            }
        };
        // Both are plain structures of strings, which always serialise.
        body.unwrap_or_default()
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let status = StatusCode::from_u16(failure.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { failure, status, retry_after: None, settled: false, ended: None, open: false }
    }
}

impl From<BrokerError> for ApiError {
    fn from(error: BrokerError) -> Self {
        tracing::warn!(error = chain(&error), "broker failed a request");
        if matches!(error, BrokerError::Envelope(_)) {
            return Self::new(ErrorCode::Internal, "the job's record cannot be read");
        }
        Self::unavailable("the broker cannot be reached; try again")
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Conflict => {
                Self::new(ErrorCode::Conflict, "this idempotency key was used with another request body")
            }
            SubmitError::LaneFull => Self::unavailable("the queue of this lane is full; try again later"),
            SubmitError::TooLarge => Self::new(ErrorCode::PayloadTooLarge, "the job is too large for the broker"),
            SubmitError::Unavailable => Self::unavailable(
                "the broker did not answer in time; try again, with the same Idempotency-Key if there is one",
            )
            .open(),
            SubmitError::Broker(source) => Self::from(source).open(),
        }
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        let failure = Failure::from(&error);
        match error {
            SessionError::Broker(source) => source.into(),
            SessionError::Locked | SessionError::Busy => {
                tracing::error!(error = chain(&error), "a session failed a request");
                Self::unavailable(failure.message)
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of a refusal, and of any error answer that carries none of ours.
pub(crate) fn render(mut response: Response, surface: Surface, trace_id: &str) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let error = match response.extensions_mut().remove::<ApiError>() {
        Some(error) => error,
        None if is_json(&response) => return response,
        None => ApiError::of_status(status),
    };
    *response.body_mut() = Body::from(error.body(surface, trace_id));
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = error.come_back() {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)));
    }
    if error.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if surface != Surface::Native {
        let word = if error.should_retry() { "true" } else { "false" };
        headers.insert(SHOULD_RETRY, HeaderValue::from_static(word));
    }
    response
}

/// Health answers 503 with a body of its own.
fn is_json(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("application/json"))
}

/// An error and its sources on one line, for the logs. Never for a client.
pub(crate) fn chain(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    async fn body(response: Response) -> Value {
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn each_api_has_its_own_words() {
        let refusal = || ApiError::from(Failure::invalid("model", "expected a string"));
        let native = render(refusal().into_response(), Surface::of("/v1/jobs"), "req_1");
        assert_eq!(native.status(), StatusCode::BAD_REQUEST);
        assert_eq!(
            body(native).await,
            json!({"code": "invalid_request", "message": "model: expected a string", "category": "client",
                   "retriable": false, "trace_id": "req_1", "param": "model"})
        );
        let openai = render(refusal().into_response(), Surface::of("/v1/chat/completions"), "req_1");
        assert_eq!(openai.headers()["x-should-retry"], "false");
        assert_eq!(body(openai).await["error"]["type"], "invalid_request_error");
    }

    #[tokio::test]
    async fn an_end_is_told_where_the_api_is_ours() {
        let gone = || ApiError::new(ErrorCode::Gone, "past").with_ended(Status::Expired).into_response();
        let native = body(render(gone(), Surface::Native, "req_1")).await;
        assert_eq!((&native["code"], &native["status"]), (&json!("gone"), &json!("expired")));
        let openai = body(render(gone(), Surface::OpenAi, "req_1")).await;
        assert!(openai.get("status").is_none() && openai["error"].get("status").is_none(), "{openai}");
    }

    #[tokio::test]
    async fn a_bare_status_gets_a_body() {
        let answer = render(StatusCode::METHOD_NOT_ALLOWED.into_response(), Surface::Native, "req_2");
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(body(answer).await["message"], "method not allowed");
    }

    #[tokio::test]
    async fn outages_say_when_to_come_back() {
        let answer = render(ApiError::unavailable("away").into_response(), Surface::OpenAi, "req_3");
        assert_eq!(answer.headers()[header::RETRY_AFTER], "2");
        assert_eq!(answer.headers()["x-should-retry"], "true");
        let short = ApiError::new(ErrorCode::RateLimited, "slow down").with_retry_after(Duration::from_millis(1));
        assert_eq!(render(short.into_response(), Surface::Native, "").headers()[header::RETRY_AFTER], "1");
    }

    /// What official SDKs repeat by themselves, and what they are told about it.
    #[tokio::test]
    async fn sdks_are_told_whether_to_repeat() {
        let told = |error: ApiError| {
            let answer = render(error.into_response(), Surface::OpenAi, "req_5");
            let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            (answer.status().as_u16(), header("x-should-retry").unwrap(), header("retry-after"))
        };
        let expect =
            |status: u16, again: bool, after: Option<&str>| (status, again.to_string(), after.map(str::to_owned));
        let slow = ApiError::new(ErrorCode::InvalidRequest, "slow").with_status(StatusCode::REQUEST_TIMEOUT);
        assert_eq!(told(slow), expect(408, true, None));
        assert_eq!(told(ApiError::of_status(StatusCode::CONFLICT)), expect(409, false, None));
        let code = |code| told(ApiError::new(code, "x"));
        assert_eq!(code(ErrorCode::Conflict), expect(422, false, None));
        assert_eq!(code(ErrorCode::RateLimited), expect(429, true, Some("2")));
        assert_eq!(code(ErrorCode::ProviderRateLimited), expect(429, true, Some("2")));
        assert_eq!(code(ErrorCode::BudgetExceeded), expect(402, false, None));
        assert_eq!(code(ErrorCode::Cancelled), expect(499, false, None));
        assert_eq!(code(ErrorCode::Internal), expect(500, true, None));
        assert_eq!(code(ErrorCode::Ambiguous), expect(502, false, None));
        assert_eq!(code(ErrorCode::ProviderInvalidResponse), expect(502, true, None));
        assert_eq!(code(ErrorCode::BreakerOpen), expect(503, true, Some("2")));
        assert_eq!(code(ErrorCode::ProviderTimeout), expect(504, true, None));
        assert_eq!(code(ErrorCode::Expired), expect(504, false, None));
        assert_eq!(told(SubmitError::Unavailable.into()), expect(503, true, Some("2")));
        assert_eq!(told(ApiError::from(SubmitError::Unavailable).settled()), expect(503, false, Some("2")));
    }

    #[tokio::test]
    async fn a_settled_failure_is_not_to_be_repeated() {
        let failed = ApiError::new(ErrorCode::ProviderOverloaded, "down").settled();
        let answer = render(failed.into_response(), Surface::OpenAi, "req_4");
        assert_eq!((answer.status().as_u16(), &answer.headers()["x-should-retry"]), (503, &"false".parse().unwrap()));
    }
}
