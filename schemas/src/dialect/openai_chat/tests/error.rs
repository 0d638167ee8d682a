//! Errors: the body for every code, and the class of every kind of provider error.

use std::time::Duration;

use serde_json::{Value, json};
use strum::IntoEnumIterator;

use crate::dialect::classify::Class;
use crate::dialect::openai_chat::{classify, encode_error};
use crate::error::{CONTEXT_LENGTH_EXCEEDED, ErrorCode, Failure};

#[test]
fn the_body_of_every_code() {
    let bodies: Vec<_> = ErrorCode::iter()
        .map(|code| format!("{} {}", code.http_status(), encode_error(&Failure::new(code, "why"))))
        .chain([
            encode_error(&Failure { param: Some("model".to_owned()), ..Failure::new(ErrorCode::NotFound, "no m") })
                .to_string(),
            encode_error(&Failure::new(ErrorCode::ProviderRejected, format!("{CONTEXT_LENGTH_EXCEEDED}: x")))
                .to_string(),
        ])
        .collect();
    insta::assert_snapshot!("error_bodies", bodies.join("\n"));
}

fn openai(code: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": "x", "param": null, "code": code}})
}

#[test]
fn the_class_of_every_error() {
    let cases = [
        (400, openai("invalid_value", "bad field")),
        (400, openai("context_length_exceeded", "This model's maximum context length is 8192 tokens")),
        (400, json!({"object": "error", "message": "maximum context length is 4096 tokens", "code": 400})),
        (400, openai("content_policy_violation", "filtered")),
        (400, json!({"error": {"code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}})),
        (401, openai("invalid_api_key", "Incorrect API key provided: sk-abcdefgh1234.")),
        (402, json!({})),
        (403, json!({"error": "forbidden"})),
        (404, openai("model_not_found", "The model `m-1` does not exist")),
        (408, Value::Null),
        (409, Value::Null),
        (413, Value::Null),
        (422, json!({"detail": [{"loc": ["body"], "msg": "field required"}]})),
        (429, openai("rate_limit_exceeded", "slow down")),
        (429, openai("insufficient_quota", "pay")),
        (498, Value::Null),
        (500, json!([{"error": {"code": 500, "message": "Gemini broke", "status": "INTERNAL"}}])),
        (503, Value::Null),
        (504, Value::Null),
        (529, json!({"detail": "overloaded"})),
        (302, Value::Null),
    ];
    let told: Vec<_> = cases
        .into_iter()
        .map(|(status, body)| {
            let found = classify(status, Some(Duration::from_secs(7)), body.to_string().as_bytes());
            format!("{status} {:?} {}", found.class, found.failure)
        })
        .collect();
    insta::assert_snapshot!("classes", told.join("\n"));
}

#[test]
fn a_page_instead_of_a_body_is_not_repeated() {
    let found = classify(502, None, b"<html>secret</html>");
    assert_eq!(found.failure.message, "the provider answered 502");
    assert_eq!(found.class, Class::Retry { after: None });
}

#[test]
fn a_message_is_bounded() {
    let found = classify(400, None, openai("x", &"é ".repeat(5000)).to_string().as_bytes());
    assert!(found.failure.message.chars().count() <= 340);
}
