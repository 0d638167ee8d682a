//! The rows of the table that tell what a provider cannot be told: for each a request that warns of just that.

use serde_json::json;

use crate::catalog::Quirks;
use crate::chat::{
    Block, ChatRequest, DocumentSource, Extra, ImageSource, Message, Reasoning, ResponseFormat, Role, Sampling, Tool,
    ToolCall, ToolChoice,
};
use crate::dialect::anthropic::{FIELDS, encode_request};

fn sampled(sampling: Sampling) -> ChatRequest {
    ChatRequest { messages: vec![Message::text(Role::User, "hi")], sampling, ..ChatRequest::default() }
}

fn said(role: Role, block: Block) -> ChatRequest {
    let mut request = sampled(Sampling::default());
    request.messages.push(Message { role, content: vec![block], name: None, extra: Extra::new() });
    request
}

fn foreign_tool() -> Tool {
    let extra = Extra::from_iter([("openai_responses".to_owned(), json!({"type": "file_search"}))]);
    Tool { name: "g".to_owned(), extra, ..Tool::default() }
}

/// A request that has what `path` speaks of, and the parameter that is warned about.
fn of_message(path: &str) -> Option<(ChatRequest, &'static str)> {
    let text = || "x".to_owned();
    let request = match path {
        "name" => {
            let mut request = sampled(Sampling::default());
            request.messages[0].name = Some(text());
            return Some((request, "messages[0].name"));
        }
        "instructions in the middle" => said(Role::Developer, Block::text("x")),
        "image detail" => {
            let source = ImageSource::Url { url: "https://h.test".to_owned() };
            said(Role::User, Block::Image { source, detail: Some("high".to_owned()), extra: Extra::new() })
        }
        "document of another kind" => {
            let source = DocumentSource::Base64 { media_type: "application/msword".to_owned(), data: text() };
            said(Role::User, Block::Document { source, title: None, extra: Extra::new() })
        }
        "reasoning of others" => said(Role::Assistant, Block::Reasoning(Reasoning::text("hm"))),
        "call without JSON" => said(
            Role::Assistant,
            Block::ToolCall(ToolCall { id: text(), name: text(), arguments: text(), extra: Extra::new() }),
        ),
        "block of other dialects" => {
            said(Role::User, Block::Opaque { dialect: "openai_chat".to_owned(), value: json!({"type": "input_audio"}) })
        }
        _ => return None,
    };
    Some((request, "messages[1]"))
}

fn of_sampling(name: &str) -> Option<Sampling> {
    let none = Sampling::default();
    Some(match name {
        "temperature" => Sampling { temperature: Some(1.2), ..none },
        "top_p" => Sampling { temperature: Some(0.5), top_p: Some(0.5), ..none },
        "top_k" => Sampling { top_k: Some(4), reasoning_effort: Some("high".to_owned()), ..none },
        "stop" => Sampling { stop: vec![" ".to_owned()], ..none },
        "seed" => Sampling { seed: Some(1), ..none },
        "presence_penalty" => Sampling { presence_penalty: Some(1.0), ..none },
        "frequency_penalty" => Sampling { frequency_penalty: Some(1.0), ..none },
        "logprobs" => Sampling { logprobs: Some(true), ..none },
        "top_logprobs" => Sampling { top_logprobs: Some(1), ..none },
        "reasoning_budget" => Sampling { reasoning_budget: Some(10), ..none },
        "reasoning_effort" => Sampling { reasoning_effort: Some("high".to_owned()), max_tokens: Some(100), ..none },
        _ => return None,
    })
}

fn of_rest(path: &str) -> Option<(ChatRequest, &'static str)> {
    let plain = sampled(Sampling::default());
    let tools = |tool: Tool| vec![tool];
    Some(match path {
        "tools[] of other dialects" => (ChatRequest { tools: tools(foreign_tool()), ..plain }, "tools[0]"),
        "tool_choice of a tool that is not sent" => {
            let choice = Some(ToolChoice::Named("g".to_owned()));
            (ChatRequest { tools: tools(foreign_tool()), tool_choice: choice, ..plain }, "tool_choice")
        }
        "response_format.json_object" => {
            (ChatRequest { response_format: Some(ResponseFormat::JsonObject), ..plain }, "response_format")
        }
        "response_format.description" => {
            let (name, description) = ("n".to_owned(), Some("d".to_owned()));
            let format = ResponseFormat::JsonSchema { name, description, schema: json!({}), strict: None };
            (ChatRequest { response_format: Some(format), ..plain }, "response_format")
        }
        "thinking beside a forced tool" => {
            let mut request = sampled(Sampling { reasoning_budget: Some(2000), ..Sampling::default() });
            request.tools = tools(Tool { name: "f".to_owned(), ..Tool::default() });
            request.tool_choice = Some(ToolChoice::Required);
            (request, "thinking")
        }
        _ => return None,
    })
}

#[test]
fn every_neutral_row_is_true() {
    for path in FIELDS.iter().filter_map(|field| field.path.strip_prefix("neutral.")) {
        let sampling = path.strip_prefix("sampling.").and_then(|name| Some((sampled(of_sampling(name)?), name)));
        let message = || of_message(path.strip_prefix("messages[].")?);
        let (request, param) = sampling.or_else(message).or_else(|| of_rest(path)).expect(path);
        let quirks = Quirks { thinking_budget: path.ends_with("reasoning_effort"), ..Quirks::default() };
        let (_, warnings) = encode_request(&request, "m", &quirks);
        assert!(warnings.iter().any(|warning| warning.param.as_deref() == Some(param)), "{path}: {warnings:?}");
    }
}
