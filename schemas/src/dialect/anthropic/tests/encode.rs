//! What a provider is sent of requests that another dialect's client wrote.

use serde_json::{Value, json};

use crate::catalog::Quirks;
use crate::chat::{
    Block, ChatRequest, DocumentSource, Extra, ImageSource, Message, Reasoning, ResponseFormat, Role, Sampling, Tool,
    ToolCall, ToolChoice, ToolResult,
};
use crate::dialect::anthropic::{NAME, encode_request};
use crate::warning::Warning;

fn said(role: Role, content: Vec<Block>) -> Message {
    Message { role, content, name: None, extra: Extra::new() }
}

fn call(id: &str, arguments: &str) -> Block {
    let (id, name, arguments) = (id.to_owned(), "f".to_owned(), arguments.to_owned());
    Block::ToolCall(ToolCall { id, name, arguments, extra: Extra::new() })
}

fn result(id: &str, content: Vec<Block>, is_error: bool) -> Block {
    Block::ToolResult(ToolResult { tool_call_id: id.to_owned(), content, is_error, extra: Extra::new() })
}

fn asked(sampling: Sampling) -> ChatRequest {
    ChatRequest {
        model: "m".to_owned(),
        messages: vec![Message::text(Role::User, "hi")],
        sampling,
        ..ChatRequest::default()
    }
}

fn encode(request: &ChatRequest) -> (Value, Vec<Warning>) {
    encode_request(request, "m", &Quirks::default())
}

fn params(warnings: &[Warning]) -> Vec<&str> {
    warnings.iter().filter_map(|warning| warning.param.as_deref()).collect()
}

#[test]
fn foreign_things_are_mapped_or_warned_about() {
    let foreign = Extra::from_iter([("openai_chat".to_owned(), json!({"x": 1}))]);
    let theirs = Reasoning {
        text: "hm".to_owned(),
        signature: Some("enc".to_owned()),
        dialect: Some("openai_responses".to_owned()),
        ..Reasoning::default()
    };
    let detailed = Block::Image {
        source: ImageSource::Base64 { media_type: "image/png".to_owned(), data: "AA".to_owned() },
        detail: Some("high".to_owned()),
        extra: foreign.clone(),
    };
    let document = |media_type: &str, data: &str| Block::Document {
        source: DocumentSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() },
        title: Some("t".to_owned()),
        extra: Extra::new(),
    };
    let audio = Block::Opaque { dialect: "openai_chat".to_owned(), value: json!({"type": "input_audio"}) };
    let own = Extra::from_iter([(NAME.to_owned(), json!({"cache_control": {"type": "ephemeral"}}))]);
    let messages = vec![
        Message::text(Role::System, "one"),
        said(Role::Developer, vec![Block::Text { text: "two".to_owned(), extra: own }]),
        Message { name: Some("ann".to_owned()), ..said(Role::User, vec![detailed, audio, Block::text("  ")]) },
        said(Role::User, vec![document("text/csv", "YSxi"), document("application/msword", "AA")]),
        said(Role::Assistant, vec![Block::Reasoning(theirs), Block::Reasoning(Reasoning::text("bare"))]),
        said(
            Role::Assistant,
            vec![Block::Refusal { text: "no".to_owned() }, call("fc:1", "{\"a\": 1}"), call("c2", "free")],
        ),
        Message::text(Role::System, "three"),
        Message::text(Role::User, "before the results"),
        said(Role::Tool, vec![result("fc:1", vec![Block::text("ok")], false)]),
        said(Role::Tool, vec![result("c2", vec![], true)]),
        Message::text(Role::Tool, "lost"),
        said(Role::User, vec![call("c3", "{}")]),
        Message::text(Role::User, ""),
        said(Role::Assistant, vec![Block::text("The answer is (")]),
    ];
    let custom = Extra::from_iter([("openai_chat".to_owned(), json!({"type": "custom", "custom": {"name": "g"}}))]);
    let request = ChatRequest {
        messages,
        tools: vec![
            Tool { name: "f".to_owned(), parameters: Some(json!({"properties": {}})), ..Tool::default() },
            Tool { name: "h".to_owned(), extra: foreign, ..Tool::default() },
            Tool { name: "g".to_owned(), extra: custom, ..Tool::default() },
        ],
        tool_choice: Some(ToolChoice::Named("g".to_owned())),
        parallel_tool_calls: Some(false),
        response_format: Some(ResponseFormat::JsonObject),
        user: Some("u".to_owned()),
        sampling: Sampling {
            temperature: Some(1.5),
            top_p: Some(0.5),
            stop: vec!["\n".to_owned(), "END".to_owned()],
            seed: Some(1),
            presence_penalty: Some(0.5),
            frequency_penalty: Some(0.0),
            logprobs: Some(true),
            top_logprobs: Some(2),
            ..Sampling::default()
        },
        extra: [("openai_chat".to_owned(), json!({"store": true}).as_object().unwrap().clone())].into(),
        ..ChatRequest::default()
    };
    let (body, warnings) = encode(&request);
    insta::assert_json_snapshot!("foreign_request", json!({"body": body, "warnings": warnings}));
}

#[test]
fn efforts_and_budgets() {
    let told = |effort: Option<&str>, budget: Option<u32>, max_tokens: Option<u32>, native: bool| {
        let reasoning_effort = effort.map(str::to_owned);
        let mut request =
            asked(Sampling { reasoning_effort, reasoning_budget: budget, max_tokens, ..Sampling::default() });
        if native {
            request.extra.insert(NAME.to_owned(), Extra::new());
        }
        let line = |quirks: &Quirks| {
            let (body, warnings) = encode_request(&request, "m", quirks);
            let (limit, thinking, config) = (&body["max_tokens"], &body["thinking"], &body["output_config"]);
            format!("{limit} {thinking} {config} {:?}", params(&warnings))
        };
        let quirks = Quirks { thinking_budget: true, ..Quirks::default() };
        format!(
            "{effort:?} {budget:?} {max_tokens:?} native={native}\n  {}\n  {}",
            line(&Quirks::default()),
            line(&quirks)
        )
    };
    let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max", "strange"];
    let mut table: Vec<_> = efforts.iter().map(|effort| told(Some(effort), None, None, false)).collect();
    table.extend([
        told(None, None, None, false),
        told(Some("high"), None, Some(9000), false),
        told(Some("high"), None, Some(900), false),
        told(Some("high"), None, Some(9000), true),
        told(Some("high"), Some(5000), Some(9000), false),
        told(None, Some(5000), None, false),
        told(None, Some(5), Some(9000), false),
        told(None, Some(0), Some(9000), false),
    ]);
    insta::assert_snapshot!("efforts_and_budgets", table.join("\n"));
}

#[test]
fn what_the_api_refuses_beside_thinking_is_left_out() {
    let sampling = Sampling {
        temperature: Some(0.3),
        top_p: Some(0.5),
        top_k: Some(3),
        reasoning_effort: Some("high".to_owned()),
        ..Sampling::default()
    };
    let (body, warnings) = encode(&asked(sampling.clone()));
    assert_eq!(params(&warnings), ["temperature", "top_p", "top_k"]);
    assert!(["temperature", "top_p", "top_k"].iter().all(|name| body.get(*name).is_none()));
    let (body, warnings) =
        encode(&asked(Sampling { temperature: Some(1.0), top_p: Some(0.97), top_k: None, ..sampling.clone() }));
    assert_eq!((&body["temperature"], body.get("top_p")), (&json!(1.0), None));
    assert_eq!(params(&warnings), ["top_p"]);

    let tools = vec![Tool { name: "f".to_owned(), ..Tool::default() }];
    let forced = ChatRequest { tools, tool_choice: Some(ToolChoice::Required), ..asked(sampling) };
    let (body, warnings) = encode(&forced);
    assert_eq!((&body["tool_choice"], body.get("thinking")), (&json!({"type": "any"}), None));
    assert_eq!((&body["temperature"], params(&warnings)), (&json!(0.3), vec!["thinking", "top_p"]));
}

#[test]
fn a_budget_needs_the_thinking_of_the_last_calls() {
    let signed = Reasoning { signature: Some("s".to_owned()), dialect: Some(NAME.to_owned()), ..Reasoning::default() };
    let thinks = |first: Vec<Block>, effort: bool| {
        let mut content = first;
        content.push(call("c", "{}"));
        let mut request = asked(Sampling { max_tokens: Some(9000), ..Sampling::default() });
        if effort {
            request.sampling.reasoning_effort = Some("low".to_owned());
        } else {
            request.sampling.reasoning_budget = Some(2000);
        }
        let answered = said(Role::Tool, vec![result("c", vec![Block::text("ok")], false)]);
        request.messages.extend([said(Role::Assistant, content), answered]);
        let (body, warnings) = encode(&request);
        (body.get("thinking").is_some(), warnings.len())
    };
    assert_eq!(thinks(vec![], false), (false, 1));
    assert_eq!(thinks(vec![Block::Reasoning(signed)], false), (true, 0));
    assert_eq!(thinks(vec![], true), (true, 0));
}

#[test]
fn newer_models_take_no_sampling() {
    let quirks = Quirks { no_sampling: true, ..Quirks::default() };
    let sampling = Sampling { temperature: Some(0.3), top_p: Some(0.5), top_k: Some(3), ..Sampling::default() };
    let (_, warnings) = encode_request(&asked(sampling), "m", &quirks);
    assert_eq!(params(&warnings), ["temperature", "top_p", "top_k"]);
    let plain = Sampling { temperature: Some(1.0), top_p: Some(1.0), ..Sampling::default() };
    let (body, warnings) = encode_request(&asked(plain), "m", &quirks);
    assert_eq!((&body["temperature"], body.get("top_p"), warnings), (&json!(1.0), None, vec![]));
}
