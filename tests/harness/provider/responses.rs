//! OpenAI's responses, as the provider writes them.

use serde_json::{Value, json};

use super::reply::{CREATED, Finish, Pieces, Reply, usage};

pub(super) fn whole(request: &Value, reply: &Reply) -> Value {
    let (read, written) = usage(request, reply);
    let mut body = head(request);
    let (status, reason) = match reply.finish {
        Finish::Stop => ("completed", None),
        Finish::Length => ("incomplete", Some("max_output_tokens")),
        Finish::Filter => ("incomplete", Some("content_filter")),
    };
    body["status"] = json!(status);
    body["incomplete_details"] = json!(reason.map(|reason| json!({"reason": reason})));
    body["output"] = json!([item(reply, status, &reply.text)]);
    body["usage"] = json!({
        "input_tokens": read, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": read + written,
    });
    body
}

pub(super) fn streamed(request: &Value, reply: &Reply) -> Pieces {
    let mut number = 0;
    let mut event = |kind: &str, mut body: Value| {
        (body["type"], body["sequence_number"]) = (json!(kind), json!(number));
        number += 1;
        format!("event: {kind}\ndata: {body}\n\n")
    };
    let at = |mut body: Value| {
        (body["item_id"], body["output_index"]) = (item(reply, "", "")["id"].clone(), json!(0));
        if reply.tool.is_none() {
            body["content_index"] = json!(0);
        }
        body
    };
    let mut begin = vec![
        event("response.created", json!({"response": head(request)})),
        event("response.in_progress", json!({"response": head(request)})),
        event("response.output_item.added", json!({"output_index": 0, "item": item(reply, "in_progress", "")})),
    ];
    let part =
        |text: &str| at(json!({"part": {"type": "output_text", "text": text, "annotations": [], "logprobs": []}}));
    if reply.tool.is_none() {
        begin.push(event("response.content_part.added", part("")));
    }
    let pieces = |text: &str| match &reply.tool {
        Some(_) => event("response.function_call_arguments.delta", at(json!({"delta": text}))),
        None => event("response.output_text.delta", at(json!({"delta": text, "logprobs": []}))),
    };
    let words = reply.words().map(pieces).collect();
    let end = whole(request, reply);
    let mut last = match &reply.tool {
        Some(_) => vec![event("response.function_call_arguments.done", at(json!({"arguments": reply.text})))],
        None => vec![
            event("response.output_text.done", at(json!({"text": reply.text, "logprobs": []}))),
            event("response.content_part.done", part(&reply.text)),
        ],
    };
    last.push(event("response.output_item.done", json!({"output_index": 0, "item": end["output"][0]})));
    let kind = format!("response.{}", end["status"].as_str().unwrap_or_default());
    last.push(event(&kind, json!({"response": end})));
    Pieces { begin, words, end: last }
}

fn head(request: &Value) -> Value {
    json!({
        "id": "resp_fake", "object": "response", "created_at": CREATED, "status": "in_progress", "error": null,
        "incomplete_details": null, "model": request["model"], "output": [], "usage": null, "store": false,
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": request["tools"], "metadata": {},
    })
}

/// The one item of an answer, as far as it was written.
fn item(reply: &Reply, status: &str, text: &str) -> Value {
    if let Some(name) = &reply.tool {
        return json!({
            "type": "function_call", "id": "fc_fake", "call_id": "call_fake", "name": name, "arguments": text,
            "status": status,
        });
    }
    let parts = [json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})];
    let parts = if text.is_empty() { &[] } else { parts.as_slice() };
    json!({"type": "message", "id": "msg_fake", "role": "assistant", "status": status, "content": parts})
}
