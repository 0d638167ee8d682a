//! Requests and answers in the neutral form that this dialect can say in full.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::chat::{
    Block, ChatRequest, ChatResponse, DocumentSource, Extra, FinishReason, ImageSource, Message, Reasoning,
    ResponseFormat, Role, Sampling, Tool, ToolCall, ToolChoice, ToolResult, Usage,
};
use crate::dialect::anthropic::NAME;

pub(super) fn request() -> impl Strategy<Value = ChatRequest> {
    let more = (option::of(response_format()), option::of(word()), carried(), thinking());
    (word(), messages(), tools(), sampling(), any::<bool>(), more).prop_map(
        |(model, messages, (tools, tool_choice, parallel_tool_calls), sampling, stream, more)| {
            let (response_format, user, mut own, (budget, thinking)) = more;
            own.extend(thinking.map(|thinking| ("thinking".to_owned(), thinking)));
            let extra = BTreeMap::from([(NAME.to_owned(), own)]);
            let sampling = Sampling { reasoning_budget: budget, ..sampling };
            let request = ChatRequest {
                model,
                messages,
                tools,
                tool_choice,
                parallel_tool_calls,
                sampling,
                response_format,
                stream,
                user,
                extra,
            };
            let thinks = budget.is_some_and(|budget| budget > 0) || request.extra[NAME].contains_key("thinking");
            if thinks { thinking_request(request) } else { request }
        },
    )
}

/// What the API lets go with thinking.
fn thinking_request(mut request: ChatRequest) -> ChatRequest {
    let sampling = &mut request.sampling;
    (sampling.temperature, sampling.top_p, sampling.top_k) = (None, None, None);
    if matches!(request.tool_choice, Some(ToolChoice::Named(_) | ToolChoice::Required)) {
        request.tool_choice = Some(ToolChoice::Auto);
    }
    for message in request.messages.iter_mut().filter(|message| message.role == Role::Assistant) {
        message.content.insert(0, signed("hm", "c2ln"));
    }
    request
}

pub(super) fn response() -> impl Strategy<Value = ChatResponse> {
    let block = prop_oneof![
        3 => cited_text(),
        1 => reasoning(),
        2 => call().prop_map(Block::ToolCall),
        1 => answer_opaque(),
    ];
    (word(), word(), vec(block, 0..6), ending(), usage(), any::<[bool; 2]>()).prop_map(
        |(id, model, content, (finish, mut own), usage, [details, rich])| {
            let content = numbered(content);
            let calls = content.iter().any(|block| matches!(block, Block::ToolCall(_)));
            let finish = if calls && own.is_empty() { FinishReason::ToolCalls } else { finish };
            if details {
                let counts = json!({"service_tier": "standard", "cache_creation": {"ephemeral_1h_input_tokens": 1}});
                own.insert("usage".to_owned(), counts);
            }
            if rich {
                own.insert("container".to_owned(), json!({"id": "c"}));
                own.insert("context_management".to_owned(), json!({"applied_edits": []}));
            }
            let mut extra = Extra::new();
            put(&mut extra, own);
            let message = Message { role: Role::Assistant, content, name: None, extra: Extra::new() };
            ChatResponse { id: Some(id), model, message, finish, usage: Some(usage), logprobs: Vec::new(), extra }
        },
    )
}

/// Any text that is not blank, which the API refuses.
pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z \n\"\\\\é😀]{1,12}", any::<String>()]
        .prop_filter("not blank", |text: &String| !text.trim().is_empty())
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_-]{0,8}"
}

fn put(extra: &mut Extra, own: Map<String, Value>) {
    if !own.is_empty() {
        extra.insert(NAME.to_owned(), Value::Object(own));
    }
}

fn own(fields: Value) -> Extra {
    Extra::from_iter([(NAME.to_owned(), fields)])
}

/// Sometimes a cache mark.
fn marked() -> impl Strategy<Value = Extra> {
    any::<bool>()
        .prop_map(|marked| if marked { own(json!({"cache_control": {"type": "ephemeral"}})) } else { Extra::new() })
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let exchange = (vec(user_block(), 1..4), assistant(), vec(result(), 3), any::<[bool; 2]>());
    (option::of(vec(text_block(), 1..3)), vec(exchange, 1..4), option::of(vec(user_block(), 1..3))).prop_map(
        |(system, exchanges, last)| {
            let mut messages = Vec::new();
            messages.extend(system.map(|content| said(Role::System, content)));
            let mut waits = false;
            for (asked, answered, results, [bare, instructed]) in exchanges {
                if !(bare && waits) {
                    messages.push(said(Role::User, asked));
                    if instructed {
                        let content = vec![Block::text("now so")];
                        messages.push(Message { extra: own(json!({})), ..said(Role::System, content) });
                    }
                }
                let answered = numbered(answered);
                let ids: Vec<_> = answered.iter().filter_map(call_id).collect();
                waits = !ids.is_empty();
                messages.push(said(Role::Assistant, answered));
                messages.extend(ids.into_iter().zip(results).map(|(tool_call_id, result)| {
                    said(Role::Tool, vec![Block::ToolResult(ToolResult { tool_call_id, ..result })])
                }));
            }
            messages.extend(last.map(|content| said(Role::User, content)));
            messages
        },
    )
}

fn call_id(block: &Block) -> Option<String> {
    if let Block::ToolCall(call) = block { Some(call.id.clone()) } else { None }
}

fn said(role: Role, content: Vec<Block>) -> Message {
    Message { role, content, name: None, extra: Extra::new() }
}

fn assistant() -> impl Strategy<Value = Vec<Block>> {
    let spoken = vec(prop_oneof![3 => cited_text(), 1 => reasoning(), 1 => answer_opaque()], 1..4);
    (spoken, vec(call(), 0..3)).prop_map(|(mut blocks, calls)| {
        blocks.extend(calls.into_iter().map(Block::ToolCall));
        blocks
    })
}

/// Gives every call an id of its own.
fn numbered(mut blocks: Vec<Block>) -> Vec<Block> {
    for (index, block) in blocks.iter_mut().enumerate() {
        if let Block::ToolCall(call) = block {
            call.id = format!("toolu_{index}");
        }
    }
    blocks
}

fn text_block() -> impl Strategy<Value = Block> {
    (text(), marked()).prop_map(|(text, extra)| Block::Text { text, extra })
}

fn cited_text() -> impl Strategy<Value = Block> {
    (text(), 0..3_usize).prop_map(|(text, citations)| {
        let citations: Vec<_> = (0..citations).map(|index| json!({"type": "page_location", "at": index})).collect();
        let extra = if citations.is_empty() { Extra::new() } else { own(json!({"annotations": citations})) };
        Block::Text { text, extra }
    })
}

fn signed(text: &str, signature: &str) -> Block {
    let (signature, dialect) = (Some(signature.to_owned()), Some(NAME.to_owned()));
    Block::Reasoning(Reasoning { text: text.to_owned(), signature, dialect, ..Reasoning::default() })
}

fn reasoning() -> impl Strategy<Value = Block> {
    let thinking = (".{0,12}", "[a-zA-Z0-9+/=]{1,12}").prop_map(|(text, signature)| signed(&text, &signature));
    let redacted = "[a-zA-Z0-9+/=]{1,12}".prop_map(|data| {
        let (signature, dialect) = (Some(data), Some(NAME.to_owned()));
        Block::Reasoning(Reasoning { signature, dialect, redacted: true, ..Reasoning::default() })
    });
    prop_oneof![2 => thinking, 1 => redacted]
}

fn call() -> impl Strategy<Value = ToolCall> {
    (word(), text(), any::<[bool; 2]>()).prop_map(|(name, text, [full, called])| {
        let arguments = if full { json!({"a": text, "b": [1, {"c": "}"}]}) } else { json!({}) }.to_string();
        let extra = if called { own(json!({"caller": {"type": "code_execution"}})) } else { Extra::new() };
        ToolCall { id: String::new(), name, arguments, extra }
    })
}

fn answer_opaque() -> impl Strategy<Value = Block> {
    prop_oneof![
        Just(json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}})),
        Just(
            json!({"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result"}]})
        ),
        Just(json!({"type": "block_of_tomorrow", "deep": [{"x": "y"}]})),
    ]
    .prop_map(|value| Block::Opaque { dialect: NAME.to_owned(), value })
}

fn user_block() -> impl Strategy<Value = Block> {
    let data = "[a-zA-Z0-9+/]{4,16}={0,2}";
    let image = prop_oneof![
        word().prop_map(|name| ImageSource::Url { url: format!("https://host.test/{name}.png") }),
        data.prop_map(|data| ImageSource::Base64 { media_type: "image/png".to_owned(), data }),
    ];
    let document = prop_oneof![
        word().prop_map(|name| DocumentSource::Url { url: format!("https://host.test/{name}.pdf") }),
        data.prop_map(|data| DocumentSource::Base64 { media_type: "application/pdf".to_owned(), data }),
        any::<String>().prop_map(|text| DocumentSource::Text { text }),
    ];
    let image = (image, marked()).prop_map(|(source, extra)| Block::Image { source, detail: None, extra });
    let document = (document, option::of(text()), marked()).prop_map(|(source, title, extra)| Block::Document {
        source,
        title,
        extra,
    });
    let opaque = prop_oneof![
        Just(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})),
        Just(json!({"type": "search_result", "source": "s", "title": "t", "content": []})),
    ]
    .prop_map(|value| Block::Opaque { dialect: NAME.to_owned(), value });
    prop_oneof![3 => text_block(), 1 => image, 1 => document, 1 => opaque]
}

fn result() -> impl Strategy<Value = ToolResult> {
    (vec(user_block(), 0..3), any::<bool>(), marked()).prop_map(|(content, is_error, extra)| {
        let is_error = is_error && !content.is_empty();
        ToolResult { tool_call_id: String::new(), content, is_error, extra }
    })
}

fn tools() -> impl Strategy<Value = (Vec<Tool>, Option<ToolChoice>, Option<bool>)> {
    (vec(tool(), 0..3), 0..5_usize, option::of(any::<bool>())).prop_map(|(tools, choice, parallel)| {
        let named = tools.first().map(|tool| ToolChoice::Named(tool.name.clone()));
        let choices = [None, Some(ToolChoice::Auto), Some(ToolChoice::None), Some(ToolChoice::Required), named];
        let choice = choices[choice].clone().filter(|_| !tools.is_empty());
        let parallel = parallel.filter(|_| !matches!(choice, None | Some(ToolChoice::None)));
        (tools, choice, parallel)
    })
}

fn tool() -> impl Strategy<Value = Tool> {
    let function = (word(), option::of(text()), option::of(any::<bool>()), marked()).prop_map(
        |(name, description, strict, extra)| {
            let parameters = Some(json!({"type": "object", "properties": {"a": {"type": "string"}}}));
            Tool { name, description, parameters, strict, extra }
        },
    );
    let server = Just(json!({"type": "web_search_20260318", "name": "web_search", "max_uses": 2}))
        .prop_map(|body| Tool { name: "web_search".to_owned(), extra: own(body), ..Tool::default() });
    prop_oneof![4 => function, 1 => server]
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let hundredths = || option::of((0..=100_u32).prop_map(|number| f64::from(number) / 100.0));
    let effort = prop_oneof![Just("low"), Just("medium"), Just("high"), Just("max")];
    (0..=u32::MAX, hundredths(), hundredths(), option::of(any::<u32>()), vec(text(), 0..3), option::of(effort))
        .prop_map(|(max_tokens, temperature, top_p, top_k, stop, effort)| Sampling {
            max_tokens: Some(max_tokens),
            temperature,
            top_p,
            top_k,
            stop,
            reasoning_effort: effort.map(str::to_owned),
            ..Sampling::default()
        })
}

/// The budget, and what is carried of thinking.
fn thinking() -> impl Strategy<Value = (Option<u32>, Option<Value>)> {
    prop_oneof![
        3 => Just((None, None)),
        1 => Just((Some(0), None)),
        1 => (1024..=u32::MAX).prop_map(|budget| (Some(budget), None)),
        1 => (1024..=u32::MAX).prop_map(|budget| (Some(budget), Some(json!({"display": "omitted"})))),
        1 => Just((None, Some(json!({"type": "adaptive", "display": "summarized"})))),
        1 => Just((None, Some(json!({"type": "between_tools"})))),
    ]
}

fn response_format() -> impl Strategy<Value = ResponseFormat> {
    Just(ResponseFormat::JsonSchema {
        name: "response".to_owned(),
        description: None,
        schema: json!({"type": "object"}),
        strict: Some(true),
    })
}

fn carried() -> impl Strategy<Value = Extra> {
    any::<[bool; 3]>().prop_map(|[metadata, config, rest]| {
        let fields = [
            metadata.then(|| ("metadata", json!({"team": "blue"}))),
            config.then(|| ("output_config", json!({"task_budget": {"total": 9}}))),
            rest.then(|| ("service_tier", json!("auto"))),
            rest.then(|| ("x_vendor", json!([{"deep": null}]))),
        ];
        fields.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect()
    })
}

fn usage() -> impl Strategy<Value = Usage> {
    any::<[u32; 5]>().prop_map(|counts| {
        let [input, output, cached, written, reasoning] = counts.map(u64::from);
        Usage {
            input_tokens: input + cached + written,
            output_tokens: output,
            cached_tokens: cached,
            reasoning_tokens: reasoning,
            cache_write_tokens: written,
        }
    })
}

/// Why an answer ends, and what is carried of that.
fn ending() -> impl Strategy<Value = (FinishReason, Map<String, Value>)> {
    prop_oneof![
        Just((FinishReason::Stop, json!({}))),
        Just((FinishReason::Stop, json!({"stop_reason": "stop_sequence", "stop_sequence": "END"}))),
        Just((FinishReason::Stop, json!({"stop_reason": "pause_turn"}))),
        Just((FinishReason::Length, json!({}))),
        Just((FinishReason::Length, json!({"stop_reason": "model_context_window_exceeded"}))),
        Just((FinishReason::ToolCalls, json!({}))),
        Just((FinishReason::ContentFilter, json!({"stop_details": {"type": "refusal"}}))),
    ]
    .prop_map(|(finish, own)| (finish, own.as_object().cloned().unwrap_or_default()))
}
