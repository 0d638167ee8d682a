//! Requests and answers in the neutral form that this dialect can say in full.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::chat::{
    Block, ChatRequest, ChatResponse, Extra, FinishReason, ImageSource, Message, Reasoning, ResponseFormat, Role,
    Sampling, Tool, ToolCall, ToolChoice, ToolResult, Usage,
};
use crate::dialect::openai_chat::NAME;

pub(super) fn request() -> impl Strategy<Value = ChatRequest> {
    let sampled = (sampling(), option::of(response_format()), any::<bool>());
    (word(), vec(message(), 1..5), vec(tool(), 0..3), any::<u8>(), option::of(any::<bool>()), sampled, carried())
        .prop_map(|(model, messages, tools, choice, parallel, (sampling, response_format, stream), extra)| {
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
                user: None,
                extra,
            }
        })
}

pub(super) fn response() -> impl Strategy<Value = ChatResponse> {
    let said = (option::of(text()), option::of(text()), option::of(text()), vec(call(), 0..3));
    (word(), word(), said, finish(), option::of(usage()), any::<bool>()).prop_map(
        |(id, model, (reasoning, text, refusal, calls), finish, usage, rich)| {
            let mut content = Vec::new();
            content.extend(reasoning.map(|text| Block::Reasoning(Reasoning::text(text))));
            content.extend(text.map(Block::text));
            content.extend(refusal.map(|text| Block::Refusal { text }));
            content.extend(numbered(calls).into_iter().map(Block::ToolCall));
            let mut message = Message { role: Role::Assistant, content, name: None, extra: Extra::new() };
            let mut extra = Extra::new();
            if rich {
                own(&mut message.extra, json!({"annotations": [{"type": "url_citation"}]}));
                own(&mut extra, json!({"system_fingerprint": "fp_1", "logprobs": {"content": []}, "citations": [1]}));
            }
            ChatResponse { id: Some(id), model, message, finish, usage, logprobs: Vec::new(), extra }
        },
    )
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
    (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(input, output, cached, reasoning)| Usage {
        input_tokens: input.into(),
        output_tokens: output.into(),
        cached_tokens: cached.into(),
        reasoning_tokens: reasoning.into(),
        cache_write_tokens: 0,
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
    )
        .prop_map(|(temperature, top_p, max_tokens, stop, seed, presence, frequency, reasoning_effort)| Sampling {
            temperature,
            top_p,
            max_tokens,
            stop,
            seed,
            presence_penalty: presence,
            frequency_penalty: frequency,
            reasoning_effort,
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
    option::of((any::<bool>(), text(), any::<i8>())).prop_map(|fields| {
        let fields = fields.map(|(store, user, bias)| {
            let body =
                json!({"store": store, "user": user, "logit_bias": {"50256": bias}, "x_vendor": [{"deep": null}]});
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

/// A call, and whether it is one of the `custom` kind.
fn call() -> impl Strategy<Value = ToolCall> {
    (word(), prop_oneof![Just("{\"a\": 1}".to_owned()), text(), Just(String::new())])
        .prop_map(|(name, arguments)| ToolCall { id: String::new(), name, arguments, extra: Extra::new() })
}

fn numbered(calls: Vec<ToolCall>) -> Vec<ToolCall> {
    calls.into_iter().enumerate().map(|(index, call)| ToolCall { id: format!("call_{index}"), ..call }).collect()
}

fn message() -> impl Strategy<Value = Message> {
    let plain = prop_oneof![Just(Role::System), Just(Role::Developer)];
    let kinds = prop_oneof![
        (plain, vec(text_block(), 0..3)),
        vec(user_block(), 0..3).prop_map(|content| (Role::User, content)),
        (text(), vec(text_block(), 0..3)).prop_map(|(tool_call_id, content)| {
            (
                Role::Tool,
                vec![Block::ToolResult(ToolResult { tool_call_id, content, is_error: false, extra: Extra::new() })],
            )
        }),
    ];
    let said = (kinds, option::of(word()), any::<bool>()).prop_map(|((role, content), name, rich)| {
        let mut extra = Extra::new();
        if rich {
            own(&mut extra, json!({"cache_control": {"type": "ephemeral"}}));
        }
        Message { role, content, name, extra }
    });
    prop_oneof![2 => said, 1 => assistant()]
}

fn assistant() -> impl Strategy<Value = Message> {
    let refusal = text().prop_map(|text| Block::Refusal { text });
    let spoken = vec(prop_oneof![3 => text_block(), 1 => refusal], 0..3);
    (option::of(text()), spoken, vec(call(), 0..3), any::<[bool; 2]>()).prop_map(
        |(reasoning, spoken, calls, [custom, signed])| {
            let mut content = Vec::new();
            content.extend(reasoning.map(|text| Block::Reasoning(Reasoning::text(text))));
            content.extend(spoken);
            let mut extras = Map::new();
            for call in numbered(calls) {
                let extra = match (custom, signed) {
                    (true, _) => Some(json!({"type": "custom"})),
                    (_, true) => Some(json!({"extra_content": {"google": {"thought_signature": "c2ln"}}})),
                    _ => None,
                };
                extras.extend(extra.map(|extra| (call.id.clone(), extra)));
                content.push(Block::ToolCall(call));
            }
            let mut extra = Extra::new();
            if !extras.is_empty() {
                own(&mut extra, json!({"tool_calls": extras}));
            }
            Message { role: Role::Assistant, content, name: None, extra }
        },
    )
}

fn text_block() -> impl Strategy<Value = Block> {
    (text(), any::<bool>()).prop_map(|(text, rich)| {
        let mut extra = Extra::new();
        if rich {
            own(&mut extra, json!({"cache_control": {"type": "ephemeral"}}));
        }
        Block::Text { text, extra }
    })
}

fn user_block() -> impl Strategy<Value = Block> {
    let source = prop_oneof![
        word().prop_map(|name| ImageSource::Url { url: format!("https://host.test/{name}.png") }),
        "[a-zA-Z0-9+/]{4,16}={0,2}".prop_map(|data| ImageSource::Base64 { media_type: "image/png".to_owned(), data }),
    ];
    let image =
        (source, option::of(word())).prop_map(|(source, detail)| Block::Image { source, detail, extra: Extra::new() });
    let opaque = prop_oneof![
        Just(json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
        Just(json!({"type": "file", "file": {"file_id": "file-1", "filename": null}})),
        Just(json!({"type": "video_url", "video_url": {"url": "https://host.test/v"}})),
    ]
    .prop_map(|value| Block::Opaque { dialect: NAME.to_owned(), value });
    prop_oneof![2 => text_block(), 1 => image, 1 => opaque]
}
