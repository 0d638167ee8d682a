//! Whole answers: identity, the body that official clients read, and what is none.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixtures::whole_response;
use super::{reply, strategy};
use crate::chat::{Block, ChatResponse, Extra, FinishReason, Reasoning};
use crate::dialect::openai_responses::{
    ClientOptions, NAME, Reply, Status, decode_request, decode_response, encode_response, encode_without_output,
};
use crate::error::{ErrorCode, Failure};

fn decode(body: &Value) -> Result<ChatResponse, Failure> {
    decode_response(body.to_string().as_bytes())
}

fn with_output(output: Value) -> Value {
    json!({"id": "r1", "model": "m", "status": "completed", "output": output})
}

proptest! {
    #[test]
    fn there_and_back_is_identity(response in strategy::response()) {
        let body = encode_response(&response, &Reply { model: response.model.clone(), ..reply() });
        prop_assert_eq!(decode_response(&serde_json::to_vec(&body).unwrap()), Ok(response));
    }
}

#[test]
fn the_whole_body() {
    let response = decode(&whole_response()).unwrap();
    insta::assert_json_snapshot!("neutral_response", response);
    insta::assert_json_snapshot!("client_response", encode_response(&response, &reply()));
}

#[test]
fn proofs_are_shown_to_those_who_asked() {
    let response = decode(&whole_response()).unwrap();
    let shown = |store: bool, include: &[&str]| {
        let include = include.iter().map(|word| (*word).to_owned()).collect();
        let options = ClientOptions { store, include, ..ClientOptions::default() };
        encode_response(&response, &Reply { options, ..reply() })["output"][0].get("encrypted_content").is_some()
    };
    assert!(shown(false, &[]) && shown(true, &["reasoning.encrypted_content"]) && !shown(true, &[]));
}

#[test]
fn a_foreign_proof_survives_its_client() {
    let proof =
        Reasoning { signature: Some("sig".to_owned()), dialect: Some("anthropic".to_owned()), ..Reasoning::text("hm") };
    let mut response = decode(&with_output(json!([]))).unwrap();
    response.message.content.push(Block::Reasoning(proof.clone()));
    let body = encode_response(&response, &reply());
    assert!(body["output"][0]["encrypted_content"].as_str().unwrap().starts_with("pb1.anthropic."));
    let items = json!({"model": "m", "input": body["output"]});
    let sent_back = decode_request(items).unwrap().request.messages.remove(0).content;
    assert_eq!(sent_back, [Block::Reasoning(proof)]);
}

#[test]
fn citations_of_other_dialects_are_told_as_its_own() {
    let mut response = decode(&with_output(json!([]))).unwrap();
    let found =
        json!({"type": "web_search_result_location", "url": "https://host.test/a", "title": "A", "cited_text": "x"});
    let chat = json!({"type": "url_citation", "url_citation": {"url": "https://host.test/b", "start_index": 1, "end_index": 2}});
    let page = json!({"type": "page_location", "document_index": 0});
    let extra = Extra::from_iter([
        ("anthropic".to_owned(), json!({"annotations": [found, page]})),
        ("openai_chat".to_owned(), json!({"annotations": [chat]})),
    ]);
    response.message.content.push(Block::Text { text: "Grün.".to_owned(), extra });
    let told = encode_response(&response, &reply());
    let expected = json!([
        {"type": "url_citation", "start_index": 0, "end_index": 5, "title": "A", "url": "https://host.test/a"},
        {"type": "url_citation", "start_index": 1, "end_index": 2, "title": "", "url": "https://host.test/b"},
    ]);
    assert_eq!(told["output"][0]["content"][0]["annotations"], expected);
}

#[test]
fn answers_without_output() {
    let told = |status: Status| {
        let body = encode_without_output(&Reply { status, completed_at: Some(1_769_860_900), ..reply() });
        assert_eq!(body["output"], json!([]));
        format!("{} {} {}", body["status"], body["error"], body.get("completed_at").is_some())
    };
    let failed = |code| Status::Failed(Failure::new(code, "why"));
    let lines = [
        told(Status::Queued),
        told(Status::InProgress),
        told(Status::Completed),
        told(Status::Cancelled),
        told(failed(ErrorCode::ProviderOverloaded)),
        told(failed(ErrorCode::ProviderRateLimited)),
        told(failed(ErrorCode::ProviderRejected)),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    "queued" null false
    "in_progress" null false
    "completed" null true
    "cancelled" null false
    "failed" {"code":"server_error","message":"why"} false
    "failed" {"code":"rate_limit_exceeded","message":"why"} false
    "failed" {"code":"invalid_prompt","message":"why"} false
    "#);
    insta::assert_json_snapshot!("without_output", encode_without_output(&Reply { status: Status::Queued, ..reply() }));
}

#[test]
fn finish_reasons() {
    let finish = |body: Value| decode(&body).unwrap().finish;
    let call = json!({"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"});
    assert_eq!(finish(with_output(json!([]))), FinishReason::Stop);
    assert_eq!(finish(with_output(json!([call]))), FinishReason::ToolCalls);
    assert_eq!(finish(json!({"output": [call]})), FinishReason::ToolCalls);
    let incomplete =
        |reason: &str| json!({"status": "incomplete", "output": [call], "incomplete_details": {"reason": reason}});
    assert_eq!(finish(incomplete("max_output_tokens")), FinishReason::Length);
    assert_eq!(finish(incomplete("content_filter")), FinishReason::ContentFilter);
    let strange = decode(&incomplete("steered")).unwrap();
    assert_eq!(
        (strange.finish, &strange.extra[NAME]["incomplete_details"]["reason"]),
        (FinishReason::Length, &json!("steered"))
    );
    let told = encode_response(&strange, &reply());
    assert_eq!((&told["status"], &told["incomplete_details"]["reason"]), (&json!("incomplete"), &json!("steered")));
}

#[test]
fn unknown_parts_and_items_stay_as_they_are() {
    let part = json!({"type": "output_video", "url": "https://host.test/v"});
    let message = json!({"type": "message", "role": "assistant", "status": "completed", "content": [part]});
    let hologram = json!({"type": "hologram", "id": "h_1"});
    let response = decode(&with_output(json!([message, hologram]))).unwrap();
    let told = encode_response(&response, &reply());
    assert_eq!((&told["output"][0]["content"][0], &told["output"][1]), (&part, &hologram));
    assert!(told["output"][0]["id"].as_str().unwrap().ends_with("_0"));
}

#[test]
fn usage_that_tells_nothing_is_none() {
    let mut body = with_output(json!([]));
    body["usage"] = json!({});
    assert_eq!(decode(&body).unwrap().usage, None);
    body["usage"] = json!({"input_tokens": 3});
    assert_eq!(decode(&body).unwrap().usage.unwrap().input_tokens, 3);
}

#[test]
fn what_is_no_answer_is_a_failure() {
    let message = |content: Value| with_output(json!([{"type": "message", "role": "assistant", "content": content}]));
    let bodies = [
        String::new(),
        "<html>".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({"output": {}}).to_string(),
        json!({"output": ["my secret"]}).to_string(),
        json!({"output": [{}]}).to_string(),
        json!({"output": [], "status": "in_progress"}).to_string(),
        json!({"output": [], "status": "cancelled"}).to_string(),
        json!({"output": [], "status": "completed", "usage": {"input_tokens": -1}}).to_string(),
        json!({"output": [], "status": "failed", "error": {"code": "server_error", "message": "it broke"}}).to_string(),
        json!({"output": [], "status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}})
            .to_string(),
        json!({"output": [], "status": "failed", "error": {"code": "invalid_image", "message": "no image"}})
            .to_string(),
        json!({"error": {"message": "no capacity", "code": 429}}).to_string(),
        message(json!({"text": "my secret"})).to_string(),
        message(json!([{"type": "output_text"}])).to_string(),
        message(json!([{"type": "output_text", "text": "my secret", "annotations": {}}])).to_string(),
        with_output(json!([{"type": "function_call", "name": "f", "arguments": "my secret"}])).to_string(),
        message(json!([{"type": "output_text", "text": "my secret"}])).to_string()[..80].to_owned(),
    ];
    let told: Vec<_> = bodies.iter().map(|body| decode_response(body.as_bytes()).unwrap_err().to_string()).collect();
    assert!(told.iter().all(|told| !told.contains("secret")));
    insta::assert_snapshot!("bad_responses", told.join("\n"));
}
