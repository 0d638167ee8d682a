//! Requests and answers in the neutral form that this dialect can say in full.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::SUFFIX;
use crate::chat::{
    Block, ChatRequest, ChatResponse, DocumentSource, Extra, FinishReason, ImageSource, Message, Reasoning,
    ResponseFormat, Role, Sampling, Tool, ToolCall, ToolChoice, ToolResult, Usage,
};
use crate::dialect::openai_responses::NAME;

pub(super) fn request() -> impl Strategy<Value = ChatRequest> {
    let sampled = (sampling(), option::of(response_format()), any::<bool>(), option::of(text()));
    (word(), vec(message(), 1..6), vec(tool(), 0..3), any::<u8>(), option::of(any::<bool>()), sampled, carried())
        .prop_map(
            |(model, mut messages, tools, choice, parallel, (sampling, response_format, stream, user), mut extra)| {
                let choices = tools.first().map(|tool| {
                    let named = ToolChoice::Named(tool.name.clone());
                    [None, Some(ToolChoice::Auto), Some(ToolChoice::None), Some(ToolChoice::Required), Some(named)]
                });
                // Neighbouring items of an assistant are one message.
                messages.dedup_by(|next, before| next.role == Role::Assistant && before.role == Role::Assistant);
                if let Some((user, own)) = user.as_ref().zip(extra.get_mut(NAME)) {
                    own.insert("safety_identifier".to_owned(), json!(if stream { user.as_str() } else { "hash" }));
                }
                ChatRequest {
                    model,
                    messages,
                    tool_choice: choices.and_then(|choices| choices[usize::from(choice) % 5].clone()),
                    parallel_tool_calls: parallel.filter(|_| !tools.is_empty()),
                    tools,
                    sampling,
                    response_format,
                    stream,
                    user,
                    extra,
                }
            },
        )
}

pub(super) fn response() -> impl Strategy<Value = ChatResponse> {
    let usage = option::of((any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()));
    (word(), vec(output(), 0..6), any::<u8>(), usage, any::<bool>(), vec(token(), 0..5)).prop_map(
        |(model, blocks, finish, usage, rich, logprobs)| {
            let content = numbered(blocks.into_iter().flatten().collect());
            let has_calls = content.iter().any(|block| matches!(block, Block::ToolCall(_)));
            let has_text = content.iter().any(|block| matches!(block, Block::Text { .. }));
            let done = if has_calls { FinishReason::ToolCalls } else { FinishReason::Stop };
            let mut extra = Extra::new();
            if rich {
                let usage = json!({"input_tokens_details": {"cache_write_tokens_details": {"ttl_30m_tokens": 1}}});
                let usage_known = usage.clone();
                own(&mut extra, json!({"service_tier": "default", "usage": usage_known, "x_vendor": [1]}));
            }
            let usage = usage.map(|(input, output, cached, reasoning, written)| Usage {
                input_tokens: input.into(),
                output_tokens: output.into(),
                cached_tokens: cached.into(),
                reasoning_tokens: reasoning.into(),
                cache_write_tokens: written.into(),
            });
            if usage.is_none() {
                extra.get_mut(NAME).and_then(Value::as_object_mut).map(|own| own.remove("usage"));
            }
            ChatResponse {
                id: Some(format!("resp_{SUFFIX}")),
                model,
                message: Message { role: Role::Assistant, content, name: None, extra: Extra::new() },
                finish: [done, done, FinishReason::Length, FinishReason::ContentFilter][usize::from(finish) % 4],
                usage,
                logprobs: if has_text { logprobs } else { Vec::new() },
                extra,
            }
        },
    )
}

/// Calls with ids of their own, and no two refusals beside each other: they would run together.
fn numbered(mut blocks: Vec<Block>) -> Vec<Block> {
    blocks.dedup_by(|next, before| matches!(next, Block::Refusal { .. }) && matches!(before, Block::Refusal { .. }));
    for (index, block) in blocks.iter_mut().enumerate() {
        if let Block::ToolCall(call) = block {
            call.id = format!("{}{index}", call.id);
        }
    }
    blocks
}

fn token() -> impl Strategy<Value = Value> {
    (text(), any::<bool>()).prop_map(|(token, whole)| {
        let bytes = whole.then(|| token.bytes().collect::<Vec<_>>());
        json!({"token": token, "logprob": -0.5, "bytes": bytes, "top_logprobs": []})
    })
}

/// The blocks of one item of an answer.
fn output() -> impl Strategy<Value = Vec<Block>> {
    let one = |block: Block| vec![block];
    prop_oneof![
        3 => said().prop_map(one),
        1 => text().prop_map(|text| vec![Block::Refusal { text }]),
        2 => thoughts(true),
        2 => call(false).prop_map(one),
        1 => hosted().prop_map(one),
    ]
}

fn hosted() -> impl Strategy<Value = Block> {
    prop_oneof![
        Just(json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}})),
        Just(json!({"type": "mcp_call", "id": "mcp_1", "name": "f", "arguments": "{}", "server_label": "s"})),
        Just(json!({"type": "holography_call", "id": "h_1"})),
    ]
    .prop_map(|value| Block::Opaque { dialect: NAME.to_owned(), value })
}

/// Any text but the empty one, which no block holds.
pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z \n\"\\\\é😀]{1,12}", any::<String>().prop_filter("not empty", |text| !text.is_empty())]
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_-]{0,8}"
}

fn own(extra: &mut Extra, fields: Value) {
    extra.insert(NAME.to_owned(), fields);
}

fn owned(fields: Value) -> Extra {
    Extra::from_iter([(NAME.to_owned(), fields)])
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let hundredths = |low: i32, high: i32| option::of((low..=high).prop_map(|number| f64::from(number) / 100.0));
    (
        hundredths(0, 200),
        hundredths(0, 100),
        option::of(1..=u32::MAX),
        option::of(word()),
        any::<bool>(),
        option::of(0..=20_u32),
    )
        .prop_map(|(temperature, top_p, max_tokens, reasoning_effort, logprobs, top_logprobs)| Sampling {
            temperature,
            top_p,
            max_tokens,
            reasoning_effort,
            logprobs: logprobs.then_some(true),
            top_logprobs,
            ..Sampling::default()
        })
}

fn response_format() -> impl Strategy<Value = ResponseFormat> {
    let schema = (word(), option::of(text()), option::of(any::<bool>())).prop_map(|(name, description, strict)| {
        ResponseFormat::JsonSchema { name, description, schema: json!({"type": "object"}), strict }
    });
    prop_oneof![Just(ResponseFormat::Text), Just(ResponseFormat::JsonObject), schema]
}

fn carried() -> impl Strategy<Value = BTreeMap<String, Extra>> {
    let fields = option::of((any::<[bool; 3]>(), text()));
    fields.prop_map(|fields| {
        let fields = fields.map(|([summary, verbosity, include], key)| {
            let mut body = json!({"prompt_cache_key": key, "service_tier": "flex", "x_vendor": [{"deep": null}]});
            if summary {
                body["reasoning"] = json!({"summary": "auto"});
            }
            if verbosity {
                body["text"] = json!({"verbosity": "low"});
            }
            if include {
                body["include"] = json!(["file_search_call.results"]);
            }
            (NAME.to_owned(), body.as_object().cloned().unwrap_or_default())
        });
        fields.into_iter().collect()
    })
}

fn tool() -> impl Strategy<Value = Tool> {
    let function = (word(), option::of(text()), option::of(any::<bool>()), any::<[bool; 2]>()).prop_map(
        |(name, description, strict, [typed, rich])| {
            let mut fields = json!({});
            if rich {
                fields["defer_loading"] = json!(true);
            }
            // What is left out is marked; the schema is not fit for strictness.
            if strict.is_none() {
                fields["strict"] = Value::Null;
            }
            let extra = if fields == json!({}) { Extra::new() } else { owned(fields) };
            let parameters = typed.then(|| json!({"type": "object", "properties": {"a": {}}}));
            Tool { name, description, parameters, strict, extra }
        },
    );
    let custom = word().prop_map(|name| {
        let name = format!("free_{name}");
        let extra = owned(json!({"type": "custom", "name": name, "format": {"type": "text"}}));
        Tool { name, extra, ..Tool::default() }
    });
    let hosted = Just(Tool {
        name: "web_search".to_owned(),
        extra: owned(json!({"type": "web_search", "search_context_size": "low"})),
        ..Tool::default()
    });
    prop_oneof![4 => function, 1 => custom, 1 => hosted]
}

/// A call; `custom` ones among them.
fn call(custom: bool) -> impl Strategy<Value = Block> {
    let arguments = prop_oneof![Just("{\"a\": 1}".to_owned()), text(), Just(String::new())];
    (word(), arguments, any::<[bool; 2]>()).prop_map(move |(name, arguments, [free, rich])| {
        let mut call = ToolCall { id: "call_".to_owned(), name, arguments, extra: Extra::new() };
        if free && custom {
            call.id = "free_".to_owned();
            call.extra = owned(json!({"type": "custom_tool_call"}));
        } else if rich {
            call.extra = owned(json!({"namespace": "crm", "caller": {"type": "direct"}}));
        }
        Block::ToolCall(call)
    })
}

/// What an assistant says in words.
fn said() -> impl Strategy<Value = Block> {
    (text(), 0_u8..4).prop_map(|(text, kind)| {
        let citation = json!({"type": "url_citation", "url": "https://host.test/", "title": "t", "start_index": 0, "end_index": 1});
        let phase = json!({"type": "phase", "phase": "commentary"});
        let extra = match kind {
            0 => owned(json!({"annotations": [citation]})),
            1 => owned(json!({"annotations": [phase]})),
            2 => owned(json!({"annotations": [phase, citation]})),
            _ => Extra::new(),
        };
        Block::Text { text, extra }
    })
}

/// A reasoning item: parts, the last with a proof or none.
fn thoughts(answered: bool) -> impl Strategy<Value = Vec<Block>> {
    (vec(text(), 0..3), 0_u8..3, option::of("[a-z]{4}"), text()).prop_map(move |(texts, signed, id, signature)| {
        let mut thoughts: Vec<_> = texts.into_iter().map(Reasoning::text).collect();
        // The ids of our own items come back as none.
        let id = id.filter(|_| !answered).map(|id| format!("rs_{id}"));
        if signed > 0 {
            let redacted = thoughts.is_empty();
            let text = thoughts.pop().map(|last| last.text).unwrap_or_default();
            let (signature, dialect) = (Some(signature), Some(NAME.to_owned()));
            thoughts.push(Reasoning { text, signature, dialect, id, redacted, extra: Extra::new() });
        }
        thoughts.into_iter().map(Block::Reasoning).collect()
    })
}

fn message() -> impl Strategy<Value = Message> {
    let plain = prop_oneof![Just(Role::System), Just(Role::Developer)];
    let spoken = prop_oneof![
        (plain, vec(text_block(), 0..3)),
        vec(user_block(), 0..3).prop_map(|content| (Role::User, content))
    ];
    let spoken = (spoken, any::<bool>()).prop_map(|((role, content), rich)| {
        let extra = if rich { owned(json!({"vendor": {"x": 1}})) } else { Extra::new() };
        Message { role, content, name: None, extra }
    });
    let hosted =
        Just(json!({"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}}))
            .prop_map(|value| blocks(Role::Tool, vec![Block::Opaque { dialect: NAME.to_owned(), value }]));
    prop_oneof![4 => spoken, 3 => assistant(), 2 => result(), 1 => hosted]
}

fn blocks(role: Role, content: Vec<Block>) -> Message {
    Message { role, content, name: None, extra: Extra::new() }
}

fn result() -> impl Strategy<Value = Message> {
    (word(), vec(user_block(), 0..3), 0_u8..3).prop_map(|(id, content, kind)| {
        let (prefix, extra) = match kind {
            0 => ("free_", owned(json!({"type": "custom_tool_call_output"}))),
            1 => ("call_", owned(json!({"caller": {"type": "direct"}}))),
            _ => ("call_", Extra::new()),
        };
        let tool_call_id = format!("{prefix}{id}");
        blocks(Role::Tool, vec![Block::ToolResult(ToolResult { tool_call_id, content, is_error: false, extra })])
    })
}

fn assistant() -> impl Strategy<Value = Message> {
    let one = |block: Block| vec![block];
    let item = prop_oneof![
        3 => said().prop_map(one),
        1 => text().prop_map(|text| vec![Block::Refusal { text }]),
        2 => thoughts(false),
        2 => call(true).prop_map(one),
        1 => hosted().prop_map(one),
    ];
    vec(item, 1..5).prop_map(|items| {
        let mut content = numbered(items.into_iter().flatten().collect());
        if content.is_empty() {
            content.push(Block::text("hm"));
        }
        blocks(Role::Assistant, content)
    })
}

fn text_block() -> impl Strategy<Value = Block> {
    (text(), any::<bool>()).prop_map(|(text, rich)| {
        let extra = if rich { owned(json!({"prompt_cache_breakpoint": {"mode": "explicit"}})) } else { Extra::new() };
        Block::Text { text, extra }
    })
}

fn user_block() -> impl Strategy<Value = Block> {
    let base64 = || "[a-zA-Z0-9+/]{4,16}={0,2}";
    let source = prop_oneof![
        word().prop_map(|name| ImageSource::Url { url: format!("https://host.test/{name}.png") }),
        base64().prop_map(|data| ImageSource::Base64 { media_type: "image/png".to_owned(), data }),
    ];
    let image =
        (source, option::of(word())).prop_map(|(source, detail)| Block::Image { source, detail, extra: Extra::new() });
    let file = prop_oneof![
        word().prop_map(|name| DocumentSource::Url { url: format!("https://host.test/{name}.pdf") }),
        base64().prop_map(|data| DocumentSource::Base64 { media_type: "application/pdf".to_owned(), data }),
        text().prop_map(|text| DocumentSource::Text { text }),
    ];
    let file = (file, word(), any::<bool>()).prop_map(|(source, title, rich)| {
        let extra = if rich { owned(json!({"detail": "low"})) } else { Extra::new() };
        Block::Document { source, title: Some(title), extra }
    });
    let opaque = prop_oneof![
        Just(json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
        Just(json!({"type": "input_image", "file_id": "file-1", "detail": "auto"})),
        Just(json!({"type": "input_file", "file_id": "file-1"})),
    ]
    .prop_map(|value| Block::Opaque { dialect: NAME.to_owned(), value });
    prop_oneof![3 => text_block(), 1 => image, 1 => file, 1 => opaque]
}
