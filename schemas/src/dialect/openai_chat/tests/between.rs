//! What other dialects' clients and providers bring: marks, documents, rich tool results, budgets, citations.

use serde_json::{Value, json};

use super::stream::{decode, encode};
use super::{generous, reply};
use crate::catalog::Quirks;
use crate::chat::{
    Block, ChatRequest, ChatResponse, DocumentSource, Extra, FinishReason, ImageSource, Message, Role, ToolCall,
    ToolResult,
};
use crate::delta::{Delta, pieces};
use crate::dialect::openai_chat::{
    ClientOptions, NAME, Reply, StreamEncoder, decode_request, decode_response, encode_request, encode_response,
};
use crate::dialect::tests::streams::assemble;
use crate::error::{ErrorCode, Failure};
use crate::job::Lane;

fn said(role: Role, content: Vec<Block>) -> Message {
    Message { role, content, name: None, extra: Extra::new() }
}

fn asking(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { model: "m".to_owned(), messages, ..ChatRequest::default() }
}

/// What a provider is sent, and the codes and texts of the warnings.
fn sent(request: &ChatRequest, quirks: &Quirks) -> (Value, Vec<String>) {
    let (body, warnings) = encode_request(request, "m", quirks);
    (body, warnings.into_iter().map(|warning| format!("{}: {}", warning.code, warning.message)).collect())
}

fn image() -> Block {
    let source = ImageSource::Base64 { media_type: "image/png".to_owned(), data: "AAAA".to_owned() };
    Block::Image { source, detail: None, extra: Extra::new() }
}

fn document(source: DocumentSource, title: Option<&str>) -> Block {
    Block::Document { source, title: title.map(str::to_owned), extra: Extra::new() }
}

fn result(id: &str, content: Vec<Block>) -> Message {
    let tool_call_id = id.to_owned();
    said(
        Role::Tool,
        vec![Block::ToolResult(ToolResult { tool_call_id, content, is_error: false, extra: Extra::new() })],
    )
}

fn mark(dialect: &str) -> Extra {
    Extra::from_iter([(dialect.to_owned(), json!({"cache_control": {"type": "ephemeral"}}))])
}

#[test]
fn a_cache_mark_reaches_both_dialects_and_warns_of_neither() {
    let mark = json!({"type": "ephemeral"});
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": "a", "cache_control": mark},
        {"role": "tool", "tool_call_id": "c", "content": "b", "cache_control": mark},
        {"role": "user", "content": "", "cache_control": mark},
        {"role": "user", "content": [{"type": "text", "text": "c", "cache_control": {"type": "forever"}}]},
    ]});
    let request = decode_request(body).unwrap().request;
    let Block::Text { extra, .. } = &request.messages[0].content[0] else { panic!("{request:?}") };
    assert_eq!((&extra["anthropic"]["cache_control"], &extra[NAME]["cache_control"]), (&mark, &mark));
    let (body, warnings) = sent(&request, &Quirks::default());
    assert_eq!(warnings, [""; 0]);
    assert_eq!(body["messages"][0]["content"], json!([{"type": "text", "text": "a", "cache_control": mark}]));
    assert_eq!(body["messages"][1]["cache_control"], mark);
    assert_eq!(body["messages"][2], json!({"role": "user", "content": "", "cache_control": mark}));
    let Block::Text { extra, .. } = &request.messages[3].content[0] else { panic!("{request:?}") };
    assert!(!extra.contains_key("anthropic"), "no mark of Anthropic's: {extra:?}");
}

#[test]
fn anthropics_mark_is_sent_to_those_who_read_it() {
    let block = Block::Text { text: "a".to_owned(), extra: mark("anthropic") };
    let request = asking(vec![said(Role::User, vec![block])]);
    let (body, warnings) = sent(&request, &Quirks::default());
    assert_eq!((&body["messages"][0]["content"], warnings.len()), (&json!("a"), 1));
    let (body, warnings) = sent(&request, &Quirks { cache_control: true, ..Quirks::default() });
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn what_no_tool_may_say_is_said_behind_all_results() {
    let messages = vec![
        result("a", vec![Block::text("see"), image()]),
        result("b", vec![image()]),
        result("c", vec![Block::text("three")]),
        Message::text(Role::User, "go on"),
        result("d", vec![document(DocumentSource::Text { text: "plain".to_owned() }, None)]),
    ];
    let request = asking(messages);
    let (body, warnings) = sent(&request, &Quirks::default());
    insta::assert_json_snapshot!("moved_content", json!({"messages": body["messages"], "warnings": warnings}));
    let (body, warnings) = sent(&request, &generous());
    assert_eq!((body["messages"].as_array().unwrap().len(), warnings.len()), (5, 0));
    assert_eq!(body["messages"][1]["content"][0]["type"], "image_url");
}

#[test]
fn what_is_not_sent_does_not_part_results() {
    let foreign = Block::Opaque { dialect: "openai_responses".to_owned(), value: json!({"type": "shell_call_output"}) };
    let messages = vec![result("a", vec![image()]), said(Role::Tool, vec![foreign]), result("b", vec![image()])];
    let (body, warnings) = sent(&asking(messages), &Quirks::default());
    let roles: Vec<_> = body["messages"].as_array().unwrap().iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["tool", "tool", "user"]);
    assert_eq!(warnings[1], "unsupported_field: a tool's message without a tool result is not sent");
}

#[test]
fn documents_to_a_provider() {
    let base64 =
        |media_type: &str| DocumentSource::Base64 { media_type: media_type.to_owned(), data: "AA==".to_owned() };
    let url = DocumentSource::Url { url: "https://host.test/a.pdf".to_owned() };
    let text = DocumentSource::Text { text: "words".to_owned() };
    let content = vec![
        document(base64("application/pdf"), None),
        document(base64("text/csv"), Some("t.csv")),
        document(url, None),
        document(text, Some("Title")),
    ];
    let request = asking(vec![said(Role::User, content)]);
    let (body, warnings) = sent(&request, &Quirks::default());
    insta::assert_json_snapshot!("documents", json!({"content": body["messages"][0]["content"], "warnings": warnings}));
    let (body, _) = sent(&request, &generous());
    assert_eq!(body["messages"][0]["content"][2]["file"], json!({"file_data": "https://host.test/a.pdf"}));
}

#[test]
fn files_from_a_client() {
    let decoded = |file: Value| {
        let content = json!([{"type": "file", "file": file}]);
        let body = json!({"model": "m", "messages": [{"role": "user", "content": content}]});
        decode_request(body).map(|mut decoded| decoded.request.messages.remove(0).content.remove(0))
    };
    // Whose type nobody tells, and what the provider keeps, is as it came.
    for file in [json!({"file_data": "JVBERi0=", "filename": "a.pdf"}), json!({"file_id": "f", "filename": "a"})] {
        let value = json!({"type": "file", "file": file});
        assert_eq!(decoded(file).unwrap(), Block::Opaque { dialect: NAME.to_owned(), value });
    }
    let failure = decoded(json!({"filename": "a.pdf"})).unwrap_err();
    assert_eq!(failure.param.as_deref(), Some("messages[0].content[0].file"));
}

#[test]
fn a_budget_of_reasoning_is_an_effort() {
    let effort = |budget, effort: Option<&str>| {
        let mut request = asking(vec![Message::text(Role::User, "hi")]);
        (request.sampling.reasoning_budget, request.sampling.reasoning_effort) =
            (Some(budget), effort.map(str::to_owned));
        let (body, warnings) = sent(&request, &Quirks::default());
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        body["reasoning_effort"].clone()
    };
    assert_eq!(effort(0, None), Value::Null);
    assert_eq!(
        (effort(1024, None), effort(4096, None), effort(16384, None)),
        (json!("low"), json!("medium"), json!("high"))
    );
    assert_eq!(effort(1024, Some("xhigh")), json!("xhigh"));
}

#[test]
fn a_tier_names_its_lane() {
    let lane = |tier: &str| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "service_tier": tier});
        decode_request(body).unwrap().options.lane
    };
    assert_eq!((lane("priority"), lane("fast"), lane("flex")), (Some(Lane::High), Some(Lane::High), Some(Lane::Low)));
    assert_eq!((lane("auto"), lane("default")), (None, None));
}

fn answer(content: Vec<Block>) -> ChatResponse {
    ChatResponse {
        id: Some("r".to_owned()),
        model: "m".to_owned(),
        message: said(Role::Assistant, content),
        finish: FinishReason::Stop,
        usage: None,
        logprobs: Vec::new(),
        extra: Extra::new(),
    }
}

#[test]
fn citations_of_other_dialects_are_told_with_their_place() {
    let cited = |text: &str, dialect: &str, citations: Value| Block::Text {
        text: text.to_owned(),
        extra: Extra::from_iter([(dialect.to_owned(), json!({"annotations": citations}))]),
    };
    let page = json!({"type": "web_search_result_location", "url": "https://a.test", "title": "A", "cited_text": "x"});
    let place = json!({"type": "char_location", "document_index": 0, "cited_text": "x"});
    let url = json!({"type": "url_citation", "url": "https://b.test", "title": "B", "start_index": 1, "end_index": 3});
    let content = vec![
        Block::text("Ünd "),
        cited("grün", "anthropic", json!([page, place])),
        cited(" ist", "openai_responses", json!([url])),
    ];
    let whole = encode_response(&answer(content.clone()), &reply());
    let told = &whole["choices"][0]["message"]["annotations"];
    insta::assert_json_snapshot!("citations", told);
    let bytes = encode(&pieces(&answer(content)), reply());
    let read = assemble(&decode(&[&bytes]).unwrap()).unwrap();
    let Block::Text { extra, .. } = &read.message.content[0] else { panic!("{read:?}") };
    assert_eq!(&extra[NAME]["annotations"], told);
}

#[test]
fn text_waits_for_its_probabilities_and_for_nothing_else() {
    let options = ClientOptions { logprobs: true, ..ClientOptions::default() };
    let mut encoder = StreamEncoder::new(Reply { options, ..reply() });
    let mut told = |delta: Delta| String::from_utf8(encoder.encode(&delta).to_vec()).unwrap();
    let text = |text: &str| Delta::Text { text: text.to_owned() };
    told(Delta::Start { id: None, model: "m".to_owned() });
    assert_eq!(told(text("a")), "");
    let both = told(Delta::Logprobs { tokens: vec![json!({"token": "a"})] });
    assert!(both.contains(r#""delta":{"content":"a"},"logprobs":{"content":[{"token":"a"}]"#), "{both}");
    assert_eq!(told(text("b")), "");
    let next = told(text("c"));
    assert!(next.contains(r#""delta":{"content":"b"},"logprobs":null"#) && !next.contains("\"c\""), "{next}");
    let end = encoder.error(&Failure::new(ErrorCode::ProviderOverloaded, "gone"));
    let end = String::from_utf8(end.to_vec()).unwrap();
    assert!(end.find(r#""content":"c""#).unwrap() < end.find("gone").unwrap(), "{end}");
}

#[test]
fn probabilities_without_a_client_that_asked_are_a_chunk_of_their_own() {
    let mut whole = answer(vec![Block::text("a")]);
    whole.logprobs = vec![json!({"token": "a"})];
    let text = String::from_utf8(encode(&pieces(&whole), reply())).unwrap();
    assert!(text.contains(r#""delta":{},"logprobs":{"content":[{"token":"a"}]"#), "{text}");
}

#[test]
fn fields_of_a_streamed_message_are_no_parts_of_a_later_request() {
    let value = json!({"type": "message", "reasoning_details": [1], "content": "never"});
    let content = vec![Block::text("a"), Block::Opaque { dialect: NAME.to_owned(), value }];
    let (body, warnings) = sent(&asking(vec![said(Role::Assistant, content)]), &Quirks::default());
    assert_eq!(body["messages"][0], json!({"role": "assistant", "content": "a", "reasoning_details": [1]}));
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn calls_of_the_custom_kind_stay_so_in_a_stream() {
    let extra = Extra::from_iter([(NAME.to_owned(), json!({"type": "custom"}))]);
    let call = ToolCall { id: "c".to_owned(), name: "shell".to_owned(), arguments: "ls".to_owned(), extra };
    let whole = answer(vec![Block::ToolCall(call)]);
    let bytes = encode(&pieces(&whole), Reply { model: "m".to_owned(), ..reply() });
    let read = assemble(&decode(&[&bytes]).unwrap()).unwrap();
    assert_eq!(read.message, whole.message);
}

#[test]
fn unknown_words_of_the_end_are_kept_whole_and_streamed() {
    let whole = json!({"choices": [{"message": {"content": "a"}, "finish_reason": "eos"}]}).to_string();
    let streamed = format!("data: {}\n\n", json!({"choices": [{"delta": {"content": "a"}, "finish_reason": "eos"}]}));
    let whole = decode_response(whole.as_bytes()).unwrap();
    let streamed = assemble(&decode(&[streamed.as_bytes()]).unwrap()).unwrap();
    assert_eq!((whole.finish, &whole.extra[NAME]["finish_reason"]), (FinishReason::Stop, &json!("eos")));
    assert_eq!(streamed, whole);
}
