//! Whole answers: identity, the body that official clients read, and providers' oddities.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{reply, strategy};
use crate::chat::{Block, ChatResponse, Extra, FinishReason, ToolCall};
use crate::dialect::openai_chat::{ClientOptions, NAME, Reply, decode_response, encode_response};
use crate::error::{ErrorCode, Failure};

fn decode(body: &Value) -> Result<ChatResponse, Failure> {
    decode_response(body.to_string().as_bytes())
}

fn with_message(message: Value) -> Value {
    json!({"id": "r1", "model": "m", "choices": [{"message": message, "finish_reason": "stop"}]})
}

proptest! {
    #[test]
    fn there_and_back_is_identity(response in strategy::response()) {
        let reply = Reply { id: response.id.clone().unwrap(), model: response.model.clone(), ..reply() };
        let body = encode_response(&response, &reply);
        prop_assert_eq!(decode_response(&serde_json::to_vec(&body).unwrap()), Ok(response));
    }
}

fn rich() -> Value {
    json!({
        "id": "chatcmpl-upstream", "object": "chat.completion", "created": 1, "model": "gpt-test-2026", "service_tier": "default",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
            "role": "assistant", "content": "let me see", "refusal": null, "annotations": [], "reasoning": "hm",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "free text"}},
            ],
        }}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 2}},
    })
}

#[test]
fn the_whole_body() {
    let response = decode(&rich()).unwrap();
    insta::assert_json_snapshot!("neutral_response", response);
    insta::assert_json_snapshot!("client_response", encode_response(&response, &reply()));
    let options = ClientOptions { legacy_functions: true, ..ClientOptions::default() };
    let legacy = encode_response(&response, &Reply { options, ..reply() });
    assert_eq!(legacy["choices"][0]["message"]["function_call"], json!({"name": "f", "arguments": "{\"a\": 1}"}));
    assert_eq!(legacy["choices"][0]["finish_reason"], "function_call");
    assert!(legacy["choices"][0]["message"].get("tool_calls").is_none());
}

#[test]
fn an_answer_without_a_word_is_an_empty_text() {
    let response = decode(&with_message(json!({"role": "assistant", "content": null}))).unwrap();
    assert!(response.message.content.is_empty());
    assert_eq!(encode_response(&response, &reply())["choices"][0]["message"]["content"], "");
}

#[test]
fn calls_without_an_id_get_one() {
    let calls = json!([{"id": "", "function": {"name": "f", "arguments": {"a": 1}}}, {"function": {"name": "g"}}]);
    let response = decode(&with_message(json!({"content": null, "tool_calls": calls}))).unwrap();
    let call = |id: &str, name: &str, arguments: &str| {
        Block::ToolCall(ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            extra: Extra::new(),
        })
    };
    assert_eq!(response.message.content, [call("call_r1_0", "f", "{\"a\":1}"), call("call_r1_1", "g", "")]);
    let old = json!({"content": null, "function_call": {"name": "f", "arguments": "{}"}});
    assert_eq!(decode(&with_message(old)).unwrap().message.content, [call("call_r1_0", "f", "{}")]);
}

#[test]
fn finish_reasons() {
    let finish = |word: &str| {
        let mut body = with_message(json!({"content": "x"}));
        body["choices"][0]["finish_reason"] = json!(word);
        decode(&body)
    };
    assert_eq!(finish("model_length").unwrap().finish, FinishReason::Length);
    assert_eq!(finish("content_filter").unwrap().finish, FinishReason::ContentFilter);
    let strange = finish("eos").unwrap();
    assert_eq!((strange.finish, &strange.extra[NAME]["finish_reason"]), (FinishReason::Stop, &json!("eos")));
    assert_eq!(encode_response(&strange, &reply())["choices"][0]["finish_reason"], "stop");
    assert_eq!(finish("error").unwrap_err().code, ErrorCode::ProviderInvalidResponse);
}

#[test]
fn reasoning_left_out_of_the_count_is_put_back() {
    let usage = |usage: Value| {
        let mut body = with_message(json!({"content": "x"}));
        body["usage"] = usage;
        decode(&body).unwrap().usage
    };
    let details = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40,
        "completion_tokens_details": {"reasoning_tokens": 25}});
    assert_eq!(usage(details).unwrap().output_tokens, 30);
    let hits = json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8});
    assert_eq!(usage(hits).unwrap().cached_tokens, 8);
    assert_eq!(usage(json!({})), None);
}

#[test]
fn what_is_no_answer_is_a_failure() {
    let bodies = [
        "".to_owned(),
        "<html>".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({"choices": []}).to_string(),
        json!({"choices": {}}).to_string(),
        json!({"choices": [{}]}).to_string(),
        json!({"choices": [{"message": "hi", "finish_reason": "stop"}]}).to_string(),
        json!({"choices": [{"message": {"content": "my secret"}}]}).to_string(),
        json!({"choices": [{"message": {"content": "x"}, "finish_reason": 1}]}).to_string(),
        with_message(json!({"content": {"text": "my secret"}})).to_string(),
        with_message(json!({"tool_calls": [{"function": {"arguments": "my secret"}}]})).to_string(),
        with_message(json!({"content": "my secret"})).to_string()[..60].to_owned(),
        json!({"error": {"message": "no capacity", "code": 429}}).to_string(),
        json!({"error": "it broke"}).to_string(),
    ];
    let told: Vec<_> = bodies.iter().map(|body| decode_response(body.as_bytes()).unwrap_err().to_string()).collect();
    assert!(told.iter().all(|told| !told.contains("secret")));
    insta::assert_snapshot!("bad_responses", told.join("\n"));
}
