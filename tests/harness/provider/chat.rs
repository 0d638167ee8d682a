//! OpenAI's chat completions, as the provider writes them.

use serde_json::{Value, json};

use super::reply::{CREATED, Finish, Pieces, Reply, usage};

pub(super) fn whole(request: &Value, reply: &Reply) -> Value {
    let mut message = json!({"role": "assistant", "content": reply.text, "refusal": null});
    if let Some(tool) = &reply.tool {
        message["content"] = Value::Null;
        message["tool_calls"] = json!([call(tool, &reply.text)]);
    }
    json!({
        "id": "chatcmpl-fake", "object": "chat.completion", "created": CREATED, "model": request["model"],
        "choices": [{
            "index": 0, "message": message, "logprobs": logprobs(request, reply.words()), "finish_reason": finish(reply),
        }],
        "usage": counts(request, reply),
    })
}

pub(super) fn streamed(request: &Value, reply: &Reply) -> Pieces {
    let include_usage = request["stream_options"]["include_usage"] == true;
    let head = json!({
        "id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": CREATED, "model": request["model"],
    });
    let data = |value: &Value| format!("data: {value}\n\n");
    let told = |delta: Value, logprobs: Value, finish: Option<&str>| {
        let mut value = head.clone();
        value["choices"] = json!([{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}]);
        if include_usage {
            value["usage"] = Value::Null;
        }
        data(&value)
    };
    let chunk = |delta: Value, finish: Option<&str>| told(delta, Value::Null, finish);
    let mut begin = vec![chunk(json!({"role": "assistant", "content": "", "refusal": null}), None)];
    if let Some(tool) = &reply.tool {
        // The name first, then the arguments in pieces.
        let mut call = call(tool, "");
        call["index"] = json!(0);
        begin.push(chunk(json!({"tool_calls": [call]}), None));
    }
    let piece = |text: &str| match &reply.tool {
        Some(_) => chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}), None),
        None => told(json!({"content": text}), logprobs(request, [text].into_iter()), None),
    };
    let mut end = vec![chunk(json!({}), Some(finish(reply)))];
    if include_usage {
        let mut value = head.clone();
        (value["choices"], value["usage"]) = (json!([]), counts(request, reply));
        end.push(data(&value));
    }
    end.push("data: [DONE]\n\n".to_owned());
    Pieces { begin, words: reply.words().map(piece).collect(), end }
}

/// Each word a token, with as many others as were asked for.
fn logprobs<'a>(request: &Value, words: impl Iterator<Item = &'a str>) -> Value {
    if request["logprobs"] != true {
        return Value::Null;
    }
    let token = |word: &str| json!({"token": word, "logprob": -0.25, "bytes": word.as_bytes()});
    let others = request["top_logprobs"].as_u64().unwrap_or_default();
    let content = words.map(|word| {
        let mut told = token(word);
        told["top_logprobs"] = (0..others).map(|_| token(word)).collect();
        told
    });
    json!({"content": content.collect::<Vec<_>>(), "refusal": null})
}

fn finish(reply: &Reply) -> &'static str {
    match reply.finish {
        Finish::Length => "length",
        Finish::Filter => "content_filter",
        Finish::Stop if reply.tool.is_some() => "tool_calls",
        Finish::Stop => "stop",
    }
}

fn call(name: &str, arguments: &str) -> Value {
    json!({"id": "call_fake", "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn counts(request: &Value, reply: &Reply) -> Value {
    let (read, written) = usage(request, reply);
    json!({
        "prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}
