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

use super::ledger::{Ending, Open, last_user_text};
use super::reply::{Finish, Pieces, Reply};
use super::{Act, Speech, anthropic, chat, responses};

/// One step of writing a body.
enum Step {
    Send(String),
    Wait(Duration),
    Silence,
    Hold(watch::Receiver<bool>),
    Cut,
}

pub(super) fn of(
    (speech, act): (Speech, &Act),
    request: &Value,
    credential: &str,
    open: Open,
    released: watch::Receiver<bool>,
) -> Response {
    match act {
        Act::Refuse(status, after) => {
            open.end(Ending::Refused);
            let status = StatusCode::from_u16(*status).expect("a script names real statuses");
            error(speech, status, "The test's script refuses this call.", *after)
        }
        Act::TellCredential => {
            open.end(Ending::Refused);
            let message = format!("Incorrect API key provided: {credential}. You can find your key in your account.");
            error(speech, StatusCode::UNAUTHORIZED, &message, None)
        }
        Act::Garbage => body("text/html", [Step::Send("<html><body>It works!</body></html>".to_owned())], open),
        _ if request["stream"] == true => {
            let reply = reply(act, request);
            let pieces = match speech {
                Speech::Chat => chat::streamed(request, &reply),
                Speech::Messages => anthropic::streamed(request, &reply),
                Speech::Responses => responses::streamed(request, &reply),
            };
            body("text/event-stream", streamed(act, pieces, released), open)
        }
        _ => {
            let reply = reply(act, request);
            let answer = match speech {
                Speech::Chat => chat::whole(request, &reply),
                Speech::Messages => anthropic::whole(request, &reply),
                Speech::Responses => responses::whole(request, &reply),
            };
            body("application/json", whole(act, &answer), open)
        }
    }
}

/// An error in the shape of its API.
pub(super) fn error(speech: Speech, status: StatusCode, message: &str, retry_after: Option<u64>) -> Response {
    let (kind, code) = match status.as_u16() {
        401 => ("authentication_error", "invalid_api_key"),
        429 => ("rate_limit_error", "rate_limit_exceeded"),
        500.. => (if speech == Speech::Messages { "api_error" } else { "server_error" }, "server_error"),
        _ => ("invalid_request_error", "invalid_request"),
    };
    let body = match speech {
        Speech::Messages => json!({"type": "error", "error": {"type": kind, "message": message}}),
        Speech::Chat | Speech::Responses => {
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        }
    };
    let text = body.to_string();
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    if let Some(seconds) = retry_after {
        response = response.header(header::RETRY_AFTER, seconds);
    }
    response.body(Body::from(text)).expect("the parts of the response are valid")
}

fn reply(act: &Act, request: &Value) -> Reply {
    let named = |tool: &Value| tool["function"]["name"].as_str().or(tool["name"].as_str()).map(str::to_owned);
    let choice = &request["tool_choice"];
    let forced = choice == "required" || choice["type"] == "any";
    let tool = named(choice).or_else(|| named(&request["tools"][0]).filter(|_| forced));
    let text = match act {
        _ if tool.is_some() => r#"{"city":"Paris"}"#.to_owned(),
        Act::Huge(bytes) => "x".repeat(*bytes),
        Act::Filter => String::new(),
        Act::Say(text) => text.clone(),
        _ => format!("fake: {}", last_user_text(request)),
    };
    let finish = match act {
        Act::Length => Finish::Length,
        Act::Filter => Finish::Filter,
        _ => Finish::Stop,
    };
    Reply { text, tool, finish }
}

fn whole(act: &Act, answer: &Value) -> Vec<Step> {
    let text = answer.to_string();
    let half = || Step::Send(text[..text.len() / 2].to_owned());
    match act {
        Act::Truncated => vec![half()],
        Act::Die(_) => vec![half(), Step::Cut],
        Act::Stall(_) => vec![half(), Step::Silence],
        _ => vec![Step::Send(text)],
    }
}

fn streamed(act: &Act, pieces: Pieces, released: watch::Receiver<bool>) -> Vec<Step> {
    let Pieces { begin, words, end } = pieces;
    let mut steps: Vec<_> = begin.into_iter().map(Step::Send).collect();
    let first = steps.len();
    for word in words {
        steps.extend(if let Act::Trickle(time) = act { Some(Step::Wait(*time)) } else { None });
        steps.push(Step::Send(word));
    }
    match act {
        Act::Die(words) => cut_after(&mut steps, first + words, Step::Cut),
        Act::Stall(words) => cut_after(&mut steps, first + words, Step::Silence),
        Act::Truncated => steps.truncate(first + 1),
        Act::Pause(words) => {
            steps.insert(first + words, Step::Hold(released));
            steps.extend(end.into_iter().map(Step::Send));
        }
        _ => steps.extend(end.into_iter().map(Step::Send)),
    }
    steps
}

fn cut_after(steps: &mut Vec<Step>, kept: usize, end: Step) {
    steps.truncate(kept);
    steps.push(end);
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
