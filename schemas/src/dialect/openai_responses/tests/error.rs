//! Errors, which have the shape of the chat completions': only what they add is tested here.

use std::time::Duration;

use serde_json::json;

use crate::dialect::classify::Class;
use crate::dialect::openai_responses::{classify, encode_error};
use crate::error::{ErrorCode, Failure};

#[test]
fn the_body_that_libraries_read() {
    let failure = Failure::invalid("input[3].call_id", "required, but absent or null");
    let expected = json!({"error": {
        "message": "input[3].call_id: required, but absent or null", "type": "invalid_request_error",
        "param": "input[3].call_id", "code": "invalid_request",
    }});
    assert_eq!(encode_error(&failure), expected);
}

#[test]
fn the_class_of_this_apis_errors() {
    let found = |status: u16, code: &str| {
        let body = json!({"error": {"message": "m", "type": "x", "param": null, "code": code}}).to_string();
        let found = classify(status, Some(Duration::from_secs(7)), body.as_bytes());
        (found.failure.code, found.class)
    };
    assert_eq!(found(400, "previous_response_not_found"), (ErrorCode::ProviderRejected, Class::Fatal));
    assert_eq!(found(400, "image_content_policy_violation").0, ErrorCode::ContentFiltered);
    assert_eq!(found(429, "rate_limit_exceeded").1, Class::Retry { after: Some(Duration::from_secs(7)) });
}
