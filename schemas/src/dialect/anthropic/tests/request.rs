//! Requests of clients: identity, the neutral form, every refusal.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{REQUEST, json, strategy};
use crate::catalog::Quirks;
use crate::chat::{Block, ChatRequest, Message, Reasoning, Role, ToolChoice};
use crate::dialect::anthropic::{
    Decoded, KNOWN_FIELDS, NAME, decode_count_request, decode_request, encode_count, encode_request,
};
use crate::dialect::proof;
use crate::envelope;

fn with(name: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    body[name] = value;
    body
}

fn decode(body: Value) -> Decoded {
    decode_request(body).unwrap()
}

fn message(body: Value) -> Message {
    decode(with("messages", json!([body]))).request.messages.remove(0)
}

proptest! {
    #[test]
    fn there_and_back_is_identity(request in strategy::request()) {
        let (body, warnings) = encode_request(&request, &request.model, &Quirks::default());
        prop_assert_eq!(warnings, vec![]);
        let text = serde_json::to_vec(&body).unwrap();
        let decoded = decode_request(serde_json::from_slice(&text).unwrap()).unwrap();
        prop_assert_eq!(decoded.warnings, vec![]);
        prop_assert_eq!(decoded.request, request);
    }

    #[test]
    fn the_envelope_keeps_every_request(request in strategy::request()) {
        let bytes = envelope::encode(&request).unwrap();
        prop_assert_eq!(envelope::decode::<ChatRequest>(&bytes).unwrap(), request);
    }
}

#[test]
fn the_whole_body() {
    let decoded = decode(json(REQUEST));
    assert_eq!(decoded.unknown, ["x_vendor"]);
    assert_eq!(decoded.warnings, []);
    insta::assert_json_snapshot!("neutral_request", decoded.request);
    let (body, warnings) = encode_request(&decoded.request, "upstream", &Quirks::default());
    insta::assert_json_snapshot!("provider_request", json!({"body": body, "warnings": warnings}));
    assert!(KNOWN_FIELDS.is_sorted());
}

#[test]
fn unknown_things_are_carried_and_listed() {
    let body = json!({
        "model": "m", "max_tokens": 1, "x": 1, "thinking": {"type": "tomorrow"}, "output_format": {"type": "grammar"},
        "tools": [{"name": "f", "input_schema": {}, "x": 1}], "tool_choice": {"type": "auto", "x": 1},
        "messages": [{"role": "user", "x": 1, "content": [
            {"type": "text", "text": "a", "x": 1},
            {"type": "hologram", "x": 1},
            {"type": "image", "x": 1, "source": {"type": "url", "url": "https://h.test", "x": 1}},
        ]}],
    });
    let decoded = decode(body);
    insta::assert_json_snapshot!(
        "unknown_things",
        json!({
            "unknown": decoded.unknown, "warnings": decoded.warnings, "request": decoded.request,
        })
    );
}

#[test]
fn tool_results_are_messages_of_their_own() {
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id});
    let content = json!([result("a"), {"type": "text", "text": "then"}, {"type": "text", "text": "x"}, result("b")]);
    let roles: Vec<_> = decode(with("messages", json!([{"role": "user", "content": content}])))
        .request
        .messages
        .iter()
        .map(|message| (message.role, message.content.len()))
        .collect();
    assert_eq!(roles, [(Role::Tool, 1), (Role::User, 2), (Role::Tool, 1)]);
}

#[test]
fn the_proof_of_another_dialect_is_unwrapped() {
    let theirs = Reasoning {
        signature: Some("enc".to_owned()),
        dialect: Some("openai_responses".to_owned()),
        id: Some("rs_1".to_owned()),
        ..Reasoning::default()
    };
    let slot = proof::wrap(&theirs, NAME).unwrap();
    let redacted = Reasoning { redacted: true, ..theirs.clone() };
    let hidden = proof::wrap(&redacted, NAME).unwrap();
    let said = message(json!({"role": "assistant", "content": [
        {"type": "thinking", "thinking": "hm", "signature": slot},
        {"type": "redacted_thinking", "data": hidden},
        {"type": "thinking", "thinking": "bare", "signature": ""},
    ]}));
    let expected = [Reasoning { text: "hm".to_owned(), ..theirs }, redacted, Reasoning::text("bare")];
    assert_eq!(said.content, expected.map(Block::Reasoning));
}

#[test]
fn citations_that_we_told_are_not_sent_back() {
    let citation = |index: &str| json!({"type": "web_search_result_location", "encrypted_index": index, "url": "u"});
    let text = json!({"type": "text", "text": "x", "citations": [citation(""), citation("aW5k")]});
    let said = message(json!({"role": "assistant", "content": [text]}));
    let Block::Text { extra, .. } = &said.content[0] else { panic!("no text") };
    assert_eq!(extra[NAME]["annotations"], json!([citation("aW5k")]));
}

#[test]
fn a_choice_without_tools_has_no_effect() {
    let request = decode(with("tool_choice", json!({"type": "auto", "disable_parallel_tool_use": true}))).request;
    assert_eq!((request.tool_choice, request.parallel_tool_calls), (None, None));
    let mut body = with("tool_choice", json!({"type": "tool", "name": "of_server"}));
    body["mcp_servers"] = json!([{"type": "url", "url": "https://h.test", "name": "s"}]);
    let request = decode(body).request;
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("of_server".to_owned())));
    let (body, warnings) = encode_request(&request, "m", &Quirks::default());
    assert_eq!((&body["tool_choice"], warnings), (&json!({"type": "tool", "name": "of_server"}), vec![]));
}

#[test]
fn the_old_output_format() {
    let format = json!({"type": "json_schema", "schema": {"type": "object"}});
    let mut body = with("output_format", format.clone());
    let old = decode(body.clone());
    assert!(old.request.response_format.is_some());
    body["output_config"] = json!({"format": {"type": "json_schema", "schema": {"type": "string"}}});
    let both = decode(body);
    assert_eq!(both.warnings[0].param.as_deref(), Some("output_format"));
    assert_ne!(both.request.response_format, old.request.response_format);
    let (body, _) = encode_request(&old.request, "m", &Quirks::default());
    assert_eq!(body["output_config"]["format"], format);
}

#[test]
fn tokens_are_counted_without_a_limit() {
    let mut body = json(REQUEST);
    body.as_object_mut().unwrap().remove("max_tokens");
    let decoded = decode_count_request(body).unwrap();
    assert_eq!(decoded.request.sampling.max_tokens, None);
    assert_eq!(encode_count(7), json!({"input_tokens": 7}));
}

/// What each body is refused with; each message begins with the path that the failure names.
fn refusals(bodies: impl IntoIterator<Item = Value>) -> String {
    let told = bodies.into_iter().map(|body| {
        let failure = decode_request(body.clone()).expect_err(&format!("must be refused: {body}"));
        assert!(failure.param.as_deref().is_none_or(|param| failure.message.starts_with(param)), "{failure}");
        assert!(!failure.message.contains("Secret"));
        failure.message
    });
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_refused_message_names_its_field() {
    let message = |body: Value| with("messages", json!([{"role": "user", "content": "hi"}, body]));
    let block =
        |role: &str, body: Value| message(json!({"role": role, "content": [{"type": "text", "text": "a"}, body]}));
    let source = |kind: &str, body: Value| block("user", json!({"type": kind, "source": body}));
    let bodies = [
        json!([]),
        json!({}),
        json!({"model": "m", "messages": []}),
        json!({"model": "m", "max_tokens": 1}),
        with("messages", json!([])),
        with("messages", json!("hi")),
        with("messages", json!(["hi"])),
        with("system", json!(5)),
        with("system", json!([{"type": "image", "source": {"type": "url", "url": "https://h.test"}}])),
        with("system", json!([{"type": "My Secret"}])),
        message(json!({"content": "x"})),
        message(json!({"role": "tool", "content": "x"})),
        message(json!({"role": "user"})),
        message(json!({"role": "user", "content": 5})),
        block("user", json!("b")),
        block("user", json!({"text": "b"})),
        block("user", json!({"type": "text"})),
        block("user", json!({"type": "text", "text": ["b"]})),
        block("user", json!({"type": "text", "text": "b", "citations": 1})),
        block("user", json!({"type": "tool_use", "id": "a", "name": "f", "input": {}})),
        block("user", json!({"type": "thinking", "thinking": "x", "signature": "y"})),
        block("assistant", json!({"type": "image", "source": {"type": "url", "url": "https://h.test"}})),
        block("assistant", json!({"type": "tool_result", "tool_use_id": "a"})),
        block("assistant", json!({"type": "tool_use", "name": "f", "input": {}})),
        block("assistant", json!({"type": "tool_use", "id": "a", "input": {}})),
        block("assistant", json!({"type": "tool_use", "id": "a", "name": "f"})),
        block("assistant", json!({"type": "tool_use", "id": "a", "name": "f", "input": "{}"})),
        block("assistant", json!({"type": "thinking", "signature": "y"})),
        block("assistant", json!({"type": "thinking", "thinking": "x", "signature": 1})),
        block("assistant", json!({"type": "redacted_thinking"})),
        block("user", json!({"type": "tool_result"})),
        block("user", json!({"type": "tool_result", "tool_use_id": "a", "is_error": "yes"})),
        block("user", json!({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "tool_use"}]})),
        block("user", json!({"type": "image"})),
        source("image", json!("x")),
        source("image", json!({})),
        source("image", json!({"type": "url"})),
        source("image", json!({"type": "url", "url": "ftp://h.test"})),
        source("image", json!({"type": "base64", "data": "AA"})),
        source("image", json!({"type": "base64", "media_type": "text/plain", "data": "AA"})),
        source("image", json!({"type": "base64", "media_type": "image/png", "data": ""})),
        source("document", json!({"type": "base64", "media_type": "image/png", "data": "AA"})),
        source("document", json!({"type": "text", "media_type": "text/html", "data": "x"})),
        source("document", json!({"type": "text", "media_type": "text/plain"})),
        block("user", json!({"type": "document", "title": 1, "source": {"type": "url", "url": "https://h.test"}})),
    ];
    insta::assert_snapshot!("refused_messages", refusals(bodies));
}

#[test]
fn every_refused_parameter_names_its_field() {
    let tool = json!({"name": "f", "input_schema": {"type": "object"}});
    let choice = |value: Value| {
        let mut body = with("tools", json!([tool]));
        body["tool_choice"] = value;
        body
    };
    let bodies = [
        with("model", json!("")),
        with("max_tokens", Value::Null),
        with("max_tokens", json!(-1)),
        with("max_tokens", json!(1.5)),
        with("temperature", json!(1.1)),
        with("temperature", json!("hot")),
        with("top_p", json!(-0.1)),
        with("top_k", json!(-1)),
        with("stop_sequences", json!("END")),
        with("stop_sequences", json!(["a", 1])),
        with("stream", json!("yes")),
        with("thinking", json!("on")),
        with("thinking", json!({})),
        with("thinking", json!({"type": "enabled"})),
        with("thinking", json!({"type": "enabled", "budget_tokens": 1023})),
        with("output_config", json!({"effort": 1})),
        with("output_config", json!({"format": {"type": "json_schema"}})),
        with("output_format", json!({"type": "json_schema", "schema": "{}"})),
        with("metadata", json!("k=v")),
        with("metadata", json!({"user_id": 1})),
        with("tools", json!({})),
        with("tools", json!([{"input_schema": {}}])),
        with("tools", json!([{"name": "f"}])),
        with("tools", json!([{"name": "f", "input_schema": "{}"}])),
        with("tools", json!([{"name": "f", "input_schema": {}, "strict": "no"}])),
        with("tools", json!([{"type": 1}])),
        with("tool_choice", json!({"type": "any"})),
        with("tool_choice", json!({"type": "tool", "name": "f"})),
        choice(json!("auto")),
        choice(json!({"type": "required"})),
        choice(json!({"type": "tool"})),
        choice(json!({"type": "tool", "name": "g"})),
        choice(json!({"type": "auto", "disable_parallel_tool_use": 1})),
        with("cache_control", json!(true)),
        with("container", json!(1)),
        with("context_management", json!([])),
        with("mcp_servers", json!({})),
        with("service_tier", json!(1)),
    ];
    insta::assert_snapshot!("refused_parameters", refusals(bodies));
}
