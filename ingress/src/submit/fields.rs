//! The fields of a native submit beyond those of a chat request, each with its own words when it is wrong. Texts of the
//! client's are never quoted: a prompt in the wrong place must not come back in an error.

use std::collections::BTreeMap;

use schemas::error::Failure;
use schemas::job::{Lane, OnAmbiguous};
use schemas::json::kind_or_number;
use schemas::timestamp::Timestamp;
use serde_json::Value;

const MOST_LABELS: usize = 16;
const LONGEST_LABEL: usize = 64;
const LONGEST_LABEL_VALUE: usize = 512;
const LONGEST_SESSION: usize = 128;

/// `high`, `normal` or `low`.
pub(crate) fn lane(param: &str, text: &str) -> Result<Lane, Failure> {
    text.parse().map_err(|_| Failure::invalid(param, "expected one of high, normal, low"))
}

pub(super) fn lane_of(value: &Value) -> Result<Lane, Failure> {
    lane("lane", string("lane", value)?)
}

/// RFC 3339 text, or whole seconds since the Unix epoch, and nothing before it.
pub(super) fn moment(param: &str, value: &Value) -> Result<Timestamp, Failure> {
    let parsed = match value {
        Value::String(text) => Timestamp::parse(text).ok(),
        Value::Number(number) => number.as_i64().map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000))),
        _ => None,
    };
    parsed.filter(|moment| moment.as_millis() >= 0).ok_or_else(|| {
        let message =
            format!("expected RFC 3339 like 2026-01-31T12:00:00Z or Unix seconds, found {}", kind_or_number(value));
        Failure::invalid(param, message)
    })
}

pub(super) fn session(value: &Value) -> Result<String, Failure> {
    let text = string("session", value)?;
    if !is_session_name(text) {
        let message = format!("expected 1 to {LONGEST_SESSION} characters, none of them a control character");
        return Err(Failure::invalid("session", message));
    }
    Ok(text.to_owned())
}

/// Whether a session may have this name.
pub(crate) fn is_session_name(name: &str) -> bool {
    (1..=LONGEST_SESSION).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

pub(super) fn on_ambiguous(value: &Value) -> Result<OnAmbiguous, Failure> {
    match string("on_ambiguous", value)? {
        "retry" => Ok(OnAmbiguous::Retry),
        "fail" => Ok(OnAmbiguous::Fail),
        _ => Err(Failure::invalid("on_ambiguous", "expected one of retry, fail")),
    }
}

/// At most 16 labels of a text each.
pub(crate) fn metadata(value: &Value) -> Result<BTreeMap<String, String>, Failure> {
    let Value::Object(labels) = value else { return Err(expected("metadata", "an object of strings", value)) };
    if labels.len() > MOST_LABELS {
        let message = format!("expected at most {MOST_LABELS} labels, found {}", labels.len());
        return Err(Failure::invalid("metadata", message));
    }
    labels.iter().map(|(name, value)| Ok((label_name(name)?, label_value(name, value)?))).collect()
}

fn label_name(name: &str) -> Result<String, Failure> {
    if (1..=LONGEST_LABEL).contains(&name.chars().count()) {
        return Ok(name.to_owned());
    }
    Err(Failure::invalid("metadata", format!("names of labels have 1 to {LONGEST_LABEL} characters")))
}

fn label_value(name: &str, value: &Value) -> Result<String, Failure> {
    let param = format!("metadata.{name}");
    let text = string(&param, value)?;
    if text.chars().count() > LONGEST_LABEL_VALUE {
        return Err(Failure::invalid(param, format!("expected at most {LONGEST_LABEL_VALUE} characters")));
    }
    Ok(text.to_owned())
}

pub(super) fn string<'a>(param: &str, value: &'a Value) -> Result<&'a str, Failure> {
    value.as_str().ok_or_else(|| expected(param, "a string", value))
}

pub(super) fn expected(param: &str, what: &str, value: &Value) -> Failure {
    Failure::invalid(param, format!("expected {what}, found {}", kind_or_number(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_read_in_both_forms() {
        let expected = Timestamp::from_millis(1_769_860_800_000);
        assert_eq!(moment("deadline", &json!("2026-01-31T12:00:00Z")), Ok(expected));
        assert_eq!(moment("deadline", &json!(1_769_860_800)), Ok(expected));
        for early in [json!(-1), json!(i64::MIN), json!("-1"), json!("0000-01-01T00:00:00Z")] {
            assert!(moment("not_before", &early).is_err(), "{early}");
        }
        let failure = moment("deadline", &json!(1.5)).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some("deadline"));
        assert!(moment("deadline", &json!("tomorrow, and a secret")).unwrap_err().message.ends_with("found a string"));
    }

    #[test]
    fn labels_are_few_and_short() {
        let many: serde_json::Map<_, _> = (0..17).map(|label| (label.to_string(), json!("x"))).collect();
        assert!(metadata(&Value::Object(many)).is_err());
        assert!(metadata(&json!({"x".repeat(65): "x"})).is_err());
        assert_eq!(metadata(&json!({"a": "x".repeat(513)})).unwrap_err().param.as_deref(), Some("metadata.a"));
        assert_eq!(metadata(&json!({"a": 1})).unwrap_err().message, "metadata.a: expected a string, found 1");
        assert_eq!(metadata(&json!({"ä": "x".repeat(512)})).unwrap().len(), 1);
    }

    #[test]
    fn sessions_are_short_and_printable() {
        assert_eq!(session(&json!("chat 7")).unwrap(), "chat 7");
        for bad in [json!(""), json!("x".repeat(129)), json!("a\u{0}b"), json!(7)] {
            assert!(session(&bad).is_err(), "{bad}");
        }
    }
}
