//! Whole answers: identity, the body that official libraries read, and what is no answer.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{RESPONSE, json, reply, strategy};
use crate::chat::{Block, ChatResponse, Extra, FinishReason, Message, Reasoning, Role, ToolCall, Usage};
use crate::dialect::anthropic::{NAME, Reply, decode_request, decode_response, encode_response};
use crate::error::Failure;

fn decode(body: &Value) -> Result<ChatResponse, Failure> {
    decode_response(body.to_string().as_bytes())
}

fn with(name: &str, value: Value) -> Value {
    let mut body =
        json!({"id": "r1", "model": "m", "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn"});
    body[name] = value;
    body
}

proptest! {
    #[test]
    fn there_and_back_is_identity(response in strategy::response()) {
        let reply = Reply { id: response.id.clone().unwrap(), model: response.model.clone(), ..reply() };
        let body = encode_response(&response, &reply);
        prop_assert_eq!(decode_response(&serde_json::to_vec(&body).unwrap()), Ok(response));
    }
}

#[test]
fn the_whole_body() {
    let response = decode(&json(RESPONSE)).unwrap();
    insta::assert_json_snapshot!("neutral_response", response);
    let body = encode_response(&response, &reply());
    insta::assert_json_snapshot!("client_response", body);
    // A client sends back what it was answered.
    let asked = json!({"model": "m", "max_tokens": 1, "messages": [
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": body["content"]},
    ]});
    let decoded = decode_request(asked).unwrap();
    assert_eq!(decoded.request.messages[1].content, response.message.content);
    assert_eq!(decoded.unknown, [""; 0]);
}

#[test]
fn stop_reasons() {
    let table = [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("pause_turn", FinishReason::Stop),
        ("compaction", FinishReason::Stop),
        ("reason_of_tomorrow", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("tool_use", FinishReason::ToolCalls),
        ("refusal", FinishReason::ContentFilter),
    ];
    for (word, finish) in table {
        let response = decode(&with("stop_reason", json!(word))).unwrap();
        assert_eq!(response.finish, finish, "{word}");
        assert_eq!(encode_response(&response, &reply())["stop_reason"], word);
        // A word that contradicts what became of the answer is not repeated.
        let cut = ChatResponse { finish: FinishReason::Length, ..response };
        assert_ne!(encode_response(&cut, &reply())["stop_reason"], "end_turn");
    }
}

fn foreign(content: Vec<Block>, finish: FinishReason) -> ChatResponse {
    let usage = Usage { input_tokens: 10, cached_tokens: 4, output_tokens: 2, ..Usage::default() };
    ChatResponse {
        id: None,
        model: "gpt".to_owned(),
        message: Message { role: Role::Assistant, content, name: None, extra: Extra::new() },
        finish,
        usage: Some(usage),
        logprobs: vec![json!({"token": "x"})],
        extra: Extra::from_iter([("openai_chat".to_owned(), json!({"system_fingerprint": "fp"}))]),
    }
}

#[test]
fn the_answer_of_another_dialect() {
    let call = |arguments: &str| {
        let (id, name) = ("call_1".to_owned(), "f".to_owned());
        Block::ToolCall(ToolCall { id, name, arguments: arguments.to_owned(), extra: Extra::new() })
    };
    let hidden = |text: &str, redacted| {
        Block::Reasoning(Reasoning {
            text: text.to_owned(),
            signature: Some("enc".to_owned()),
            dialect: Some("openai_responses".to_owned()),
            id: Some("rs_1".to_owned()),
            redacted,
            extra: Extra::new(),
        })
    };
    let cited = Extra::from_iter([(
        "openai_chat".to_owned(),
        json!({"annotations": [
            {"type": "url_citation", "url_citation": {"url": "https://host.test", "title": "T"}}, {"type": "file_citation"},
        ]}),
    )]);
    let response = foreign(
        vec![
            hidden("hm", false),
            hidden("", true),
            Block::Reasoning(Reasoning::text("bare")),
            Block::Text { text: "hi".to_owned(), extra: cited },
            Block::Opaque { dialect: "openai_responses".to_owned(), value: json!({"type": "web_search_call"}) },
            call("{\"a\": 1}"),
            call("free text"),
            call(""),
        ],
        FinishReason::Stop,
    );
    let body = encode_response(&response, &reply());
    insta::assert_json_snapshot!("foreign_response", body);
    let refused = foreign(vec![Block::Refusal { text: "No.".to_owned() }], FinishReason::Stop);
    let body = encode_response(&refused, &reply());
    assert_eq!((&body["stop_reason"], &body["content"][0]["text"]), (&json!("refusal"), &json!("No.")));
    let silent = ChatResponse { usage: None, ..refused };
    assert_eq!(encode_response(&silent, &reply())["usage"]["output_tokens"], 0);
}

#[test]
fn tokens_of_the_cache_are_counted_in() {
    let usage = |usage: Value| decode(&with("usage", usage)).unwrap().usage;
    let counts =
        json!({"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 7});
    let expected =
        Usage { input_tokens: 15, output_tokens: 2, cached_tokens: 5, cache_write_tokens: 7, reasoning_tokens: 0 };
    assert_eq!(usage(counts), Some(expected));
    assert_eq!(usage(json!({})), None);
    assert_eq!(usage(Value::Null), None);
}

#[test]
fn what_is_no_answer_is_a_failure() {
    let bodies = [
        "".to_owned(),
        "<html>".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({"content": []}).to_string(),
        with("content", json!({})).to_string(),
        with("content", json!([{"text": "my secret"}])).to_string(),
        with("content", json!([{"type": "text", "text": {"my": "secret"}}])).to_string(),
        with("content", json!([{"type": "tool_use", "id": "a", "name": "f", "input": "my secret"}])).to_string(),
        with("stop_reason", Value::Null).to_string(),
        with("stop_reason", json!(7)).to_string(),
        with("usage", json!({"input_tokens": -1})).to_string(),
        with("content", json!("my secret")).to_string()[..50].to_owned(),
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}).to_string(),
        json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}).to_string(),
        json!({"error": "it broke"}).to_string(),
    ];
    let told: Vec<_> = bodies.iter().map(|body| decode_response(body.as_bytes()).unwrap_err().to_string()).collect();
    assert!(told.iter().all(|told| !told.contains("secret")));
    insta::assert_snapshot!("bad_responses", told.join("\n"));
}

#[test]
fn a_provider_may_answer_with_any_block() {
    let kinds = ["image", "document", "tool_result", "block_of_tomorrow"];
    let content: Vec<_> = kinds.iter().map(|kind| json!({"type": kind, "x": 1})).collect();
    let response = decode(&with("content", json!(content))).unwrap();
    assert_eq!(encode_response(&response, &reply())["content"], json!(content));
}

#[test]
fn a_providers_proof_is_its_own_whatever_it_looks_like() {
    let looks_wrapped = "pb1.openai_responses.eyJzaWduYXR1cmUiOiJlbmMifQ";
    let content = json!([{"type": "thinking", "thinking": "x", "signature": looks_wrapped}]);
    let response = decode(&with("content", content)).unwrap();
    let Block::Reasoning(reasoning) = &response.message.content[0] else { panic!("no reasoning") };
    assert_eq!((reasoning.signature.as_deref(), reasoning.dialect.as_deref()), (Some(looks_wrapped), Some(NAME)));
}
