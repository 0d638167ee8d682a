//! Errors: the body for every code, and the class of every kind of provider error.

use std::time::Duration;

use serde_json::{Value, json};
use strum::IntoEnumIterator;

use crate::dialect::anthropic::{classify, encode_error};
use crate::dialect::classify::Class;
use crate::error::{ErrorCode, Failure};

#[test]
fn the_body_of_every_code() {
    let bodies = ErrorCode::iter()
        .map(|code| format!("{} {code} {}", code.http_status(), encode_error(&Failure::new(code, "why"))));
    insta::assert_snapshot!("error_bodies", bodies.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_conversation_that_is_too_long_is_told_in_this_apis_words() {
    let failure = Failure {
        param: Some("messages".to_owned()),
        ..Failure::new(ErrorCode::InvalidRequest, "context_length_exceeded: 9 tokens of 8")
    };
    let expected = json!({"type": "invalid_request_error", "message": "prompt is too long: 9 tokens of 8"});
    assert_eq!(encode_error(&failure)["error"], expected);
    // Which a gateway of ours behind another understands.
    let body = encode_error(&failure).to_string();
    assert!(classify(400, None, body.as_bytes()).failure.about_length().is_some());
}

fn error(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message, "details": null}, "request_id": "req_1"})
}

#[test]
fn the_class_of_every_error() {
    let invalid = |message: &str| error("invalid_request_error", message);
    let cases = [
        (400, invalid("max_tokens: Field required")),
        (400, invalid("prompt is too long: 210000 tokens > 200000 maximum")),
        (400, invalid("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000")),
        (400, invalid("Your credit balance is too low to access the Anthropic API.")),
        (400, invalid("You have reached your specified API usage limits.")),
        (400, invalid("Output blocked by content filtering policy")),
        (400, json!({"message": "Input is too long for requested model."})),
        (401, error("authentication_error", "invalid x-api-key sk-ant-api03-abcdefgh")),
        (402, error("billing_error", "pay")),
        (403, error("permission_error", "no access")),
        (404, error("not_found_error", "model: claude-9")),
        (408, Value::Null),
        (409, error("conflict_error", "busy")),
        (413, error("request_too_large", "Request exceeds the maximum size")),
        (429, error("rate_limit_error", "slow down")),
        (500, error("api_error", "Internal server error")),
        (503, json!({"error": {"code": 503, "message": "Vertex is busy", "status": "UNAVAILABLE"}})),
        (504, error("timeout_error", "slow")),
        (529, error("overloaded_error", "Overloaded")),
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
    let found = classify(400, None, error("x", &"é ".repeat(5000)).to_string().as_bytes());
    assert!(found.failure.message.chars().count() <= 340);
}
