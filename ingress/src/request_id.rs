//! The id of one HTTP request: the client's `x-request-id` when it is a sane one, else our own. It goes back in the
//! answer, into every log line of the request, into error bodies as `trace_id`, and into the job.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Where the id travels.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Where the clients of Anthropic's API look for it.
pub(crate) const ANTHROPIC_HEADER: HeaderName = HeaderName::from_static("request-id");
const LONGEST: usize = 128;

/// The id of one HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// The id that the client sent, if it is 1 to 128 letters, digits and `-_.:/+=`; else one of these random bits.
    pub(crate) fn of(headers: &HeaderMap, bits: impl FnOnce() -> u128) -> Self {
        let sent = headers.get(HEADER).and_then(|value| value.to_str().ok()).filter(|text| is_sane(text));
        sent.map_or_else(|| Self(format!("req_{:032x}", bits()).into()), |text| Self(text.into()))
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its text as a header. Always one: what an id is made of may stand in a header.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_sane(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str) -> String {
        let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_static(text))]);
        RequestId::of(&headers, || 7).to_string()
    }

    #[test]
    fn a_sane_id_is_kept_and_any_other_replaced() {
        let ours = "req_00000000000000000000000000000007";
        assert_eq!(of("trace-1.a/b"), "trace-1.a/b");
        assert_eq!(of(""), ours);
        assert_eq!(of("two words"), ours);
        assert_eq!(of("{\"json\":1}"), ours);
        assert_eq!(RequestId::of(&HeaderMap::new(), || 7).as_str(), ours);
    }
}
