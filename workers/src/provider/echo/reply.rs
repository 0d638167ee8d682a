//! What echo answers: the newest message again, a tool call when one is asked for, or JSON when that is the form. Pure.

use schemas::chat::{
    Block, ChatRequest, DocumentSource, Extra, ImageSource, ResponseFormat, Role, Tool, ToolCall, ToolChoice,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::sample::sample;

/// The answer to `request`: one text, or one tool call.
pub(super) fn reply(request: &ChatRequest) -> Block {
    let said = newest(request);
    let result = request.messages.last().is_some_and(|message| message.role == Role::Tool);
    if !result && let Some(call) = tool_call(request, &said) {
        return Block::ToolCall(call);
    }
    let text = match &request.response_format {
        Some(ResponseFormat::JsonObject) => json!({ "echo": said }).to_string(),
        Some(ResponseFormat::JsonSchema { schema, .. }) => sample(schema, &said).to_string(),
        Some(ResponseFormat::Text) | None => said,
    };
    Block::text(stopped(text, &request.sampling.stop))
}

/// The text of the newest message that a user or a tool wrote.
fn newest(request: &ChatRequest) -> String {
    let spoken = |role| matches!(role, Role::User | Role::Tool);
    let Some(message) = request.messages.iter().rev().find(|message| spoken(message.role)) else {
        return String::new();
    };
    let parts = message.content.iter().filter_map(shown).collect::<Vec<_>>();
    parts.join("\n")
}

/// A block in words.
fn shown(block: &Block) -> Option<String> {
    match block {
        Block::Text { text, .. } => Some(text.clone()),
        Block::Image { source: ImageSource::Url { .. }, .. } => Some("[image: by URL]".to_owned()),
        Block::Image { source: ImageSource::Base64 { media_type, data }, .. } => {
            Some(format!("[image: {media_type}, {} bytes]", data.trim_end_matches('=').len() * 3 / 4))
        }
        Block::ToolResult(result) => Some(result.content.iter().filter_map(shown).collect::<Vec<_>>().join("\n")),
        Block::Document { source: DocumentSource::Text { text }, .. } => Some(text.clone()),
        Block::Document { title, .. } => Some(format!("[document: {}]", title.as_deref().unwrap_or("without a title"))),
        Block::Opaque { dialect, .. } => Some(format!("[something of {dialect}]")),
        Block::ToolCall(_) | Block::Reasoning(_) | Block::Refusal { .. } => None,
    }
}

/// The call that the request forces, or that its newest message asks for by `call <tool> <json>`.
fn tool_call(request: &ChatRequest, said: &str) -> Option<ToolCall> {
    let find = |name: &str| request.tools.iter().find(|tool| tool.name == name);
    let asked = said.strip_prefix("call ").map(|rest| rest.split_once(char::is_whitespace).unwrap_or((rest, "")));
    let asked = asked.and_then(|(name, arguments)| Some((find(name.trim())?, arguments.trim())));
    let tool = match (&request.tool_choice, &asked) {
        (Some(ToolChoice::None), _) => return None,
        (Some(ToolChoice::Named(name)), _) => find(name)?,
        (_, Some((tool, _))) => tool,
        (Some(ToolChoice::Required), None) => request.tools.first()?,
        (Some(ToolChoice::Auto) | None, None) => return None,
    };
    let given = asked.filter(|(named, _)| named.name == tool.name).map(|(_, arguments)| arguments);
    let arguments = match given {
        Some(json) if serde_json::from_str::<Value>(json).is_ok_and(|json| json.is_object()) => json.to_owned(),
        _ => invented(tool, said),
    };
    Some(ToolCall { id: call_id(&tool.name, &arguments), name: tool.name.clone(), arguments, extra: Extra::new() })
}

fn invented(tool: &Tool, said: &str) -> String {
    tool.parameters.as_ref().map_or_else(|| json!({}), |schema| sample(schema, said)).to_string()
}

fn call_id(name: &str, arguments: &str) -> String {
    let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(arguments).finalize();
    digest.iter().take(12).fold("call_".to_owned(), |id, byte| id + &format!("{byte:02x}"))
}

/// `text` up to the first of the stop texts.
fn stopped(mut text: String, stop: &[String]) -> String {
    let end = stop.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min();
    text.truncate(end.unwrap_or(text.len()));
    text
}

#[cfg(test)]
mod tests {
    use schemas::chat::{Message, ToolResult};

    use super::*;

    fn request(text: &str) -> ChatRequest {
        let messages = vec![Message::text(Role::System, "be kind"), Message::text(Role::User, text)];
        let parameters = Some(json!({ "type": "object", "properties": { "city": { "type": "string" } } }));
        let tool = Tool { name: "weather".to_owned(), parameters, ..Tool::default() };
        ChatRequest {
            messages,
            tools: vec![Tool { name: "time".to_owned(), ..Tool::default() }, tool],
            ..ChatRequest::default()
        }
    }

    fn call(request: &ChatRequest) -> (String, String) {
        match reply(request) {
            Block::ToolCall(call) => (call.name, call.arguments),
            other => panic!("no call: {other:?}"),
        }
    }

    #[test]
    fn the_newest_user_text_comes_back() {
        assert_eq!(reply(&request("hello there")), Block::text("hello there"));
        assert_eq!(reply(&ChatRequest::default()), Block::text(""));
    }

    #[test]
    fn a_tool_is_called_when_asked_or_forced_and_not_when_forbidden() {
        let mut asked = request("call weather {\"city\": \"Oslo\"}");
        let oslo = ("weather".to_owned(), "{\"city\": \"Oslo\"}".to_owned());
        assert_eq!(call(&asked), oslo);
        asked.tool_choice = Some(ToolChoice::Required);
        assert_eq!(call(&asked), oslo);
        asked.tool_choice = Some(ToolChoice::None);
        assert!(matches!(reply(&asked), Block::Text { .. }));
        asked.tool_choice = Some(ToolChoice::Named("time".to_owned()));
        assert_eq!(call(&asked), ("time".to_owned(), "{}".to_owned()));
        let mut forced = request("Oslo");
        forced.tool_choice = Some(ToolChoice::Named("weather".to_owned()));
        assert_eq!(call(&forced), ("weather".to_owned(), "{\"city\":\"Oslo\"}".to_owned()));
        assert!(matches!(reply(&request("call nobody {}")), Block::Text { .. }));
    }

    #[test]
    fn a_tools_answer_is_told_and_not_asked_for_again() {
        let mut request = request("call weather");
        request.tool_choice = Some(ToolChoice::Required);
        let result = ToolResult {
            tool_call_id: "1".to_owned(),
            content: vec![Block::text("rain")],
            is_error: false,
            extra: Extra::new(),
        };
        request.messages.push(Message { content: vec![Block::ToolResult(result)], ..Message::text(Role::Tool, "") });
        assert_eq!(reply(&request), Block::text("rain"));
    }

    #[test]
    fn images_are_acknowledged_without_their_data() {
        let mut request = request("look");
        let data = ImageSource::Base64 { media_type: "image/png".to_owned(), data: "AAAAAA==".to_owned() };
        let url = ImageSource::Url { url: "https://example.org/secret".to_owned() };
        let images = [data, url].map(|source| Block::Image { source, detail: None, extra: Extra::new() });
        request.messages[1].content.extend(images);
        assert_eq!(reply(&request), Block::text("look\n[image: image/png, 4 bytes]\n[image: by URL]"));
    }

    #[test]
    fn forms_and_stop_texts_are_kept() {
        let mut request = request("one two three");
        request.response_format = Some(ResponseFormat::JsonObject);
        assert_eq!(reply(&request), Block::text("{\"echo\":\"one two three\"}"));
        request.response_format = None;
        request.sampling.stop = vec!["three".to_owned(), " two".to_owned(), String::new()];
        assert_eq!(reply(&request), Block::text("one"));
    }
}
