//! The native submit: the fields of a chat request and our own. Unlike the APIs we imitate it refuses what it does not
//! know, and says what was probably meant.

use schemas::dialect::openai_chat::{self, KNOWN_FIELDS};
use schemas::error::Failure;
use serde_json::{Map, Value};

use super::Submission;
use super::{context, fields};

/// Our own fields.
const FIELDS: [&str; 7] = ["lane", "not_before", "deadline", "session", "context", "metadata", "on_ambiguous"];
/// Names further apart than this are no typing errors.
const FARTHEST: usize = 3;
/// Bytes of an unknown name beyond which nothing is suggested, and characters of it that an answer shows. The distance
/// takes the product of both lengths, and a name is as long as a body may be.
const LONGEST_NAME: usize = 64;

/// The submission in the body of `POST /v1/jobs`.
pub(crate) fn decode(mut object: Map<String, Value>) -> Result<Submission, Failure> {
    refuse_unknown(&object, FIELDS.iter().chain(KNOWN_FIELDS))?;
    let mut submission = Submission::default();
    for name in FIELDS {
        let Some(value) = object.remove(name).filter(|value| !value.is_null()) else { continue };
        match name {
            "lane" => submission.lane = fields::lane_of(&value)?,
            "not_before" => submission.not_before = Some(fields::moment(name, &value)?),
            "deadline" => submission.deadline = Some(fields::moment(name, &value)?),
            "session" => submission.session = Some(fields::session(&value)?),
            "context" => submission.context = context::context(&value)?,
            "metadata" => submission.metadata = fields::metadata(&value)?,
            _ => submission.on_ambiguous = fields::on_ambiguous(&value)?,
        }
    }
    let decoded = openai_chat::decode_request(Value::Object(object))?;
    if let Some(path) = decoded.unknown.first() {
        return Err(Failure::invalid(path, "unknown field"));
    }
    submission.request = decoded.request;
    submission.warnings = decoded.warnings;
    Ok(submission)
}

/// Refuses a field that is not among `names`.
pub(super) fn refuse_unknown<'a>(
    object: &Map<String, Value>,
    names: impl Iterator<Item = &'a &'a str> + Clone,
) -> Result<(), Failure> {
    match object.keys().find(|name| !names.clone().any(|known| known == name)) {
        None => Ok(()),
        Some(name) => {
            let (name, message) = unknown(name, names);
            Err(Failure::invalid(name, message))
        }
    }
}

/// The name of a field that is none of `names`, as it may stand in an answer, and what to say of it.
pub(super) fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a &'a str>) -> (String, String) {
    let short = name.len() <= LONGEST_NAME;
    let nearest = names.filter(|_| short).map(|known| (strsim::levenshtein(name, known), *known)).min();
    let message = match nearest {
        Some((distance, meant)) if distance <= FARTHEST && distance < meant.len() => {
            format!("unknown field: did you mean {meant}?")
        }
        _ => "unknown field".to_owned(),
    };
    (shortened(name), message)
}

/// A field's name as it may stand in an answer: it is the client's, and of any length.
fn shortened(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::job::{Lane, OnAmbiguous};
    use serde_json::json;

    fn decoded(body: Value) -> Result<Submission, Failure> {
        let Value::Object(object) = body else { panic!("not an object") };
        decode(object)
    }

    fn with(extra: Value) -> Value {
        let mut body = json!({"model": "echo", "messages": [{"role": "user", "content": "hello"}]});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    #[test]
    fn our_fields_and_the_chat_fields_are_read_together() {
        let body = with(json!({
            "temperature": 0.5, "stream": true, "lane": "high", "session": "s", "deadline": 4_000_000_000_i64,
            "metadata": {"a": "b"}, "on_ambiguous": "fail", "context": {"budget": 100}, "not_before": null
        }));
        let submission = decoded(body).unwrap();
        assert_eq!(submission.lane, Lane::High);
        assert_eq!(submission.session.as_deref(), Some("s"));
        assert_eq!(submission.deadline.unwrap().as_secs(), 4_000_000_000);
        assert_eq!(submission.metadata["a"], "b");
        assert_eq!(submission.on_ambiguous, OnAmbiguous::Fail);
        assert_eq!(submission.context.budget, Some(100));
        assert_eq!(submission.not_before, None);
        assert_eq!(submission.request.sampling.temperature, Some(0.5));
        assert!(submission.request.stream && !submission.synchronous);
        assert!(submission.request.extra.is_empty(), "our fields are not passed on");
    }

    #[test]
    fn an_unknown_field_is_named_with_what_was_meant() {
        let failure = decoded(with(json!({"dedline": 1}))).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some("dedline"));
        assert_eq!(failure.message, "dedline: unknown field: did you mean deadline?");
        let failure = decoded(with(json!({"frobnicate": 1}))).unwrap_err();
        assert_eq!(failure.message, "frobnicate: unknown field");
        let failure = decoded(with(json!({"x".repeat(10_000): 1}))).unwrap_err();
        assert_eq!(failure.param.unwrap().len(), 64);
    }

    #[test]
    fn a_long_name_is_compared_with_nothing() {
        let known = "x".repeat(LONGEST_NAME);
        let said = |name: &str| unknown(name, [&known.as_str()].into_iter()).1;
        assert_eq!(said(&known[1..]), format!("unknown field: did you mean {known}?"));
        assert_eq!(said(&format!("{known}x")), "unknown field");
    }

    #[test]
    fn a_field_unknown_further_down_is_named_by_its_path() {
        let body = json!({"model": "echo", "messages": [{"role": "user", "content": "hi", "mood": "good"}]});
        assert_eq!(decoded(body).unwrap_err().param.as_deref(), Some("messages[0].mood"));
    }
}
