//! Whether a request is so large that counting its tokens leaves the async threads. Whatever is counted weighs its
//! bytes, however deep it lies; the walk ends as soon as there is enough.

use schemas::chat::{Block, ChatRequest, DocumentSource, ImageSource, Message, Reasoning, Tool};
use serde_json::Value;

/// Messages from which on counting leaves the async threads.
const MANY_MESSAGES: usize = 64;
/// Bytes in one request from which on it does.
const MANY_BYTES: usize = 64 << 10;
/// What a block, a field or a tool weighs beside its text.
const FRAME: usize = 16;

/// Whether `request` takes long to count.
pub(crate) fn is_large(request: &ChatRequest) -> bool {
    if request.messages.len() >= MANY_MESSAGES {
        return true;
    }
    let mut scale = Scale { left: MANY_BYTES };
    request.messages.iter().any(|message| scale.message(message)) || request.tools.iter().any(|tool| scale.tool(tool))
}

/// What may still be weighed. Each of its functions tells whether that is used up.
struct Scale {
    left: usize,
}

impl Scale {
    const fn bytes(&mut self, bytes: usize) -> bool {
        self.left = self.left.saturating_sub(bytes.saturating_add(FRAME));
        self.left == 0
    }

    fn message(&mut self, message: &Message) -> bool {
        message.content.iter().any(|block| self.block(block))
    }

    fn tool(&mut self, tool: &Tool) -> bool {
        let described = tool.description.as_ref().map_or(0, String::len);
        self.bytes(described + tool.name.len()) || tool.parameters.as_ref().is_some_and(|value| self.value(value))
    }

    fn block(&mut self, block: &Block) -> bool {
        match block {
            Block::Text { text, .. } | Block::Refusal { text } => self.bytes(text.len()),
            Block::Reasoning(Reasoning { text, .. }) => self.bytes(text.len()),
            Block::ToolCall(call) => self.bytes(call.name.len() + call.arguments.len()),
            Block::ToolResult(result) => self.bytes(0) || result.content.iter().any(|block| self.block(block)),
            Block::Image { source, .. } => match source {
                ImageSource::Url { url } => self.bytes(url.len()),
                ImageSource::Base64 { data, .. } => self.bytes(data.len()),
            },
            Block::Document { source, .. } => match source {
                DocumentSource::Url { url } => self.bytes(url.len()),
                DocumentSource::Base64 { data, .. } => self.bytes(data.len()),
                DocumentSource::Text { text } => self.bytes(text.len()),
            },
            Block::Opaque { value, .. } => self.value(value),
        }
    }

    fn value(&mut self, value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => self.bytes(0),
            Value::String(text) => self.bytes(text.len()),
            Value::Array(items) => self.bytes(0) || items.iter().any(|item| self.value(item)),
            Value::Object(fields) => {
                self.bytes(0) || fields.iter().any(|(name, value)| self.bytes(name.len()) || self.value(value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::chat::{Extra, Role, ToolCall, ToolResult};
    use serde_json::json;

    use super::*;

    fn with(content: Vec<Block>) -> ChatRequest {
        let message = Message { content, ..Message::text(Role::User, "") };
        ChatRequest { messages: vec![message], ..ChatRequest::default() }
    }

    /// A request of each kind of content, that weighs about so much.
    fn of_all_kinds(bytes: usize) -> Vec<ChatRequest> {
        let text = "x".repeat(bytes);
        let result = |content| {
            let result = ToolResult { tool_call_id: "a".to_owned(), content, is_error: false, extra: Extra::new() };
            with(vec![Block::ToolResult(result)])
        };
        let document = |source| with(vec![Block::Document { source, title: None, extra: Extra::new() }]);
        let media_type = || "application/pdf".to_owned();
        let tool = Tool { parameters: Some(json!({"enum": [text]})), ..Tool::default() };
        vec![
            with(vec![Block::text(text.clone())]),
            with(vec![Block::Refusal { text: text.clone() }]),
            with(vec![Block::Reasoning(Reasoning::text(text.clone()))]),
            with(vec![Block::ToolCall(ToolCall { arguments: text.clone(), ..ToolCall::default() })]),
            result(vec![Block::text("see"), Block::text(text.clone())]),
            result(vec![Block::text("x"); bytes / FRAME]),
            document(DocumentSource::Text { text: text.clone() }),
            document(DocumentSource::Base64 { media_type: media_type(), data: text.clone() }),
            with(vec![Block::Opaque { dialect: "d".to_owned(), value: json!({"a": [{"b": text}]}) }]),
            with(vec![Block::Opaque { dialect: "d".to_owned(), value: json!(vec![0; bytes / FRAME]) }]),
            ChatRequest { tools: vec![tool], ..ChatRequest::default() },
        ]
    }

    #[test]
    fn everything_that_is_counted_weighs_something() {
        for request in of_all_kinds(MANY_BYTES) {
            assert!(is_large(&request), "{:.200}", format!("{request:?}"));
        }
        for request in of_all_kinds(MANY_BYTES / 4) {
            assert!(!is_large(&request), "{:.200}", format!("{request:?}"));
        }
    }
}
