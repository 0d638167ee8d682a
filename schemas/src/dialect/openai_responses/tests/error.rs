//! Errors, which have the shape of the chat completions': only what they add is tested here.

use std::time::Duration;

use serde_json::json;

use super::reply;
use crate::dialect::classify::Class;
use crate::dialect::openai_responses::{Reply, Status, classify, encode_error, encode_without_output};
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
fn a_failed_answer_tells_why_in_words_that_clients_act_on() {
    let code = |code: ErrorCode, message: &str| {
        let reply = Reply { status: Status::Failed(Failure::new(code, message)), ..reply() };
        let body = encode_without_output(&reply);
        body["error"]["code"].as_str().map(str::to_owned)
    };
    let too_long = "context_length_exceeded: 9 tokens of 8";
    for whose in [ErrorCode::InvalidRequest, ErrorCode::ProviderRejected] {
        assert_eq!(code(whose, too_long).as_deref(), Some("context_length_exceeded"));
    }
    assert_eq!(code(ErrorCode::InvalidRequest, "no").as_deref(), Some("invalid_prompt"));
    assert_eq!(code(ErrorCode::BudgetExceeded, "spent").as_deref(), Some("insufficient_quota"));
    assert_eq!(code(ErrorCode::ProviderRateLimited, "slow").as_deref(), Some("rate_limit_exceeded"));
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
