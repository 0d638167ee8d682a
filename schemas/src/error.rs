//! The error taxonomy: every failure a client, an operator or a retry decision can meet has one code here.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

/// What went wrong, as a stable word that clients may match on.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ErrorCode {
    /// The request cannot be understood or is not allowed by its API.
    InvalidRequest,
    /// No key, or one we do not know.
    Unauthorized,
    /// A known key that may not do this.
    Forbidden,
    /// No such model, job or path.
    NotFound,
    /// It existed; its retention has passed.
    Gone,
    /// The same idempotency key came with another body.
    Conflict,
    /// This key sends faster than its limit.
    RateLimited,
    /// The key's budget is spent.
    BudgetExceeded,
    /// The body is larger than configured.
    PayloadTooLarge,
    /// The provider did not answer in time.
    ProviderTimeout,
    /// The provider refused our credential.
    ProviderAuth,
    /// The provider asks us to slow down.
    ProviderRateLimited,
    /// The provider is overloaded, down or unreachable.
    ProviderOverloaded,
    /// The provider's answer breaks its own protocol, or ended half way.
    ProviderInvalidResponse,
    /// The provider refused the request as wrong.
    ProviderRejected,
    /// A content filter stopped the request or the answer.
    ContentFiltered,
    /// The circuit breaker of every candidate is open.
    BreakerOpen,
    /// Cancelled by its client.
    Cancelled,
    /// The deadline passed first.
    Expired,
    /// A call may or may not have happened, and the client asked not to repeat it.
    Ambiguous,
    /// The broker or the store is away: nothing was accepted, try again.
    Unavailable,
    /// A fault of ours.
    Internal,
}

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Category {
    /// The client must change something.
    Client,
    /// The upstream provider failed.
    Provider,
    /// The job ended as asked: cancelled, expired.
    Lifecycle,
    /// PortBroker or what it runs on failed.
    Server,
}

impl ErrorCode {
    /// Who has to act.
    #[must_use]
    pub const fn category(self) -> Category {
        use ErrorCode as E;
        match self {
            E::InvalidRequest | E::Unauthorized | E::Forbidden | E::NotFound | E::Gone | E::Conflict => {
                Category::Client
            }
            E::RateLimited | E::BudgetExceeded | E::PayloadTooLarge | E::ContentFiltered => Category::Client,
            E::ProviderRejected => Category::Client,
            E::ProviderTimeout | E::ProviderAuth | E::ProviderRateLimited | E::ProviderOverloaded => Category::Provider,
            E::ProviderInvalidResponse | E::BreakerOpen => Category::Provider,
            E::Cancelled | E::Expired | E::Ambiguous => Category::Lifecycle,
            E::Unavailable | E::Internal => Category::Server,
        }
    }

    /// The HTTP status of a synchronous answer with this error.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        use ErrorCode as E;
        match self {
            E::InvalidRequest | E::ProviderRejected | E::ContentFiltered => 400,
            E::Unauthorized => 401,
            E::BudgetExceeded => 402,
            E::Forbidden => 403,
            E::NotFound => 404,
            E::Gone => 410,
            E::PayloadTooLarge => 413,
            E::Conflict => 422,
            E::RateLimited | E::ProviderRateLimited => 429,
            E::Cancelled => 499,
            E::Internal => 500,
            E::ProviderInvalidResponse | E::ProviderAuth | E::Ambiguous => 502,
            E::ProviderOverloaded | E::BreakerOpen | E::Unavailable => 503,
            E::ProviderTimeout | E::Expired => 504,
        }
    }

    /// Whether the same request may succeed later, unchanged.
    #[must_use]
    pub const fn retriable(self) -> bool {
        use ErrorCode as E;
        match self {
            E::RateLimited | E::ProviderTimeout | E::ProviderRateLimited | E::ProviderOverloaded => true,
            E::ProviderInvalidResponse | E::BreakerOpen | E::Unavailable | E::Internal => true,
            E::InvalidRequest | E::Unauthorized | E::Forbidden | E::NotFound | E::Gone | E::Conflict => false,
            E::BudgetExceeded | E::PayloadTooLarge | E::ProviderAuth | E::ProviderRejected => false,
            E::ContentFiltered | E::Cancelled | E::Expired | E::Ambiguous => false,
        }
    }
}

/// Begins the message of a failure that is about a conversation too long for its model, a provider's or our own, and is
/// its code in OpenAI's APIs.
pub const CONTEXT_LENGTH_EXCEEDED: &str = "context_length_exceeded";

/// One failure, safe to show to the client it concerns: `message` never holds a secret or an internal error's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// The stable word.
    pub code: ErrorCode,
    /// A sentence that names the cause and, where there is one, the remedy.
    pub message: String,
    /// The request's field at fault, as a path like `messages[2].content`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

impl Failure {
    /// A failure that no single field caused.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None }
    }

    /// An `invalid_request` at the field `param`, which the message names too: people read it alone.
    pub fn invalid(param: impl Into<String>, fault: impl std::fmt::Display) -> Self {
        let param = param.into();
        Self { code: ErrorCode::InvalidRequest, message: format!("{param}: {fault}"), param: Some(param) }
    }

    /// What it says of a conversation that is too long for its model, if it is about such a one.
    #[must_use]
    pub fn about_length(&self) -> Option<&str> {
        let told = self.message.strip_prefix(CONTEXT_LENGTH_EXCEEDED)?;
        Some(told.strip_prefix(": ").unwrap_or(told))
    }
}

/// The native error body: `{code, message, category, retriable, trace_id}`, with `param` where a field is at fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The stable word.
    pub code: ErrorCode,
    /// A sentence for a person.
    pub message: String,
    /// Who has to act.
    pub category: Category,
    /// Whether the same request may succeed later.
    pub retriable: bool,
    /// The request's id in our logs.
    pub trace_id: String,
    /// The field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

impl ErrorBody {
    /// The body for `failure` of the request `trace_id`.
    #[must_use]
    pub fn new(failure: &Failure, trace_id: &str) -> Self {
        Self {
            code: failure.code,
            message: failure.message.clone(),
            category: failure.code.category(),
            retriable: failure.code.retriable(),
            trace_id: trace_id.to_owned(),
            param: failure.param.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn every_code_has_its_place() {
        let table: Vec<_> = ErrorCode::iter()
            .map(|code| {
                let category: &str = code.category().into();
                let retry = if code.retriable() { "retry" } else { "-" };
                format!("{code:<25} {category:<9} {} {retry}", code.http_status())
            })
            .collect();
        insta::assert_snapshot!("codes", table.join("\n"));
    }

    #[test]
    fn a_code_is_one_word_everywhere() {
        for code in ErrorCode::iter() {
            assert_eq!(serde_json::to_value(code).unwrap(), code.to_string());
            assert_eq!(code.to_string().parse(), Ok(code));
        }
    }

    #[test]
    fn the_native_body() {
        let body = serde_json::to_value(ErrorBody::new(&Failure::invalid("n", "too many"), "trace-1")).unwrap();
        let expected = serde_json::json!({
            "code": "invalid_request", "message": "n: too many", "category": "client", "retriable": false,
            "trace_id": "trace-1", "param": "n",
        });
        assert_eq!(body, expected);
    }
}
