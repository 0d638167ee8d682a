//! The bytes of an answer: whole, streamed, or broken in the way that the script asks for.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::Response;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Act;
use super::ledger::{Ending, Open, last_user_text};

const CREATED: i64 = 1_770_000_000;

/// One step of writing a body.
enum Step {
    Send(String),
    Wait(Duration),
    Silence,
    Hold(watch::Receiver<bool>),
    Cut,
}

/// What the model says.
struct Reply {
    text: String,
    tool: Option<String>,
    finish: &'static str,
}

pub(super) fn of(
    act: &Act,
    request: &Value,
    credential: &str,
    open: Open,
    released: watch::Receiver<bool>,
) -> Response {
    match act {
        Act::Refuse(status, after) => {
            open.end(Ending::Refused);
            let status = StatusCode::from_u16(*status).expect("a script names real statuses");
            error(status, "scripted", "The test's script refuses this call.", *after)
        }
        Act::TellCredential => {
            open.end(Ending::Refused);
            let message = format!("Incorrect API key provided: {credential}. You can find your key in your account.");
            error(StatusCode::UNAUTHORIZED, "invalid_api_key", &message, None)
        }
        Act::Garbage => body("text/html", [Step::Send("<html><body>It works!</body></html>".to_owned())], open),
        _ if request["stream"] == true => {
            let include_usage = request["stream_options"]["include_usage"] == true;
            let steps = streamed(act, request, &reply(act, request), include_usage, released);
            body("text/event-stream", steps, open)
        }
        _ => body("application/json", whole(act, request, &reply(act, request)), open),
    }
}

/// An error in OpenAI's shape.
pub(super) fn error(status: StatusCode, code: &str, message: &str, retry_after: Option<u64>) -> Response {
    let kind = match status.as_u16() {
        401 => "authentication_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    let text = json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string();
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    if let Some(seconds) = retry_after {
        response = response.header(header::RETRY_AFTER, seconds);
    }
    response.body(Body::from(text)).expect("the parts of the response are valid")
}

fn reply(act: &Act, request: &Value) -> Reply {
    let tool = request["tools"][0]["function"]["name"].as_str().map(str::to_owned);
    let choice = &request["tool_choice"];
    let named = choice["function"]["name"].as_str().map(str::to_owned);
    let wanted = named.or_else(|| tool.filter(|_| choice == "required"));
    let text = match act {
        Act::Huge(bytes) => "x".repeat(*bytes),
        Act::Filter => String::new(),
        Act::Say(text) => text.clone(),
        _ => format!("fake: {}", last_user_text(request)),
    };
    let finish = match act {
        Act::Length => "length",
        Act::Filter => "content_filter",
        _ if wanted.is_some() => "tool_calls",
        _ => "stop",
    };
    Reply { text, tool: wanted, finish }
}

fn whole(act: &Act, request: &Value, reply: &Reply) -> Vec<Step> {
    let mut message = json!({"role": "assistant", "content": reply.text, "refusal": null});
    if let Some(tool) = &reply.tool {
        message["content"] = Value::Null;
        message["tool_calls"] = json!([tool_call(tool)]);
    }
    let text = json!({
        "id": "chatcmpl-fake", "object": "chat.completion", "created": CREATED, "model": request["model"],
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reply.finish}],
        "usage": usage(request, &reply.text),
    })
    .to_string();
    let half = || Step::Send(text[..text.len() / 2].to_owned());
    match act {
        Act::Truncated => vec![half()],
        Act::Die(_) => vec![half(), Step::Cut],
        Act::Stall(_) => vec![half(), Step::Silence],
        _ => vec![Step::Send(text)],
    }
}

fn streamed(
    act: &Act,
    request: &Value,
    reply: &Reply,
    include_usage: bool,
    released: watch::Receiver<bool>,
) -> Vec<Step> {
    let chunk = |delta: Value, finish: Value| {
        let mut value = json!({
            "id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": CREATED, "model": request["model"],
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
        });
        if include_usage {
            value["usage"] = Value::Null;
        }
        Step::Send(format!("data: {value}\n\n"))
    };
    let mut steps = vec![chunk(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null)];
    if let Some(tool) = &reply.tool {
        // As OpenAI does: the name first, then the arguments in pieces.
        let mut call = tool_call(tool);
        call["index"] = json!(0);
        let arguments = call["function"]["arguments"].take();
        call["function"]["arguments"] = json!("");
        steps.push(chunk(json!({"tool_calls": [call]}), Value::Null));
        for piece in arguments.as_str().unwrap_or_default().split_inclusive(':') {
            let more = json!({"index": 0, "function": {"arguments": piece}});
            steps.extend(pause_of(act));
            steps.push(chunk(json!({"tool_calls": [more]}), Value::Null));
        }
    } else {
        for word in reply.text.split_inclusive(' ') {
            steps.extend(pause_of(act));
            steps.push(chunk(json!({"content": word}), Value::Null));
        }
    }
    if let Act::Pause(words) = act {
        steps.insert(1 + words, Step::Hold(released));
    }
    match act {
        // The first chunk names the role only.
        Act::Die(words) => cut_after(&mut steps, 1 + words, Step::Cut),
        Act::Stall(words) => cut_after(&mut steps, 1 + words, Step::Silence),
        Act::Truncated => steps.truncate(2),
        _ => steps.extend(end_of_stream(request, reply, include_usage, chunk(json!({}), json!(reply.finish)))),
    }
    steps
}

const fn pause_of(act: &Act) -> Option<Step> {
    if let Act::Trickle(time) = act { Some(Step::Wait(*time)) } else { None }
}

fn cut_after(steps: &mut Vec<Step>, kept: usize, end: Step) {
    steps.truncate(kept);
    steps.push(end);
}

fn end_of_stream(request: &Value, reply: &Reply, include_usage: bool, finish: Step) -> Vec<Step> {
    let mut steps = vec![finish];
    if include_usage {
        let value = json!({
            "id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": CREATED, "model": request["model"],
            "choices": [], "usage": usage(request, &reply.text),
        });
        steps.push(Step::Send(format!("data: {value}\n\n")));
    }
    steps.push(Step::Send("data: [DONE]\n\n".to_owned()));
    steps
}

fn tool_call(name: &str) -> Value {
    json!({"id": "call_fake", "type": "function", "function": {"name": name, "arguments": "{\"city\":\"Paris\"}"}})
}

/// A token a word: enough to see that the numbers come from here.
fn usage(request: &Value, text: &str) -> Value {
    let read = last_user_text(request).split_whitespace().count() + 7;
    let written = text.split_whitespace().count();
    json!({
        "prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

fn body(content_type: &str, steps: impl Into<VecDeque<Step>>, open: Open) -> Response {
    let bytes = stream::unfold((steps.into(), open), async |(mut steps, open)| {
        loop {
            match steps.pop_front() {
                Some(Step::Send(text)) => return Some((Ok(Bytes::from(text)), (steps, open))),
                Some(Step::Wait(time)) => tokio::time::sleep(time).await,
                // Cannot fail: the sender lives as long as the server.
                Some(Step::Hold(mut released)) => drop(released.wait_for(|released| *released).await),
                Some(Step::Silence) => match std::future::pending::<Infallible>().await {},
                Some(Step::Cut) => {
                    open.end(Ending::Cut);
                    return Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), (steps, open)));
                }
                None => {
                    open.end(Ending::Answered);
                    return None;
                }
            }
        }
    });
    let response = Response::builder().header(header::CONTENT_TYPE, content_type);
    response.body(Body::from_stream(bytes)).expect("the parts of the response are valid")
}
