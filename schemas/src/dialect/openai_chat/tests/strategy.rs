//! Requests and answers in the neutral form that this dialect can say in full.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::chat::{
    Block, ChatRequest, ChatResponse, DocumentSource, Extra, FinishReason, ImageSource, Message, Reasoning,
    ResponseFormat, Role, Sampling, Tool, ToolCall, ToolChoice, ToolResult, Usage,
};
use crate::dialect::openai_chat::NAME;

pub(super) fn request() -> impl Strategy<Value = ChatRequest> {
    let sampled = (sampling(), option::of(response_format()), any::<bool>(), option::of(text()));
    (word(), vec(message(), 1..5), vec(tool(), 0..3), any::<u8>(), option::of(any::<bool>()), sampled, carried())
        .prop_map(|(model, messages, tools, choice, parallel, (sampling, response_format, stream, user), extra)| {
            let choices = tools.first().map(|tool| {
                let named = ToolChoice::Named(tool.name.clone());
                [None, Some(ToolChoice::Auto), Some(ToolChoice::None), Some(ToolChoice::Required), Some(named)]
            });
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
        })
}

pub(super) fn response() -> impl Strategy<Value = ChatResponse> {
    answer(false)
}

/// As a stream can tell it: an answer's message has no fields of its own there, and its calls come last.
pub(super) fn streamed() -> impl Strategy<Value = ChatResponse> {
    answer(true)
}

fn answer(streamed: bool) -> impl Strategy<Value = ChatResponse> {
    let said = (option::of(text()), option::of(text()), option::of(text()), vec(call(), 0..3));
    (word(), word(), said, finish(), option::of(usage()), any::<[bool; 4]>()).prop_map(
        move |(id, model, (reasoning, text, refusal, calls), finish, usage, [rich, custom, cited, probable])| {
            let mut content = Vec::new();
            content.extend(reasoning.map(|text| Block::Reasoning(Reasoning::text(text))));
            content.extend(text.map(|text| Block::Text { text, extra: if cited { citation() } else { Extra::new() } }));
            content.extend(refusal.map(|text| Block::Refusal { text }));
            content.extend(numbered(calls, custom).into_iter().map(Block::ToolCall));
            let mut message = Message { role: Role::Assistant, content, name: None, extra: Extra::new() };
            let mut extra = Extra::new();
            if rich {
                own(&mut extra, beside(usage.is_some()));
                let (name, value) = ("audio", json!({"id": "audio_1", "data": "AAAA"}));
                if streamed {
                    let value = json!({ name: value, "type": "message" });
                    message.content.push(Block::Opaque { dialect: NAME.to_owned(), value });
                } else {
                    own(&mut message.extra, json!({ name: value }));
                }
            }
            let logprobs = if probable { vec![json!({"token": "a", "logprob": -0.5, "bytes": [97]})] } else { vec![] };
            ChatResponse { id: Some(id), model, message, finish, usage, logprobs, extra }
        },
    )
}

fn citation() -> Extra {
    let mut extra = Extra::new();
    own(&mut extra, json!({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://h.test"}}, 2]}));
    extra
}

/// What an answer carries; with counts if it has any.
fn beside(counted: bool) -> Value {
    let mut fields = json!({
        "system_fingerprint": "fp_1",
        "citations": [1],
        "logprobs": {"refusal": [{"token": "n"}]},
        "choice": {"content_filter_results": {"hate": {"filtered": false}}},
    });
    if counted {
        fields["usage"] = json!({"cost": 0.5, "prompt_tokens_details": {"audio_tokens": 3}});
    }
    fields
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

fn finish() -> impl Strategy<Value = FinishReason> {
    prop_oneof![
        Just(FinishReason::Stop),
        Just(FinishReason::Length),
        Just(FinishReason::ToolCalls),
        Just(FinishReason::ContentFilter)
    ]
}

fn usage() -> impl Strategy<Value = Usage> {
    any::<[u32; 5]>().prop_map(|counts| {
        let [input_tokens, output_tokens, cached_tokens, reasoning_tokens, cache_write_tokens] = counts.map(u64::from);
        Usage { input_tokens, output_tokens, cached_tokens, reasoning_tokens, cache_write_tokens }
    })
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let hundredths = |low: i32, high: i32| option::of((low..=high).prop_map(|number| f64::from(number) / 100.0));
    (
        hundredths(0, 200),
        hundredths(0, 100),
        option::of(1..=u32::MAX),
        vec(any::<String>(), 0..=4),
        option::of(any::<i64>()),
        hundredths(-200, 200),
        hundredths(-200, 200),
        option::of(word()),
        option::of((any::<bool>(), option::of(0..=20_u32))),
    )
        .prop_map(|(temperature, top_p, max_tokens, stop, seed, presence, frequency, reasoning_effort, told)| {
            Sampling {
                temperature,
                top_p,
                max_tokens,
                stop,
                seed,
                presence_penalty: presence,
                frequency_penalty: frequency,
                reasoning_effort,
                logprobs: told.map(|(logprobs, _)| logprobs),
                top_logprobs: told.and_then(|(_, top)| top),
                ..Sampling::default()
            }
        })
}

fn response_format() -> impl Strategy<Value = ResponseFormat> {
    let schema = (word(), option::of(text()), option::of(any::<bool>())).prop_map(|(name, description, strict)| {
        ResponseFormat::JsonSchema { name, description, schema: json!({"type": "object"}), strict }
    });
    prop_oneof![Just(ResponseFormat::Text), Just(ResponseFormat::JsonObject), schema]
}

fn carried() -> impl Strategy<Value = BTreeMap<String, Extra>> {
    option::of((any::<bool>(), text(), any::<i8>())).prop_map(|fields| {
        let fields = fields.map(|(store, user, bias)| {
            let body =
                json!({"store": store, "safety_identifier": user, "logit_bias": {"50256": bias}, "x_vendor": [{"deep": null}]});
            (NAME.to_owned(), body.as_object().cloned().unwrap_or_default())
        });
        fields.into_iter().collect()
    })
}

fn tool() -> impl Strategy<Value = Tool> {
    let function = (word(), option::of(text()), option::of(any::<bool>()), any::<[bool; 2]>()).prop_map(
        |(name, description, strict, [typed, rich])| {
            let mut extra = Extra::new();
            if rich {
                own(&mut extra, json!({"cache_control": {"type": "ephemeral"}, "function": {"x_vendor": 1}}));
                shared_mark(&mut extra);
            }
            let parameters = typed.then(|| json!({"type": "object", "properties": {}}));
            Tool { name, description, parameters, strict, extra }
        },
    );
    let custom = word().prop_map(|name| {
        let mut extra = Extra::new();
        own(&mut extra, json!({"type": "custom", "custom": {"name": name, "format": {"type": "text"}}}));
        Tool { name, extra, ..Tool::default() }
    });
    prop_oneof![4 => function, 1 => custom]
}

fn call() -> impl Strategy<Value = ToolCall> {
    (word(), prop_oneof![Just("{\"a\": 1}".to_owned()), text(), Just(String::new())])
        .prop_map(|(name, arguments)| ToolCall { name, arguments, ..ToolCall::default() })
}

/// The calls with their ids; every one of the `custom` kind, or every second with what Gemini adds.
fn numbered(calls: Vec<ToolCall>, custom: bool) -> Vec<ToolCall> {
    let dress = |(index, call): (usize, ToolCall)| {
        let mut extra = Extra::new();
        if custom {
            own(&mut extra, json!({"type": "custom"}));
        } else if index % 2 == 1 {
            own(&mut extra, json!({"extra_content": {"google": {"thought_signature": "c2ln"}}}));
        }
        ToolCall { id: format!("call_{index}"), extra, ..call }
    };
    calls.into_iter().enumerate().map(dress).collect()
}

/// The mark that a part, a call or a tool carries for this dialect, for Anthropic's.
fn shared_mark(extra: &mut Extra) {
    extra.insert("anthropic".to_owned(), json!({"cache_control": {"type": "ephemeral"}}));
}

fn message() -> impl Strategy<Value = Message> {
    let plain = prop_oneof![Just(Role::System), Just(Role::Developer)];
    let kinds = prop_oneof![
        (plain, vec(text_block(), 0..3)),
        vec(user_block(), 0..3).prop_map(|content| (Role::User, content)),
        (text(), vec(prop_oneof![text_block(), user_block()], 0..3), part_extra()).prop_map(tool_result),
    ];
    let said = (kinds, option::of(word()), any::<bool>()).prop_map(|((role, content), name, rich)| {
        let mut extra = Extra::new();
        if rich {
            own(&mut extra, json!({"prefix": true}));
        }
        Message { role, content, name, extra }
    });
    prop_oneof![2 => said, 1 => assistant()]
}

/// What a tool answered, marked or not.
fn tool_result((tool_call_id, content, extra): (String, Vec<Block>, Extra)) -> (Role, Vec<Block>) {
    let content = content.into_iter().filter(|block| !is_audio(block)).collect();
    // Only the mark of a whole result stands beside its content.
    let extra = if extra.contains_key("anthropic") { extra } else { Extra::new() };
    (Role::Tool, vec![Block::ToolResult(ToolResult { tool_call_id, content, is_error: false, extra })])
}

fn is_audio(block: &Block) -> bool {
    matches!(block, Block::Opaque { value, .. } if value["type"] == "input_audio")
}

fn assistant() -> impl Strategy<Value = Message> {
    let refusal = text().prop_map(|text| Block::Refusal { text });
    let spoken = vec(prop_oneof![3 => text_block(), 1 => refusal], 0..3);
    (option::of(text()), spoken, vec(call(), 0..3), any::<bool>()).prop_map(|(reasoning, spoken, calls, custom)| {
        let mut content = Vec::new();
        content.extend(reasoning.map(|text| Block::Reasoning(Reasoning::text(text))));
        content.extend(spoken);
        content.extend(numbered(calls, custom).into_iter().map(Block::ToolCall));
        Message { role: Role::Assistant, content, name: None, extra: Extra::new() }
    })
}

/// What a part carries: nothing, a mark that Anthropic knows, or one that only this dialect does.
fn part_extra() -> impl Strategy<Value = Extra> {
    (0..3_u8).prop_map(|kind| {
        let mut extra = Extra::new();
        match kind {
            0 => {
                own(&mut extra, json!({"cache_control": {"type": "ephemeral"}}));
                shared_mark(&mut extra);
            }
            1 => own(&mut extra, json!({"prompt_cache_breakpoint": {"mode": "explicit"}})),
            _ => {}
        }
        extra
    })
}

fn text_block() -> impl Strategy<Value = Block> {
    (text(), part_extra()).prop_map(|(text, extra)| Block::Text { text, extra })
}

fn user_block() -> impl Strategy<Value = Block> {
    let source = prop_oneof![
        word().prop_map(|name| ImageSource::Url { url: format!("https://host.test/{name}.png") }),
        "[a-zA-Z0-9+/]{4,16}={0,2}".prop_map(|data| ImageSource::Base64 { media_type: "image/png".to_owned(), data }),
    ];
    let image = (source, option::of(word()), part_extra()).prop_map(|(source, detail, mut extra)| {
        if let Some(own) = extra.get_mut(NAME) {
            own["image_url"] = json!({"min_pixels": 1});
        }
        Block::Image { source, detail, extra }
    });
    let document = (word(), part_extra(), any::<bool>()).prop_map(|(name, extra, sent)| {
        let base64 = DocumentSource::Base64 { media_type: "application/pdf".to_owned(), data: "AAAA".to_owned() };
        let source = if sent { base64 } else { DocumentSource::Url { url: format!("https://host.test/{name}") } };
        Block::Document { source, title: Some(format!("{name}.pdf")), extra }
    });
    let opaque = prop_oneof![
        Just(json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
        Just(json!({"type": "file", "file": {"file_id": "file-1", "filename": null}})),
        Just(json!({"type": "video_url", "video_url": {"url": "https://host.test/v"}})),
    ]
    .prop_map(|value| Block::Opaque { dialect: NAME.to_owned(), value });
    prop_oneof![2 => text_block(), 1 => image, 1 => document, 1 => opaque]
}
