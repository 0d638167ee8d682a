//! Errors: ours as a client of this dialect reads them, and what a provider's mean.

use std::time::Duration;

use serde_json::{Value, json};

use crate::dialect::classify::{Class, Classified};
use crate::dialect::refusal::sentence;
use crate::error::{CONTEXT_LENGTH_EXCEEDED, ErrorCode, Failure};

/// The body of an error answer; its HTTP status is `failure.code.http_status()`.
#[must_use]
pub fn encode_error(failure: &Failure) -> Value {
    let code = code(failure);
    json!({"error": {"message": failure.message, "type": kind(failure.code), "param": failure.param, "code": code}})
}

/// OpenAI's own word where it has one, else ours.
fn code(failure: &Failure) -> &'static str {
    match failure.code {
        ErrorCode::NotFound if failure.param.as_deref() == Some("model") => "model_not_found",
        ErrorCode::Unauthorized => "invalid_api_key",
        ErrorCode::RateLimited | ErrorCode::ProviderRateLimited => "rate_limit_exceeded",
        ErrorCode::BudgetExceeded => "insufficient_quota",
        ErrorCode::ContentFiltered => "content_filter",
        _ if failure.about_length().is_some() => CONTEXT_LENGTH_EXCEEDED,
        other => other.into(),
    }
}

const fn kind(code: ErrorCode) -> &'static str {
    use ErrorCode as E;
    match code {
        E::InvalidRequest | E::NotFound | E::Gone | E::Conflict | E::PayloadTooLarge | E::ProviderRejected => {
            "invalid_request_error"
        }
        E::ContentFiltered | E::Cancelled => "invalid_request_error",
        E::Unauthorized => "authentication_error",
        E::Forbidden => "permission_error",
        E::RateLimited | E::ProviderRateLimited => "rate_limit_error",
        E::BudgetExceeded => "insufficient_quota",
        E::ProviderTimeout | E::ProviderAuth | E::ProviderOverloaded | E::ProviderInvalidResponse => "server_error",
        E::BreakerOpen | E::Expired | E::Ambiguous | E::Unavailable | E::Internal => "server_error",
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
pub(in crate::dialect) fn within(value: &Value) -> Option<Classified> {
    let body = value.get(0).unwrap_or(value);
    let has_error = body.get("error").is_some_and(|error| !matches!(error, Value::Null | Value::Bool(false)));
    if !has_error && body.get("object").is_none_or(|object| object != "error") {
        return None;
    }
    Some(told(value))
}

/// What a value means that is an error by its place, whatever its shape.
pub(in crate::dialect) fn told(value: &Value) -> Classified {
    let told = Told::of(value);
    told.classify(told.status(), None)
}

/// What a provider tells of an error, in any of the shapes seen.
#[derive(Debug, Default)]
struct Told<'a> {
    message: Option<&'a str>,
    /// Its `type`, `code` and inner code.
    words: Vec<&'a str>,
    number: Option<u16>,
}

impl<'a> Told<'a> {
    /// `{"error": {...}}`, `{"error": "text"}`, a list with one of these (Gemini), the fields themselves (Mistral), or
    /// `{"detail": ...}` (FastAPI).
    fn of(value: &'a Value) -> Self {
        let value = value.get(0).unwrap_or(value);
        let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        let text = |name: &str| error.get(name).and_then(Value::as_str);
        let detail = || {
            let detail = error.get("detail")?;
            detail.as_str().or_else(|| detail.get(0)?.get("msg")?.as_str())
        };
        let inner = error.get("innererror").and_then(|inner| inner.get("code")).and_then(Value::as_str);
        let words = [text("code"), text("type"), text("status"), inner];
        let code = error.get("code");
        let number = code.and_then(Value::as_u64).or_else(|| code?.as_str()?.parse().ok());
        Self {
            message: error.as_str().or_else(|| text("message")).or_else(detail),
            words: words.into_iter().flatten().collect(),
            number: number.and_then(|number| u16::try_from(number).ok()),
        }
    }

    fn says(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.iter().any(|known| word.eq_ignore_ascii_case(known)))
    }

    /// The HTTP status that an error without one stands for.
    fn status(&self) -> u16 {
        const STATUSES: [(u16, &[&str]); 12] = [
            (429, &["rate_limit_exceeded", "rate_limit_error", "resource_exhausted", "too_many_requests"]),
            (402, &["insufficient_quota", "billing_hard_limit_reached"]),
            (401, &["authentication_error", "invalid_api_key", "unauthenticated"]),
            (403, &["permission_error", "permission_denied"]),
            (404, &["not_found_error", "model_not_found", "not_found"]),
            (400, &["invalid_request_error", "context_length_exceeded", "invalid_argument", "content_filter"]),
            // What a failed answer of the Responses API says of its request.
            (
                400,
                &[
                    "invalid_prompt",
                    "invalid_image",
                    "invalid_image_format",
                    "invalid_base64_image",
                    "invalid_image_url",
                ],
            ),
            (
                400,
                &["image_too_large", "image_too_small", "image_parse_error", "invalid_image_mode", "empty_image_file"],
            ),
            (400, &["image_file_too_large", "unsupported_image_media_type", "failed_to_download_image"]),
            (400, &["image_file_not_found", "bio_policy", "misalignment_policy_violation"]),
            (504, &["timeout", "timeout_error", "deadline_exceeded"]),
            (529, &["overloaded_error", "unavailable"]),
        ];
        let by_word = || STATUSES.iter().find(|(_, words)| self.says(words)).map(|(status, _)| *status);
        self.number.filter(|number| (400..600).contains(number)).or_else(by_word).unwrap_or(500)
    }

    fn classify(&self, status: u16, after: Option<Duration>) -> Classified {
        use ErrorCode as E;
        let retry = Class::Retry { after };
        let (code, class) = match status {
            _ if self.is_filtered() => (E::ContentFiltered, Class::Fatal),
            400..500 if self.is_too_long() => (E::ProviderRejected, Class::Fatal),
            402 => (E::ProviderRateLimited, Class::Failover),
            400..500 if self.is_out_of_credit() => (E::ProviderRateLimited, Class::Failover),
            401 | 403 => (E::ProviderAuth, Class::Failover),
            // The client's model is known to us: that this provider lacks it, or the path, is its configuration's fault.
            404 | 410 => (E::ProviderRejected, Class::Failover),
            408 | 504 => (E::ProviderTimeout, retry),
            409 | 425 => (E::ProviderOverloaded, retry),
            // 498 is Groq's word for no capacity.
            429 | 498 => (E::ProviderRateLimited, retry),
            400..500 => (E::ProviderRejected, Class::Fatal),
            500..600 => (E::ProviderOverloaded, retry),
            _ => (E::ProviderInvalidResponse, Class::Failover),
        };
        Classified { failure: Failure::new(code, self.sentence(status)), class }
    }

    fn is_filtered(&self) -> bool {
        const WORDS: [&str; 4] = [
            "content_filter",
            "content_policy_violation",
            "image_content_policy_violation",
            "responsibleaipolicyviolation",
        ];
        self.says(&WORDS)
    }

    fn is_too_long(&self) -> bool {
        let phrases = ["maximum context length", "context length exceeded", "context window", "prompt is too long"];
        let message = self.message.unwrap_or_default().to_ascii_lowercase();
        self.says(&[CONTEXT_LENGTH_EXCEEDED]) || phrases.iter().any(|it| message.contains(it))
    }

    fn is_out_of_credit(&self) -> bool {
        self.says(&["insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"])
    }

    fn sentence(&self, status: u16) -> String {
        sentence(status, self.is_too_long(), self.message)
    }
}
