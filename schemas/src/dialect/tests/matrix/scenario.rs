//! Conversations that people have, in neutral form.

use serde_json::{Value, json};

use crate::chat::{
    Block, ChatRequest, ChatResponse, DocumentSource, Extra, FinishReason, ImageSource, Message, Reasoning,
    ResponseFormat, Role, Tool, ToolCall, ToolChoice, ToolResult, Usage,
};

/// One conversation: what is asked, and what may be answered.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) request: ChatRequest,
    pub(super) answers: Vec<ChatResponse>,
}

/// All of them; proofs of reasoning are those of a provider of the dialect `provider`.
pub(super) fn scenarios(provider: &str) -> Vec<Scenario> {
    let with = |name, request, content, finish| Scenario { name, request, answers: vec![answer(content, finish)] };
    let stop = FinishReason::Stop;
    let said = || vec![Block::text("It is green.")];
    vec![
        with("text", text(), said(), stop),
        with("parallel tools", tools(), vec![Block::text("Both."), call(5), call(6)], FinishReason::ToolCalls),
        with("images", asking(pictures()), said(), stop),
        with("documents", asking(documents()), said(), stop),
        with("citations", text(), vec![cited(provider)], stop),
        with("reasoning", reasoning(provider), vec![thought(provider), Block::text("So it is.")], stop),
        with("structured output", structured(), vec![Block::text("{\"colour\": \"green\"}")], stop),
        with("refusal", text(), vec![Block::Refusal { text: "I will not.".to_owned() }], stop),
        Scenario { name: "stop reasons", request: limited(), answers: ends() },
        Scenario { name: "usage", request: text(), answers: vec![counted()] },
        Scenario { name: "logprobs", request: probable(), answers: vec![probabilities()] },
        with("sampling", sampled(), said(), stop),
        with("streaming", streamed(provider), streamed_answer(provider), FinishReason::ToolCalls),
    ]
}

fn answer(content: Vec<Block>, finish: FinishReason) -> ChatResponse {
    ChatResponse {
        id: Some("upstream-1".to_owned()),
        model: "m".to_owned(),
        message: message(Role::Assistant, content),
        finish,
        usage: None,
        logprobs: Vec::new(),
        extra: Extra::new(),
    }
}

fn message(role: Role, content: Vec<Block>) -> Message {
    Message { role, content, name: None, extra: Extra::new() }
}

fn asking(content: Vec<Block>) -> ChatRequest {
    let messages = vec![Message::text(Role::System, "Be brief."), message(Role::User, content)];
    let mut request = ChatRequest { model: "m".to_owned(), messages, ..ChatRequest::default() };
    request.sampling.max_tokens = Some(30_000);
    request
}

fn text() -> ChatRequest {
    asking(vec![Block::text("Which colour has grass?")])
}

fn arguments(number: u8) -> String {
    json!({"item": number, "of": ["é", null]}).to_string()
}

fn call(number: u8) -> Block {
    let (id, name) = (format!("call_{number}"), "look_up".to_owned());
    Block::ToolCall(ToolCall { id, name, arguments: arguments(number), extra: Extra::new() })
}

fn result(number: u8, content: Vec<Block>, is_error: bool) -> Message {
    let tool_call_id = format!("call_{number}");
    message(Role::Tool, vec![Block::ToolResult(ToolResult { tool_call_id, content, is_error, extra: Extra::new() })])
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"item": {"type": "integer"}, "of": {"type": "array", "items": {"type": ["string", "null"]}}},
        "required": ["item", "of"],
        "additionalProperties": false,
    })
}

/// Two calls and their results, two more of which one failed and one brought a picture, and now the next.
fn tools() -> ChatRequest {
    let mut request = text();
    let turn =
        |text: &str, calls: [u8; 2]| message(Role::Assistant, vec![Block::text(text), call(calls[0]), call(calls[1])]);
    request.messages.extend([
        turn("I look both up.", [1, 2]),
        result(1, vec![Block::text("one")], false),
        result(2, vec![Block::text("two")], false),
        turn("And these.", [3, 4]),
        result(3, vec![Block::text("no such item")], true),
        result(4, vec![Block::text("see the picture"), picture("resultAAA")], false),
        Message::text(Role::User, "Go on."),
    ]);
    request.tools = vec![Tool {
        name: "look_up".to_owned(),
        description: Some("Looks an item up.".to_owned()),
        parameters: Some(schema()),
        strict: Some(true),
        extra: Extra::new(),
    }];
    request.tool_choice = Some(ToolChoice::Named("look_up".to_owned()));
    request.parallel_tool_calls = Some(true);
    request
}

fn picture(data: &str) -> Block {
    let source = ImageSource::Base64 { media_type: "image/png".to_owned(), data: data.to_owned() };
    Block::Image { source, detail: None, extra: Extra::new() }
}

fn pictures() -> Vec<Block> {
    let source = ImageSource::Url { url: "https://host.test/a.png".to_owned() };
    vec![
        Block::text("What is this?"),
        Block::Image { source, detail: None, extra: Extra::new() },
        picture("iVBORw0KGgo="),
    ]
}

fn documents() -> Vec<Block> {
    let document = |source, title: &str| Block::Document { source, title: Some(title.to_owned()), extra: Extra::new() };
    let base64 = DocumentSource::Base64 { media_type: "application/pdf".to_owned(), data: "JVBERi0xLjQ=".to_owned() };
    vec![
        Block::text("Compare these."),
        document(base64, "offer.pdf"),
        document(DocumentSource::Url { url: "https://host.test/b.pdf".to_owned() }, "b.pdf"),
        document(DocumentSource::Text { text: "Plain words.".to_owned() }, "note"),
    ]
}

/// A text with a citation in the words of `provider`.
fn cited(provider: &str) -> Block {
    let citation = match provider {
        "openai_chat" => json!({"type": "url_citation", "url_citation": {
            "start_index": 0, "end_index": 5, "title": "T", "url": "https://host.test/page",
        }}),
        "openai_responses" => json!({
            "type": "url_citation", "start_index": 0, "end_index": 5, "title": "T", "url": "https://host.test/page",
        }),
        _ => json!({
            "type": "web_search_result_location", "cited_text": "Grass", "encrypted_index": "e", "title": "T",
            "url": "https://host.test/page",
        }),
    };
    let extra = Extra::from_iter([(provider.to_owned(), json!({"annotations": [citation]}))]);
    Block::Text { text: "Grass is green.".to_owned(), extra }
}

fn thought(provider: &str) -> Block {
    Block::Reasoning(Reasoning {
        signature: Some("c2lnbmF0dXJl".to_owned()),
        dialect: Some(provider.to_owned()),
        ..Reasoning::text("Let me think.")
    })
}

fn reasoning(provider: &str) -> ChatRequest {
    let mut request = text();
    request.messages.extend([
        message(Role::Assistant, vec![thought(provider), Block::text("Green.")]),
        Message::text(Role::User, "Why?"),
    ]);
    request.sampling.reasoning_effort = Some("high".to_owned());
    request
}

fn structured() -> ChatRequest {
    let schema = json!({"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]});
    let name = "colour".to_owned();
    let format = ResponseFormat::JsonSchema { name, description: None, schema, strict: Some(true) };
    ChatRequest { response_format: Some(format), ..text() }
}

fn limited() -> ChatRequest {
    let mut request = text();
    request.sampling.stop = vec!["END".to_owned(), "STOP".to_owned()];
    request
}

fn ends() -> Vec<ChatResponse> {
    let cut = [FinishReason::Stop, FinishReason::Length, FinishReason::ContentFilter];
    let called = answer(vec![call(1)], FinishReason::ToolCalls);
    cut.into_iter().map(|finish| answer(vec![Block::text("Gr")], finish)).chain([called]).collect()
}

fn counted() -> ChatResponse {
    let usage =
        Usage { input_tokens: 120, output_tokens: 30, cached_tokens: 64, reasoning_tokens: 12, cache_write_tokens: 32 };
    ChatResponse { usage: Some(usage), ..answer(vec![Block::text("Green.")], FinishReason::Stop) }
}

fn probable() -> ChatRequest {
    let mut request = text();
    (request.sampling.logprobs, request.sampling.top_logprobs) = (Some(true), Some(2));
    request
}

fn probabilities() -> ChatResponse {
    let token = |text: &str| json!({"token": text, "logprob": -0.5, "bytes": text.as_bytes(), "top_logprobs": []});
    let logprobs = vec![token("Green"), token(".")];
    ChatResponse { logprobs, ..answer(vec![Block::text("Green.")], FinishReason::Stop) }
}

fn sampled() -> ChatRequest {
    let mut request = text();
    let sampling = &mut request.sampling;
    (sampling.temperature, sampling.top_p, sampling.seed) = (Some(0.5), Some(0.9), Some(7));
    request.user = Some("user-1".to_owned());
    request
}

fn streamed(provider: &str) -> ChatRequest {
    ChatRequest { stream: true, ..reasoning(provider) }
}

fn streamed_answer(provider: &str) -> Vec<Block> {
    vec![thought(provider), Block::text("a"), call(5), call(6)]
}
