//! `Prefer: wait=N` (RFC 7240): how long a client would like the answer to wait for the job's end.

use http::{HeaderMap, HeaderName};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The seconds of the first `wait` preference. One that cannot be read counts as absent, as the RFC asks.
pub(crate) fn wait(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let preferences = values.flat_map(|value| value.split(',')).filter_map(|preference| preference.split(';').next());
    preferences.filter_map(|preference| preference.split_once('=')).find_map(|(name, value)| {
        let seconds = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("wait").then(|| seconds.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(values: &[&'static str]) -> Option<u64> {
        wait(&values.iter().map(|value| (PREFER, HeaderValue::from_static(value))).collect())
    }

    #[test]
    fn the_preference_is_found_among_others() {
        assert_eq!(of(&["wait=10"]), Some(10));
        assert_eq!(of(&["respond-async, Wait = \"5\"; x=y"]), Some(5));
        assert_eq!(of(&["return=minimal", "wait=7"]), Some(7));
    }

    #[test]
    fn what_cannot_be_read_is_no_preference() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["wait"]), None);
        assert_eq!(of(&["wait=soon"]), None);
        assert_eq!(of(&["wait=-1"]), None);
    }
}
