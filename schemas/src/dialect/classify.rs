//! What a provider's failure means for the next step: the same request again, another provider, or the end. Retry,
//! breaker and failover look only at this, never at a dialect's own errors.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::error::{ErrorCode, Failure};
use crate::timestamp::Timestamp;

/// What may be tried after a provider failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The same request may succeed at the same provider, not earlier than `after` when the provider said so.
    Retry {
        /// How long the provider asks to wait.
        after: Option<Duration>,
    },
    /// This provider will keep failing; another may not.
    Failover,
    /// The request itself is at fault: no provider will take it.
    Fatal,
}

/// A provider's failure and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// What to tell the client when nothing else helps.
    pub failure: Failure,
    /// What may be tried before.
    pub class: Class,
}

impl Class {
    /// The class of a failure that came without an HTTP status: a broken stream, a malformed answer, a timeout.
    #[must_use]
    pub const fn of(code: ErrorCode) -> Self {
        use ErrorCode as E;
        match code {
            E::ProviderAuth => Self::Failover,
            E::ProviderTimeout | E::ProviderRateLimited | E::ProviderOverloaded | E::ProviderInvalidResponse => {
                Self::Retry { after: None }
            }
            _ => Self::Fatal,
        }
    }
}

/// How long the headers of an answer ask to wait: `retry-after-ms`, else `Retry-After` in seconds or as an HTTP date
/// (RFC 9110, 10.2.3). `header` looks a name up. Unreadable values count as absent; a date that has passed is zero.
pub fn retry_after<'a>(header: impl Fn(&str) -> Option<&'a str>, now: Timestamp) -> Option<Duration> {
    let milliseconds = header("retry-after-ms").and_then(|text| seconds(text, 1e-3));
    milliseconds.or_else(|| {
        let text = header("retry-after")?;
        seconds(text, 1.0).or_else(|| Some(date(text)?.since(now)))
    })
}

fn seconds(text: &str, unit: f64) -> Option<Duration> {
    let number: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(number * unit).ok()
}

/// The one form that senders may generate today; it is also a valid date of RFC 2822.
fn date(text: &str) -> Option<Timestamp> {
    OffsetDateTime::parse(text.trim(), &Rfc2822).ok().map(Timestamp::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(name: &str, value: &str) -> Option<Duration> {
        // 1994-11-06T08:49:37Z, the example date of RFC 9110.
        let now = Timestamp::from_millis(784_111_777_000);
        retry_after(|header| (header == name).then_some(value), now)
    }

    #[test]
    fn reads_every_form() {
        assert_eq!(after("retry-after", "30"), Some(Duration::from_secs(30)));
        assert_eq!(after("retry-after", " 0.5 "), Some(Duration::from_millis(500)));
        assert_eq!(after("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(after("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(after("retry-after", "Sun, 06 Nov 1994 08:49:07 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn milliseconds_are_more_exact_than_seconds() {
        let both = retry_after(|name| Some(if name == "retry-after-ms" { "250" } else { "1" }), Timestamp::default());
        assert_eq!(both, Some(Duration::from_millis(250)));
    }

    #[test]
    fn nonsense_counts_as_absent() {
        for text in ["", "soon", "-1", "NaN", "inf", "1e300", "06 Nov"] {
            assert_eq!(after("retry-after", text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(text: String) {
            after("retry-after", &text);
            after("retry-after-ms", &text);
        }
    }
}
