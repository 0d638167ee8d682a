//! Reading a JSON body that nobody vouches for: its depth and its number of values are bounded before anything is
//! built from it, and every fault names its place. A repeated key is not a fault; the last one counts.

use bytes::Bytes;
use schemas::error::{ErrorCode, Failure};
use schemas::json::kind;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// Bytes that one small value costs when it is built, its key and the growth of what it stands in included.
const VALUE_COST: usize = 256;
/// However small bodies are configured, this many values may stand in one.
const LEAST_VALUES: usize = 65_536;

/// What a body may be made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Deepest nesting of arrays and objects.
    pub(crate) depth: usize,
    /// Most values, keys included.
    pub(crate) values: usize,
}

impl Limits {
    /// The limits that go with bodies of at most `max_body_bytes`, so that no body grows far beyond its size when built.
    pub(crate) fn new(depth: usize, max_body_bytes: usize) -> Self {
        Self { depth, values: (max_body_bytes / VALUE_COST).max(LEAST_VALUES) }
    }
}

/// A body that was looked through and found to be JSON of a bearable size.
#[derive(Debug)]
pub(crate) struct Checked {
    body: Bytes,
    values: usize,
}

/// Looks `body` through without building anything of it.
///
/// # Errors
/// `invalid_request` for what is no JSON, `payload_too_large` for too many values.
pub(crate) fn check(body: Bytes, limits: Limits) -> Result<Checked, Failure> {
    let text = str::from_utf8(&body)
        .map_err(|error| invalid(format!("the body is not UTF-8: bad byte at offset {}", error.valid_up_to())))?;
    if text.trim_ascii().is_empty() {
        return Err(invalid("the body is empty: expected a JSON object"));
    }
    let Shape { depth, values } = measure(&body);
    if depth > limits.depth {
        return Err(invalid(format!("the body nests {depth} levels deep, {} are allowed", limits.depth)));
    }
    if values > limits.values {
        let message = format!("the body holds {values} JSON values, {} are allowed", limits.values);
        return Err(Failure::new(ErrorCode::PayloadTooLarge, message));
    }
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| malformed(&error))?;
    Ok(Checked { body, values })
}

impl Checked {
    /// What it costs to build, in bytes of memory.
    pub(crate) fn cost(&self) -> usize {
        self.body.len().saturating_add(self.values.saturating_mul(VALUE_COST))
    }

    /// The object that the body is.
    ///
    /// # Errors
    /// `invalid_request` when it is something else.
    pub(crate) fn build(&self) -> Result<Map<String, Value>, Failure> {
        match serde_json::from_slice(&self.body).map_err(|error| malformed(&error))? {
            Value::Object(object) => Ok(object),
            other => Err(invalid(format!("expected a JSON object, found {}", kind(&other)))),
        }
    }
}

fn malformed(error: &serde_json::Error) -> Failure {
    // The parser's words tell the fault and its place, and never repeat the text.
    invalid(format!("the body is not valid JSON: {error}"))
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::InvalidRequest, message)
}

/// How deep a text nests, and an upper bound of the values in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    depth: usize,
    values: usize,
}

/// One pass over the bytes, without a stack. For text that is not JSON the numbers are those of its brackets, which
/// is all that a parser could be made to build of it.
fn measure(text: &[u8]) -> Shape {
    let (mut depth, mut shape) = (0_usize, Shape { depth: 0, values: 1 });
    let (mut in_string, mut escaped) = (false, false);
    for &byte in text {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                shape.depth = shape.depth.max(depth);
                shape.values += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' | b':' => shape.values += 1,
            _ => {}
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { depth: 8, values: 64 };

    fn parse_object(body: &[u8], limits: Limits) -> Result<Map<String, Value>, Failure> {
        check(Bytes::copy_from_slice(body), limits)?.build()
    }

    fn message(body: &[u8]) -> String {
        parse_object(body, LIMITS).unwrap_err().message
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        assert_eq!(message(b" \n"), "the body is empty: expected a JSON object");
        assert_eq!(message(b"[1]"), "expected a JSON object, found an array");
        assert_eq!(message(b"{\"a\": \"\xff\"}"), "the body is not UTF-8: bad byte at offset 7");
        assert_eq!(
            message(b"{\"a\":\n tru"),
            "the body is not valid JSON: EOF while parsing a value at line 2 column 4"
        );
        assert_eq!(message(b"{} {}"), "the body is not valid JSON: trailing characters at line 1 column 4");
        assert_eq!(
            message(br#"{"a": "\ud800"}"#),
            "the body is not valid JSON: unexpected end of hex escape at line 1 column 14"
        );
    }

    #[test]
    fn depth_and_count_are_bounded_before_parsing() {
        let deep = "[".repeat(100_000);
        assert_eq!(message(deep.as_bytes()), "the body nests 100000 levels deep, 8 are allowed");
        let wide = format!("{{\"a\":[{}1]}}", "1,".repeat(64));
        let failure = parse_object(wide.as_bytes(), LIMITS).unwrap_err();
        assert_eq!(failure.code, ErrorCode::PayloadTooLarge);
    }

    #[test]
    fn brackets_within_strings_do_not_count() {
        let body = br#"{"a": "[[[[[[[[[[[[{{{{{{{{\"[[[[[", "b\\": ["[\\"]}"#;
        assert_eq!(measure(body).depth, 2);
        assert!(parse_object(body, LIMITS).is_ok());
    }

    fn depth_of(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
            Value::Object(fields) => 1 + fields.values().map(depth_of).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn count_of(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(count_of).sum::<usize>(),
            Value::Object(fields) => 1 + fields.len() + fields.values().map(count_of).sum::<usize>(),
            _ => 1,
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                proptest::collection::vec((".*", inner), 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_scanner_agrees_with_the_parser(value in any_json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let shape = measure(text.as_bytes());
            prop_assert_eq!(shape.depth, depth_of(&value));
            prop_assert!(shape.values >= count_of(&value));
            prop_assert!(shape.values <= 2 * count_of(&value));
        }

        #[test]
        fn any_bytes_are_an_object_or_a_failure(body: Vec<u8>) {
            let _ = parse_object(&body, LIMITS);
        }

        #[test]
        fn every_cut_of_a_body_is_refused(value in any_json(), share in 0.0_f64..1.0) {
            let text = serde_json::json!({ "field": value }).to_string();
            let cut = (text.len() as f64 * share) as usize;
            let limits = Limits { depth: 64, values: 1 << 20 };
            prop_assert!(parse_object(&text.as_bytes()[..cut], limits).is_err());
        }
    }
}
