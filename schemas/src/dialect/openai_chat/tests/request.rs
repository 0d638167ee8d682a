//! Requests: identity, every mapping, every refusal.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{generous, strategy};
use crate::catalog::Quirks;
use crate::chat::{Block, ChatRequest, Extra, ImageSource, Message, Reasoning, Role, ToolChoice, ToolResult};
use crate::dialect::openai_chat::{Decoded, KNOWN_FIELDS, NAME, decode_request, encode_request};
use crate::envelope;

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

fn with(name: &str, value: Value) -> Value {
    json!({"model": "m", "messages": user("hi"), name: value})
}

fn decode(body: Value) -> Decoded {
    decode_request(body).unwrap()
}

fn message(body: Value) -> Message {
    decode(json!({"model": "m", "messages": [body]})).request.messages.remove(0)
}

proptest! {
    #[test]
    fn there_and_back_is_identity(request in strategy::request(), legacy_max_tokens: bool) {
        let quirks = Quirks { legacy_max_tokens, ..generous() };
        let (body, warnings) = encode_request(&request, &request.model, &quirks);
        prop_assert_eq!(warnings, vec![]);
        let text = serde_json::to_vec(&body).unwrap();
        let decoded = decode_request(serde_json::from_slice(&text).unwrap()).unwrap();
        prop_assert_eq!(decoded.warnings, vec![]);
        prop_assert_eq!(decoded.options.include_usage, request.stream);
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
    let body = json!({
        "model": "big", "temperature": 0.5, "top_p": 1, "max_tokens": 9, "stop": "END", "seed": -3, "user": "u-1",
        "presence_penalty": -2, "frequency_penalty": 2.0, "reasoning_effort": "low", "stream": true, "n": 1,
        "stream_options": {"include_usage": true}, "metadata": {"k": "v"}, "logit_bias": null, "vendor": {"x": 1},
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": true}},
        "parallel_tool_calls": false,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "what is this"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            ]},
            {"role": "assistant", "content": null, "refusal": null, "annotations": [], "reasoning_content": "hm",
             "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ],
    });
    let decoded = decode(body);
    assert!(decoded.options.include_usage);
    assert_eq!(decoded.unknown, ["vendor"]);
    insta::assert_json_snapshot!("neutral_request", decoded.request);
    let quirks =
        Quirks { legacy_max_tokens: true, no_developer_role: true, no_stream_options: true, ..Quirks::default() };
    let (plain, warnings) = encode_request(&decoded.request, "upstream/big", &Quirks::default());
    insta::assert_json_snapshot!("provider_request", json!({"body": plain, "warnings": warnings}));
    let (quirky, _) = encode_request(&decoded.request, "upstream/big", &quirks);
    assert_eq!(quirky["max_tokens"], 9);
    assert_eq!(quirky["messages"][0]["role"], "system");
    assert!(quirky.get("stream_options").is_none() && quirky.get("max_completion_tokens").is_none());
}

#[test]
fn functions_are_tools() {
    let decoded = decode(json!({
        "model": "m", "functions": [{"name": "f", "parameters": {"type": "object"}}], "function_call": {"name": "f"},
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "42"},
        ],
    }));
    assert!(decoded.options.legacy_functions);
    assert_eq!(decoded.unknown, [""; 0]);
    assert_eq!(decoded.request.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    let (body, _) = encode_request(&decoded.request, "m", &Quirks::default());
    insta::assert_json_snapshot!("functions_as_tools", body);
}

#[test]
fn null_is_absent() {
    let mut body = json!({"model": "m", "messages": user("hi")});
    for name in KNOWN_FIELDS.iter().filter(|name| !["model", "messages"].contains(name)) {
        body[*name] = Value::Null;
    }
    let decoded = decode(body);
    assert_eq!(decoded.unknown, [""; 0]);
    assert_eq!(decoded.request, decode(json!({"model": "m", "messages": user("hi")})).request);
}

#[test]
fn unknown_things_are_carried_and_named() {
    let decoded = decode(json!({
        "model": "m", "grammar": "x", "response_format": {"type": "regex", "pattern": "a"},
        "tools": [{"type": "web_search", "depth": 1}, {"type": "function", "strange": 1, "function": {"name": "f", "odd": 2}}],
        "messages": [{"role": "user", "prefix": true, "content": [
            {"type": "text", "text": "a", "cache_control": {}}, {"type": "video_url", "video_url": {}},
            {"type": "image_url", "id": 1, "image_url": {"url": "https://h.test/a", "min_pixels": 1}},
        ]}],
    }));
    insta::assert_json_snapshot!("unknown_things", json!({"unknown": decoded.unknown, "warnings": decoded.warnings}));
    let (body, _) = encode_request(&decoded.request, "m", &Quirks::default());
    assert_eq!(body["grammar"], "x");
    assert_eq!(body["response_format"], json!({"type": "regex", "pattern": "a"}));
    assert_eq!(body["tools"][0], json!({"type": "web_search", "depth": 1}));
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], json!({}));
}

#[test]
fn a_choice_without_tools_means_nothing() {
    for choice in ["auto", "none"] {
        let request = decode(with("tool_choice", json!(choice))).request;
        assert_eq!(request.tool_choice, None);
    }
    let request = decode(with("parallel_tool_calls", json!(true))).request;
    assert_eq!(request.parallel_tool_calls, None);
    let kinds = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}});
    let decoded = decode(with("tool_choice", kinds.clone()));
    assert_eq!(encode_request(&decoded.request, "m", &Quirks::default()).0["tool_choice"], kinds);
    assert_eq!(decoded.unknown, [""; 0]);
}

#[test]
fn two_limits_warn() {
    let decoded = decode(json!({"model": "m", "messages": user("hi"), "max_tokens": 1, "max_completion_tokens": 2}));
    assert_eq!(decoded.request.sampling.max_tokens, Some(2));
    assert_eq!(decoded.warnings[0].param.as_deref(), Some("max_tokens"));
}

#[test]
fn what_cannot_be_said_is_a_warning() {
    let foreign = Extra::from_iter([("anthropic".to_owned(), json!({"cache_control": {}}))]);
    let result = ToolResult {
        tool_call_id: "c".to_owned(),
        content: vec![Block::text("no")],
        is_error: true,
        extra: Extra::new(),
    };
    let signed = Block::Reasoning(Reasoning { signature: Some("sig".to_owned()), ..Reasoning::text("hm") });
    let opaque = Block::Opaque { dialect: "anthropic".to_owned(), value: json!({"type": "document"}) };
    let block = |block| Message { role: Role::Assistant, content: vec![block], name: None, extra: Extra::new() };
    let mut request = ChatRequest {
        model: "m".to_owned(),
        messages: vec![
            Message { extra: foreign.clone(), ..Message::text(Role::User, "hi") },
            Message { role: Role::User, ..block(Block::Text { text: "x".to_owned(), extra: foreign.clone() }) },
            block(signed),
            Message { role: Role::Tool, ..block(Block::ToolResult(result)) },
            Message { role: Role::User, ..block(opaque) },
            Message::text(Role::Tool, "lost"),
        ],
        stream: true,
        ..ChatRequest::default()
    };
    request.sampling.stop = (0..5).map(|stop| stop.to_string()).collect();
    request.extra.insert("anthropic".to_owned(), json!({"top_k": 1}).as_object().unwrap().clone());
    request.extra.insert(NAME.to_owned(), json!({"store": true}).as_object().unwrap().clone());
    let (body, warnings) = encode_request(&request, "m", &Quirks::default());
    insta::assert_json_snapshot!("foreign_request", json!({"body": body, "warnings": warnings}));
}

#[test]
fn a_message_of_many_results_becomes_many() {
    let result = |id: &str| {
        let content = vec![Block::text("ok")];
        Block::ToolResult(ToolResult { tool_call_id: id.to_owned(), content, is_error: false, extra: Extra::new() })
    };
    let content = vec![result("a"), result("b"), Block::text("and now")];
    let messages = vec![Message { role: Role::User, content, name: None, extra: Extra::new() }];
    let request = ChatRequest { messages, ..ChatRequest::default() };
    let (body, _) = encode_request(&request, "m", &Quirks::default());
    assert_eq!(
        body["messages"],
        json!([
            {"role": "tool", "tool_call_id": "a", "content": "ok"},
            {"role": "tool", "tool_call_id": "b", "content": "ok"},
            {"role": "user", "content": "and now"},
        ])
    );
}

#[test]
fn pictures_and_thoughts() {
    let part = |url: &str| json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]});
    let Block::Image { source, .. } = message(part("data:image/webp;base64,QQ==")).content.remove(0) else { panic!() };
    assert_eq!(source, ImageSource::Base64 { media_type: "image/webp".to_owned(), data: "QQ==".to_owned() });
    let thought = json!({"role": "assistant", "content": [
        {"type": "thinking", "thinking": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"type": "text", "text": "c"},
    ]});
    let expected = [Block::Reasoning(Reasoning::text("ab")), Block::text("c")];
    assert_eq!(message(thought).content, expected);
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
    let message = |body: Value| json!({"model": "m", "messages": [{"role": "user", "content": "hi"}, body]});
    let part =
        |role: &str, body: Value| message(json!({"role": role, "content": [{"type": "text", "text": "a"}, body]}));
    let call = |body: Value| message(json!({"role": "assistant", "tool_calls": [body]}));
    let bodies = [
        json!([]),
        json!({}),
        json!({"model": "m"}),
        json!({"model": 7, "messages": user("hi")}),
        json!({"model": "", "messages": user("hi")}),
        json!({"model": "m", "messages": []}),
        json!({"model": "m", "messages": "hi"}),
        json!({"model": "m", "messages": ["hi"]}),
        message(json!({"content": "x"})),
        message(json!({"role": "robot", "content": "x"})),
        message(json!({"role": "My Secret", "content": "x"})),
        message(json!({"role": "user"})),
        message(json!({"role": "user", "content": 5})),
        message(json!({"role": "user", "content": "x", "name": {}})),
        message(json!({"role": "tool", "content": "x"})),
        message(json!({"role": "tool", "tool_call_id": "", "content": "x"})),
        message(json!({"role": "tool", "tool_call_id": "c"})),
        message(json!({"role": "function", "name": "f", "content": "x"})),
        message(json!({"role": "assistant", "reasoning_content": []})),
        message(json!({"role": "assistant", "refusal": 1})),
        part("user", json!("b")),
        part("user", json!({"text": "b"})),
        part("user", json!({"type": "text"})),
        part("user", json!({"type": "text", "text": ["b"]})),
        part("user", json!({"type": "refusal", "refusal": "b"})),
        part("system", json!({"type": "image_url", "image_url": {"url": "https://h.test"}})),
        part("user", json!({"type": "image_url", "image_url": "https://h.test"})),
        part("user", json!({"type": "image_url", "image_url": {"url": "ftp://h.test"}})),
        part("user", json!({"type": "image_url", "image_url": {"url": "data:text/plain,hello"}})),
        part("user", json!({"type": "image_url", "image_url": {"url": "https://h.test", "detail": 1}})),
        part("user", json!({"type": "input_audio", "input_audio": "AAAA"})),
        call(json!("f")),
        call(json!({"type": "function", "function": {"name": "f", "arguments": "{}"}})),
        call(json!({"id": "c", "type": "server", "function": {"name": "f", "arguments": "{}"}})),
        call(json!({"id": "c", "type": "function"})),
        call(json!({"id": "c", "type": "function", "function": {"arguments": "{}"}})),
        call(json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": 1}})),
        call(json!({"id": "c", "type": "custom", "custom": {"name": "f"}})),
    ];
    insta::assert_snapshot!("refused_messages", refusals(bodies));
}

#[test]
fn every_refused_parameter_names_its_field() {
    let bodies = [
        with("n", json!(2)),
        with("n", json!("1")),
        with("temperature", json!(2.1)),
        with("temperature", json!("hot")),
        with("top_p", json!(-0.1)),
        with("presence_penalty", json!(3)),
        with("frequency_penalty", json!(-2.5)),
        with("max_tokens", json!(0)),
        with("max_tokens", json!(1.5)),
        with("max_completion_tokens", json!(4_294_967_296_u64)),
        with("seed", json!(1e30)),
        with("stop", json!(["a", "b", "c", "d", "e"])),
        with("stop", json!(["a", 1])),
        with("stop", json!(true)),
        with("reasoning_effort", json!(1)),
        with("stream", json!("yes")),
        with("stream_options", json!(true)),
        with("stream_options", json!({"include_usage": 1})),
        with("response_format", json!("json")),
        with("response_format", json!({"type": "json_schema"})),
        with("response_format", json!({"type": "json_schema", "json_schema": {"schema": {}}})),
        with("response_format", json!({"type": "json_schema", "json_schema": {"name": "s", "schema": "{}"}})),
        with("tools", json!({})),
        with("tools", json!([{"type": "function"}])),
        with("tools", json!([{"type": "function", "function": {"name": ""}}])),
        with("tools", json!([{"type": "function", "function": {"name": "f", "parameters": "{}"}}])),
        with("tools", json!([{"type": "function", "function": {"name": "f", "strict": "no"}}])),
        with("tool_choice", json!("required")),
        with("tool_choice", json!("sometimes")),
        with("tool_choice", json!({"type": "function"})),
        with("tool_choice", json!({"type": "function", "function": {"name": "f"}})),
        with("functions", json!([{"description": "nameless"}])),
        with("function_call", json!("required")),
        with("function_call", json!({"name": "f"})),
        json!({"model": "m", "messages": user("hi"), "functions": [{"name": "f"}],
            "tools": [{"type": "function", "function": {"name": "f"}}]}),
        with("parallel_tool_calls", json!(1)),
        with("user", json!(1)),
        with("metadata", json!("k=v")),
        with("modalities", json!("text")),
        with("logprobs", json!(3)),
        with("top_logprobs", json!(21)),
    ];
    insta::assert_snapshot!("refused_parameters", refusals(bodies));
}
