//! Anthropic's messages, as the provider writes them.

use serde_json::{Value, json};

use super::reply::{Finish, Pieces, Reply, usage};

pub(super) fn whole(request: &Value, reply: &Reply) -> Value {
    let mut block = begun(reply);
    match &reply.tool {
        Some(_) => block["input"] = serde_json::from_str(&reply.text).unwrap_or(Value::Null),
        None => block["text"] = json!(reply.text),
    }
    let mut message = head(request, reply);
    message["content"] = if reply.finish == Finish::Filter { json!([]) } else { json!([block]) };
    message["stop_reason"] = json!(stop_reason(reply));
    message["usage"]["output_tokens"] = json!(usage(request, reply).1);
    message
}

pub(super) fn streamed(request: &Value, reply: &Reply) -> Pieces {
    let begin = vec![
        event("message_start", json!({"message": head(request, reply)})),
        event("content_block_start", json!({"index": 0, "content_block": begun(reply)})),
        event("ping", json!({})),
    ];
    let delta = |text: &str| match &reply.tool {
        Some(_) => json!({"type": "input_json_delta", "partial_json": text}),
        None => json!({"type": "text_delta", "text": text}),
    };
    let piece = |text: &str| event("content_block_delta", json!({"index": 0, "delta": delta(text)}));
    let ended = json!({"stop_reason": stop_reason(reply), "stop_sequence": null});
    let end = vec![
        event("content_block_stop", json!({"index": 0})),
        event("message_delta", json!({"delta": ended, "usage": {"output_tokens": usage(request, reply).1}})),
        event("message_stop", json!({})),
    ];
    Pieces { begin, words: reply.words().map(piece).collect(), end }
}

fn event(kind: &str, mut body: Value) -> String {
    body["type"] = json!(kind);
    format!("event: {kind}\ndata: {body}\n\n")
}

fn head(request: &Value, reply: &Reply) -> Value {
    json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": request["model"], "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": usage(request, reply).0, "cache_creation_input_tokens": 0,
                  "cache_read_input_tokens": 0, "output_tokens": 1, "service_tier": "standard"},
    })
}

fn begun(reply: &Reply) -> Value {
    match &reply.tool {
        Some(name) => json!({"type": "tool_use", "id": "toolu_fake", "name": name, "input": {}}),
        None => json!({"type": "text", "text": ""}),
    }
}

fn stop_reason(reply: &Reply) -> &'static str {
    match reply.finish {
        Finish::Length => "max_tokens",
        Finish::Filter => "refusal",
        Finish::Stop if reply.tool.is_some() => "tool_use",
        Finish::Stop => "end_turn",
    }
}
