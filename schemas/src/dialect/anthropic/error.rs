//! Errors: ours as a client of this dialect reads them, and what a provider's mean.

use std::time::Duration;

use serde_json::{Value, json};

use crate::dialect::classify::{Class, Classified};
use crate::dialect::refusal::sentence;
use crate::error::{ErrorCode, Failure};

/// Begins the message of an error about a conversation that is too long.
const TOO_LONG: &str = "prompt is too long";

/// The types of this API's errors, and the HTTP status of each.
const TYPES: [(&str, u16); 11] = [
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("conflict_error", 409),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("api_error", 500),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];

/// The body of an error answer, and the data of a stream's `error` event. Its HTTP status is
/// `failure.code.http_status()`; the route adds `request_id`. Clients know a conversation that is too long by this API's
/// own words for it.
#[must_use]
pub fn encode_error(failure: &Failure) -> Value {
    let message = match failure.about_length() {
        Some(told) => format!("{TOO_LONG}: {told}"),
        None => failure.message.clone(),
    };
    json!({"type": "error", "error": {"type": kind(failure.code), "message": message}})
}

const fn kind(code: ErrorCode) -> &'static str {
    use ErrorCode as E;
    match code {
        E::InvalidRequest | E::Conflict | E::ProviderRejected | E::ContentFiltered | E::Cancelled => {
            "invalid_request_error"
        }
        E::Unauthorized => "authentication_error",
        E::BudgetExceeded => "billing_error",
        E::Forbidden => "permission_error",
        E::NotFound | E::Gone => "not_found_error",
        E::PayloadTooLarge => "request_too_large",
        E::RateLimited | E::ProviderRateLimited => "rate_limit_error",
        E::ProviderTimeout | E::Expired => "timeout_error",
        E::ProviderOverloaded | E::BreakerOpen | E::Unavailable => "overloaded_error",
        E::ProviderAuth | E::ProviderInvalidResponse | E::Ambiguous | E::Internal => "api_error",
    }
}

/// What a provider's error answer means. `after` is what its headers asked for, read by
/// [`retry_after`](crate::dialect::classify::retry_after).
#[must_use]
pub fn classify(status: u16, after: Option<Duration>, body: &[u8]) -> Classified {
    let value = serde_json::from_slice(body).unwrap_or(Value::Null);
    Told::of(&value).classify(status, after)
}

/// The error that a body or a stream's event with a good HTTP status is, if it is one.
pub(super) fn within(value: &Value) -> Option<Classified> {
    let is_error = value.get("type").is_some_and(|kind| kind == "error");
    if !is_error && value.get("error").is_none_or(Value::is_null) {
        return None;
    }
    let told = Told::of(value);
    let status = TYPES.iter().find(|(kind, _)| told.kind == Some(kind)).map_or(500, |(_, status)| *status);
    Some(told.classify(status, None))
}

/// What a provider tells of an error: `{"type": "error", "error": {type, message}}`, only the inner object, a text in
/// its place, or `{"message": ...}` as clouds that resell the API answer.
#[derive(Debug, Default)]
struct Told<'a> {
    kind: Option<&'a str>,
    message: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn of(value: &'a Value) -> Self {
        let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        let text = |name: &str| error.get(name).and_then(Value::as_str);
        Self { kind: text("type"), message: error.as_str().or_else(|| text("message")).or_else(|| text("Message")) }
    }

    fn classify(&self, status: u16, after: Option<Duration>) -> Classified {
        use ErrorCode as E;
        let retry = Class::Retry { after };
        let (code, class) = match status {
            400..500 if self.is_too_long() => (E::ProviderRejected, Class::Fatal),
            400..500 if self.mentions(&["content filtering policy"]) => (E::ContentFiltered, Class::Fatal),
            402 => (E::ProviderRateLimited, Class::Failover),
            400..500 if self.is_out_of_credit() => (E::ProviderRateLimited, Class::Failover),
            401 | 403 => (E::ProviderAuth, Class::Failover),
            // The client's model is known to us: that this provider lacks it, or the path, is its configuration's fault.
            404 | 410 => (E::ProviderRejected, Class::Failover),
            408 | 504 => (E::ProviderTimeout, retry),
            409 | 425 => (E::ProviderOverloaded, retry),
            429 => (E::ProviderRateLimited, retry),
            400..500 => (E::ProviderRejected, Class::Fatal),
            500..600 => (E::ProviderOverloaded, retry),
            _ => (E::ProviderInvalidResponse, Class::Failover),
        };
        Classified { failure: Failure::new(code, self.sentence(status)), class }
    }

    fn mentions(&self, phrases: &[&str]) -> bool {
        let message = self.message.unwrap_or_default().to_ascii_lowercase();
        phrases.iter().any(|phrase| message.contains(phrase))
    }

    fn is_too_long(&self) -> bool {
        self.mentions(&[TOO_LONG, "exceed context limit", "context window", "input is too long"])
    }

    fn is_out_of_credit(&self) -> bool {
        self.kind == Some("billing_error")
            || self.mentions(&["credit balance is too low", "specified api usage limits"])
    }

    fn sentence(&self, status: u16) -> String {
        sentence(status, self.is_too_long(), self.message)
    }
}
