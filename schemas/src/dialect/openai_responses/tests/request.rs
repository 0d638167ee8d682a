//! Requests: identity, every mapping, every refusal.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixtures::whole_request;
use super::{generous, strategy};
use crate::catalog::Quirks;
use crate::chat::{Block, ChatRequest, DocumentSource, Extra, Message, Reasoning, Role, Sampling, Tool, ToolResult};
use crate::dialect::openai_responses::{Decoded, NAME, decode_request, encode_request};
use crate::dialect::{openai_chat, proof};
use crate::envelope;
use crate::job::Lane;

fn with(name: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "input": "hi"});
    body[name] = value;
    body
}

fn decode(body: Value) -> Decoded {
    decode_request(body).unwrap()
}

fn items(items: Value) -> Vec<Message> {
    decode(json!({"model": "m", "input": items})).request.messages
}

fn said(content: Vec<Block>) -> ChatRequest {
    let message = Message { role: Role::Assistant, content, name: None, extra: Extra::new() };
    ChatRequest { model: "m".to_owned(), messages: vec![message], ..ChatRequest::default() }
}

proptest! {
    #[test]
    fn there_and_back_is_identity(request in strategy::request()) {
        let (body, warnings) = encode_request(&request, &request.model, &generous());
        prop_assert_eq!(warnings, vec![]);
        let text = serde_json::to_vec(&body).unwrap();
        let decoded = decode_request(serde_json::from_slice(&text).unwrap()).unwrap();
        prop_assert_eq!(decoded.warnings, vec![]);
        prop_assert!(!decoded.options.store);
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
    let decoded = decode(whole_request());
    assert_eq!(decoded.warnings, []);
    assert_eq!(decoded.unknown, ["input[13].type", "vendor"]);
    insta::assert_json_snapshot!("neutral_request", decoded.request);
    insta::assert_json_snapshot!("options", decoded.options);
    let (body, warnings) = encode_request(&decoded.request, "upstream", &Quirks::default());
    assert_eq!(warnings, []);
    insta::assert_json_snapshot!("provider_request", body);
    let (_, warnings) = openai_chat::encode_request(&decoded.request, "upstream", &Quirks::default());
    let told: Vec<_> =
        warnings.iter().map(|it| format!("{}: {}", it.param.clone().unwrap_or_default(), it.message)).collect();
    insta::assert_snapshot!("foreign_warnings", told.join("\n"));
}

#[test]
fn options_are_kept_with_the_job() {
    let options = decode(whole_request()).options;
    let bytes = envelope::encode(&options).unwrap();
    assert_eq!(envelope::decode::<super::ClientOptions>(&bytes).unwrap(), options);
    let empty: super::ClientOptions = serde_json::from_value(json!({})).unwrap();
    assert!(empty == super::ClientOptions::default() && empty.store);
}

#[test]
fn a_text_is_one_message() {
    let request = decode(json!({"model": "m", "input": "hi", "instructions": "be brief"})).request;
    assert_eq!(request.messages, [Message::text(Role::System, "be brief"), Message::text(Role::User, "hi")]);
    let (body, _) = encode_request(&request, "m", &Quirks::default());
    let input = json!([{"type": "message", "role": "user", "content": "hi"}]);
    assert_eq!(body, json!({"model": "m", "instructions": "be brief", "input": input, "store": false}));
}

#[test]
fn what_goes_on_from_elsewhere_needs_no_input() {
    for (name, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!({"id": "conv_1"})),
        ("prompt", json!({"id": "pmpt_1"})),
    ] {
        assert!(decode(json!({"model": "m", name: value})).request.messages.is_empty(), "{name}");
    }
}

#[test]
fn service_tiers_are_lanes() {
    let lane = |tier: &str| decode(with("service_tier", json!(tier))).options.lane();
    assert_eq!([lane("priority"), lane("fast"), lane("flex")], [Some(Lane::High), Some(Lane::High), Some(Lane::Low)]);
    assert_eq!([lane("auto"), lane("default")], [None, None]);
}

#[test]
fn parallel_calls_are_one_message_and_their_results_one_each() {
    let call = |id: &str| json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": "f", "arguments": "{}", "status": "completed"});
    let result = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "42"});
    let messages = items(json!([{"role": "user", "content": "go"}, call("a"), call("b"), result("b"), result("a")]));
    let roles: Vec<_> = messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Tool]);
    assert_eq!(messages[1].content.len(), 2);
}

#[test]
fn what_answers_a_hosted_tool_is_a_tools() {
    let item = |kind: &str| json!({"type": kind, "call_id": "a", "id": "x_1"});
    let role = |kind: &str| items(json!([{"role": "user", "content": "go"}, item(kind)]))[1].role;
    for kind in ["apply_patch_call_output", "shell_call_output", "local_shell_call_output", "computer_call_output"] {
        assert_eq!(role(kind), Role::Tool, "{kind}");
    }
    assert_eq!(["tool_search_output", "mcp_approval_response", "hologram_output"].map(role), [Role::Tool; 3]);
    assert_eq!(["program_output", "program", "shell_call"].map(role), [Role::Assistant; 3]);
    assert_eq!(["compaction_trigger", "additional_tools", "configuration_update"].map(role), [Role::User; 3]);
}

#[test]
fn strictness_left_out_is_as_far_as_the_schema_allows() {
    let tool = |parameters: Value| {
        let tools = json!([{"type": "function", "name": "f", "parameters": parameters}]);
        decode(with("tools", tools)).request
    };
    let closed = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    assert_eq!(tool(closed.clone()).tools[0].strict, Some(true));
    let open = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": closed}});
    let request = tool(open);
    assert_eq!(request.tools[0].strict, None);
    let (body, _) = encode_request(&request, "m", &Quirks::default());
    assert!(body["tools"][0].get("strict").is_none());
    // Another dialect's default is the contrary.
    let plain = Tool { name: "f".to_owned(), ..Tool::default() };
    let (body, _) = encode_request(&ChatRequest { tools: vec![plain], ..request }, "m", &Quirks::default());
    assert_eq!(body["tools"][0]["strict"], false);
}

#[test]
fn proofs_are_asked_for_where_there_is_reasoning() {
    let included = |request: &ChatRequest, quirks: &Quirks| encode_request(request, "m", quirks).0["include"].clone();
    let plain = decode(json!({"model": "m", "input": "hi"})).request;
    assert_eq!(included(&plain, &Quirks::default()), Value::Null);
    let reasoned = decode(with("reasoning", json!({"effort": "low"}))).request;
    assert_eq!(included(&reasoned, &Quirks::default()), json!(["reasoning.encrypted_content"]));
    let quirks = Quirks { no_encrypted_reasoning: true, no_store: true, ..Quirks::default() };
    assert_eq!(included(&reasoned, &quirks), Value::Null);
    assert!(encode_request(&reasoned, "m", &quirks).0.get("store").is_none());
    // Asked for by the client itself, it is asked for whatever the model.
    let asked = decode(with("include", json!(["reasoning.encrypted_content"]))).request;
    assert_eq!(included(&asked, &Quirks::default()), json!(["reasoning.encrypted_content"]));
}

#[test]
fn a_proof_goes_back_to_whoever_can_read_it() {
    let own = Reasoning {
        signature: Some("enc".to_owned()),
        dialect: Some(NAME.to_owned()),
        id: Some("rs_1".to_owned()),
        ..Reasoning::text("hm")
    };
    let (body, warnings) = encode_request(&said(vec![Block::Reasoning(own.clone())]), "m", &Quirks::default());
    let summary = json!([{"type": "summary_text", "text": "hm"}]);
    assert_eq!(
        body["input"],
        json!([{"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "enc"}])
    );
    assert_eq!(warnings, []);

    let foreign = Reasoning { dialect: Some("anthropic".to_owned()), ..own };
    let (body, warnings) = encode_request(&said(vec![Block::Reasoning(foreign.clone())]), "m", &Quirks::default());
    assert_eq!((body["input"].clone(), warnings.len()), (json!([]), 2));
    // A client of ours that was answered by another's provider sends its proof back.
    let slot = proof::wrap(&foreign, NAME);
    let item = json!({"type": "reasoning", "id": "rs_01KAG2W8F3VQ9XTR5M7N4C6B0E_0", "summary": summary, "encrypted_content": slot});
    assert_eq!(items(json!([item])), said(vec![Block::Reasoning(foreign)]).messages);
}

#[test]
fn reasoning_without_a_proof_is_sent_to_those_who_read_it() {
    let request = said(vec![Block::Reasoning(Reasoning::text("hm")), Block::text("hi")]);
    let (body, warnings) = encode_request(&request, "m", &Quirks::default());
    assert_eq!((body["input"].as_array().unwrap().len(), warnings.len()), (1, 1));
    let (body, warnings) = encode_request(&request, "m", &generous());
    assert_eq!(body["input"][0]["content"], json!([{"type": "reasoning_text", "text": "hm"}]));
    assert_eq!(warnings, []);
}

#[test]
fn what_this_api_cannot_say_is_warned_of() {
    let sampling = Sampling {
        stop: vec!["END".to_owned()],
        seed: Some(1),
        presence_penalty: Some(1.0),
        frequency_penalty: Some(1.0),
        top_k: Some(4),
        reasoning_budget: Some(8000),
        ..Sampling::default()
    };
    let failed = ToolResult {
        tool_call_id: "a".to_owned(),
        content: vec![Block::text("no")],
        is_error: true,
        extra: Extra::new(),
    };
    let audio = Block::Opaque { dialect: "openai_chat".to_owned(), value: json!({"type": "input_audio"}) };
    let search = Tool {
        name: "web_search".to_owned(),
        extra: Extra::from_iter([("anthropic".to_owned(), json!({"type": "web_search_20250305"}))]),
        ..Tool::default()
    };
    let message = |role, content| Message { role, content, name: Some("ann".to_owned()), extra: Extra::new() };
    let request = ChatRequest {
        messages: vec![
            message(Role::User, vec![Block::text("hi"), audio]),
            message(Role::Tool, vec![Block::ToolResult(failed)]),
        ],
        tools: vec![search],
        sampling,
        extra: [("openai_chat".to_owned(), Extra::from_iter([("logit_bias".to_owned(), json!({}))]))].into(),
        ..ChatRequest::default()
    };
    let (body, warnings) = encode_request(&request, "m", &Quirks::default());
    assert_eq!(body["reasoning"]["effort"], "medium");
    assert!(body.get("tools").is_none());
    let told: Vec<_> =
        warnings.iter().map(|it| format!("{}: {}", it.param.clone().unwrap_or_default(), it.message)).collect();
    insta::assert_snapshot!("unsupported", told.join("\n"));
}

#[test]
fn documents_in_every_form() {
    let source = |part: Value| match items(json!([{"role": "user", "content": [part]}])).remove(0).content.remove(0) {
        Block::Document { source, title, .. } => (source, title),
        other => panic!("{other:?}"),
    };
    let base64 = |media_type: &str, data: &str| DocumentSource::Base64 {
        media_type: media_type.to_owned(),
        data: data.to_owned(),
    };
    let file = |name: &str, value: &str| json!({"type": "input_file", name: value, "filename": "a.csv"});
    assert_eq!(source(file("file_data", "data:application/pdf;base64,AAAA")).0, base64("application/pdf", "AAAA"));
    assert_eq!(source(file("file_data", "AAAA")), (base64("text/csv", "AAAA"), Some("a.csv".to_owned())));
    assert_eq!(
        source(file("file_data", "data:text/plain;base64,aGk=")).0,
        DocumentSource::Text { text: "hi".to_owned() }
    );
    assert_eq!(
        source(file("file_url", "https://host.test/a")).0,
        DocumentSource::Url { url: "https://host.test/a".to_owned() }
    );
}

#[test]
fn every_refusal_names_its_place() {
    let item = |item: Value| json!({"model": "m", "input": [item]});
    let part = |part: Value| item(json!({"role": "user", "content": [part]}));
    let tool = |tool: Value| with("tools", json!([tool]));
    let bodies = [
        json!([]),
        json!({"input": "hi"}),
        json!({"model": "", "input": "hi"}),
        json!({"model": "m"}),
        json!({"model": "m", "input": []}),
        json!({"model": "m", "input": 1}),
        item(json!("my secret")),
        item(json!({"content": "my secret"})),
        item(json!({"role": "robot", "content": "x"})),
        item(json!({"role": "user"})),
        item(json!({"role": "user", "content": 1})),
        item(json!({"type": "item_reference", "id": "msg_1"})),
        item(json!({"type": "function_call", "name": "f", "arguments": "{}"})),
        item(json!({"type": "function_call", "call_id": "a", "name": "", "arguments": "{}"})),
        item(json!({"type": "function_call", "call_id": "a", "name": "f", "arguments": ["my secret"]})),
        item(json!({"type": "function_call_output", "output": "42"})),
        item(json!({"type": "function_call_output", "call_id": "a"})),
        item(json!({"type": "function_call_output", "call_id": "a", "output": [{"type": "output_text", "text": "x"}]})),
        item(json!({"type": "reasoning", "summary": "my secret"})),
        item(json!({"type": "reasoning", "summary": [{"type": "summary_text"}]})),
        part(json!({"text": "my secret"})),
        part(json!({"type": "text", "text": "x"})),
        part(json!({"type": "input_text"})),
        part(json!({"type": "input_image"})),
        part(json!({"type": "input_image", "image_url": "my secret"})),
        part(json!({"type": "input_image", "image_url": "data:text/plain;base64,AAAA"})),
        part(json!({"type": "input_file", "filename": "a.pdf"})),
        part(json!({"type": "input_file", "file_data": "A", "file_url": "https://host.test/"})),
        with("instructions", json!(["my secret"])),
        with("background", json!("yes")),
        json!({"model": "m", "input": "hi", "background": true, "store": false}),
        json!({"model": "m", "input": "hi", "previous_response_id": "resp_1", "conversation": "conv_1"}),
        with("conversation", json!({})),
        with("truncation", json!("some")),
        with("metadata", json!({"k": 1})),
        with("include", json!("all")),
        with("include", json!([1])),
        with("temperature", json!(3)),
        with("top_p", json!(1.5)),
        with("max_output_tokens", json!(0)),
        with("top_logprobs", json!(21)),
        with("max_tool_calls", json!(0)),
        with("reasoning", json!("low")),
        with("reasoning", json!({"effort": 1})),
        with("text", json!({"format": "json"})),
        with("text", json!({"format": {"type": "json_schema", "schema": {}}})),
        with("text", json!({"format": {"type": "json_schema", "name": "s", "schema": "my secret"}})),
        tool(json!({"name": "f"})),
        tool(json!({"type": "function"})),
        tool(json!({"type": "function", "name": "f", "parameters": "my secret"})),
        tool(json!({"type": "function", "name": "f", "strict": "yes"})),
        with("tool_choice", json!("any")),
        with("tool_choice", json!("required")),
        with("tool_choice", json!({"type": "function", "name": "f"})),
        with("prompt_cache_key", json!(1)),
        with("prompt", json!("my secret")),
        with("service_tier", json!(1)),
        with("stream", json!(1)),
        with("stream_options", json!(1)),
        with("context_management", json!({})),
    ];
    let told: Vec<_> = bodies
        .into_iter()
        .map(|body| {
            let failure = decode_request(body.clone()).expect_err(&body.to_string());
            format!("{} | {}", failure.param.clone().unwrap_or_default(), failure.message)
        })
        .collect();
    assert!(told.iter().all(|told| !told.contains("secret")));
    insta::assert_snapshot!("refused", told.join("\n"));
}
