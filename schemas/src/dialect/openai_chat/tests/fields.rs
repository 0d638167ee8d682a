//! The table of fields against the code: each field is taken out of a body that has it, and what changes is what the
//! table says.

use serde_json::{Map, Value, json};

use super::fixtures::{REQUESTS, RESPONSES, STREAMS, body, chunks, of_chunks};
use super::stream::{decode, encode};
use super::{generous, reply};
use crate::catalog::Quirks;
use crate::chat::{ChatRequest, ChatResponse, Extra};
use crate::delta::pieces;
use crate::dialect::fields::{Field, Treatment};
use crate::dialect::openai_chat::{
    ClientOptions, Decoded, FIELDS, KNOWN_FIELDS, NAME, Reply, decode_request, decode_response, encode_request,
    encode_response,
};
use crate::dialect::tests::paths::{covered, leaves, occurrences, values, without};
use crate::dialect::tests::streams::assemble;
use crate::error::Failure;

/// Read over, and never written.
const PADDING: &str = "obfuscation";

/// The fields of a part of the table, without the prefix of their part.
fn table(prefix: &str) -> Vec<Field> {
    let others = ["response.", "stream.", "neutral."];
    let own = |field: &&Field| {
        if prefix.is_empty() {
            others.iter().all(|other| !field.path.starts_with(other))
        } else {
            field.path.starts_with(prefix)
        }
    };
    FIELDS.iter().filter(own).map(|field| Field { path: field.path.strip_prefix(prefix).unwrap(), ..*field }).collect()
}

/// `value` without what is only carried: fields under this dialect's name, and opaque blocks.
fn stripped(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| *name != NAME);
            let only_carried = |value: &Value| value.get(NAME).is_some() && stripped(value) == json!({});
            let kept = kept.filter(|(_, value)| !only_carried(value));
            let mut kept: Map<_, _> = kept.map(|(name, value)| (name.clone(), stripped(value))).collect();
            // The citations of a text stand under the name of their dialect, whichever it is.
            let cited = value.pointer("/extra/openai_chat/annotations").filter(|_| value["type"] == "text");
            kept.extend(cited.map(|list| ("annotations".to_owned(), list.clone())));
            Value::Object(kept)
        }
        Value::Array(items) => items.iter().filter(|item| item["type"] != "opaque").map(stripped).collect(),
        other => other.clone(),
    }
}

fn neutral(value: impl serde::Serialize) -> Value {
    stripped(&serde_json::to_value(value).unwrap())
}

fn to_provider(request: &ChatRequest) -> Value {
    encode_request(request, &request.model, &generous()).0
}

/// The first of `bodies` that has `path`, and where.
fn with<'a>(bodies: &'a [Value], path: &str) -> (&'a Value, Vec<String>) {
    let found = bodies.iter().map(|body| (body, occurrences(body, path))).find(|(_, places)| !places.is_empty());
    found.unwrap_or_else(|| panic!("no fixture has {path}"))
}

fn all(value: &Value, path: &str) -> Vec<Value> {
    values(value, path).into_iter().cloned().collect()
}

#[test]
fn every_field_of_a_request_is_treated_as_the_table_says() {
    let bodies: Vec<_> = REQUESTS.iter().map(|text| body(text)).collect();
    for Field { path, treatment, .. } in table("") {
        let seen = match treatment {
            Treatment::Refused => refused(path),
            Treatment::Warned => bodies.iter().any(|body| warned(&decode_request(body.clone()).unwrap(), path)),
            Treatment::Carried => request_carries(&bodies, path),
            Treatment::Mapped => request_maps(&bodies, path),
        };
        assert!(seen, "{path} is not {treatment}");
    }
}

fn refused(path: &str) -> bool {
    let failure = decode_request(json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], path: 2}));
    failure.unwrap_err().param.as_deref() == Some(path)
}

fn warned(decoded: &Decoded, path: &str) -> bool {
    decoded.warnings.iter().any(|warning| warning.param.as_deref() == Some(path))
}

fn request_carries(bodies: &[Value], path: &str) -> bool {
    if path == "tool_choice.custom" {
        // No request has two choices.
        return request_carries(&[choice_of_custom()], "tool_choice");
    }
    let (body, _) = with(bodies, path);
    let request = decode_request(body.clone()).unwrap().request;
    let plain: ChatRequest = serde_json::from_value(neutral(&request)).unwrap();
    let (sent, told) = (all(body, path), all(&to_provider(&request), path));
    sent.iter().all(|value| told.contains(value)) && all(&to_provider(&plain), path).is_empty()
}

fn choice_of_custom() -> Value {
    let choice = json!({"type": "custom", "custom": {"name": "shell"}});
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tool_choice": choice})
}

/// Without the field, what the neutral form itself holds is another.
fn request_maps(bodies: &[Value], path: &str) -> bool {
    let seen = |body: Value| decode_request(body).map(|Decoded { request, options, .. }| (neutral(request), options));
    let (body, places) = with(bodies, path);
    let whole = seen(body.clone()).unwrap();
    places.iter().any(|place| seen(without(body, place)).as_ref() != Ok(&whole))
}

/// What a client reads of a provider's answer, and what the neutral form itself holds of it.
fn answered(body: &Value) -> Result<(Value, ChatResponse), Failure> {
    let response = decode_response(body.to_string().as_bytes())?;
    Ok((encode_response(&response, &reply()), response))
}

#[test]
fn every_field_of_an_answer_is_treated_as_the_table_says() {
    let bodies: Vec<_> = RESPONSES.iter().map(|text| body(text)).collect();
    for Field { path, treatment, .. } in table("response.") {
        let (body, places) = with(&bodies, path);
        let (client, response) = answered(body).unwrap();
        let plain: ChatResponse = serde_json::from_value(neutral(&response)).unwrap();
        let told = encode_response(&plain, &reply());
        let seen = match treatment {
            Treatment::Carried => all(&client, path) == all(body, path) && all(&told, path) != all(body, path),
            Treatment::Mapped => {
                let changes = |place| answered(&without(body, place)).map(|(_, other)| neutral(other));
                let ours = !all(&told, path).is_empty();
                ours || places.iter().any(|place| changes(place) != Ok(neutral(&response)))
            }
            _ => false,
        };
        assert!(seen, "response.{path} is not {treatment}");
    }
}

/// The same of a stream, as the chunks that a client reads.
fn streamed(events: &[Value]) -> Result<(Vec<Value>, ChatResponse), Failure> {
    let deltas = decode(&[of_chunks(events).as_bytes()])?;
    let response = assemble(&deltas).unwrap();
    Ok((retold(&deltas), response))
}

fn retold(deltas: &[crate::delta::Delta]) -> Vec<Value> {
    let options = ClientOptions { include_usage: true, logprobs: true, ..ClientOptions::default() };
    let bytes = encode(deltas, Reply { options, ..reply() });
    chunks(std::str::from_utf8(&bytes).unwrap())
}

fn any(events: &[Value], path: &str) -> bool {
    events.iter().any(|event| !all(event, path).is_empty())
}

#[test]
fn every_field_of_a_stream_is_treated_as_the_table_says() {
    let streams: Vec<_> = STREAMS.iter().map(|text| chunks(text)).collect();
    for Field { path, treatment, .. } in table("stream.") {
        let events = streams.iter().find(|events| any(events, path));
        let events = events.unwrap_or_else(|| panic!("no fixture has {path}"));
        let (client, response) = streamed(events).unwrap();
        let cut: Vec<_> = events.iter().map(|event| without_all(event, path)).collect();
        let other = streamed(&cut).map(|(client, response)| (client, neutral(response)));
        let is_neutral = other.as_ref().map(|(_, other)| other) != Ok(&neutral(&response));
        let seen = match treatment {
            Treatment::Carried => {
                any(&client, path) && !is_neutral && other.is_ok_and(|(client, _)| !any(&client, path))
            }
            Treatment::Mapped if path == PADDING => !is_neutral && !any(&client, path),
            Treatment::Mapped => is_neutral || other.is_ok_and(|(client, _)| any(&client, path)),
            _ => false,
        };
        assert!(seen, "stream.{path} is not {treatment}");
    }
}

fn without_all(event: &Value, path: &str) -> Value {
    occurrences(event, path).iter().rev().fold(event.clone(), |event, place| without(&event, place))
}

/// A neutral request with what is at `path`, as another dialect's client would have it.
fn foreign(path: &str) -> ChatRequest {
    let base64 = json!({"kind": "base64", "media_type": "image/png", "data": "AAAA"});
    let (url, text) = (json!({"kind": "url", "url": "https://h.test/"}), json!({"kind": "text", "text": "the text"}));
    let result = |block: Value, is_error| {
        let result = json!({"type": "tool_result", "tool_call_id": "c", "is_error": is_error, "content": [block]});
        json!({"role": "tool", "content": [result]})
    };
    let block = |role, block: Value| json!({"messages": [{"role": role, "content": [block]}]});
    let plain = json!({"type": "text", "text": "x"});
    let marked = json!({"type": "text", "text": "x", "extra": {"anthropic": {"cache_control": {"type": "ephemeral"}}}});
    let body = match path {
        "sampling.top_k" => json!({"sampling": {"top_k": 3}}),
        "sampling.reasoning_budget" => json!({"sampling": {"reasoning_budget": 5000}}),
        "sampling.stop" => json!({"sampling": {"stop": ["1", "2", "3", "4", "5"]}}),
        "messages[].content[].reasoning" => {
            block("assistant", json!({"type": "reasoning", "text": "hm", "signature": "s", "dialect": "anthropic"}))
        }
        "messages[].content[].tool_result.is_error" => json!({"messages": [result(plain, true)]}),
        "messages[].content[].tool_result.image" => {
            json!({"messages": [result(json!({"type": "image", "source": base64}), false)]})
        }
        "messages[].content[].tool_result.document" => {
            json!({"messages": [result(json!({"type": "document", "source": base64}), false)]})
        }
        "messages[].content[].document.text" => block("user", json!({"type": "document", "source": text})),
        "messages[].content[].document.url" => block("user", json!({"type": "document", "source": url})),
        "messages[].content[].opaque" => block("user", json!({"type": "opaque", "dialect": "anthropic", "value": {}})),
        "messages[].content[].extra.cache_control" => block("user", marked),
        _ => panic!("no sample of {path}"),
    };
    serde_json::from_value(body).unwrap()
}

#[test]
fn every_neutral_field_is_treated_as_the_table_says() {
    for Field { path, treatment, .. } in table("neutral.") {
        let (body, warnings) = encode_request(&foreign(path), "m", &Quirks::default());
        let seen = match treatment {
            Treatment::Warned => !warnings.is_empty(),
            Treatment::Mapped => warnings.is_empty() && body.to_string().contains("the text"),
            _ => false,
        };
        assert!(seen, "neutral.{path} is not {treatment}: {body} {warnings:?}");
    }
}

#[test]
fn no_field_is_missing_from_the_table() {
    let part = |prefix: &str, bodies: Vec<Value>| {
        let paths: Vec<_> = table(prefix).iter().map(|field| field.path).collect();
        let found = bodies.iter().flat_map(leaves);
        found.filter(|leaf| !covered(leaf, &paths)).map(|leaf| format!("{prefix}{leaf}")).collect::<Vec<_>>()
    };
    let read = |texts: &[&str]| texts.iter().map(|text| body(text)).collect();
    let missing = [
        part("", read(&REQUESTS)),
        part("response.", read(&RESPONSES)),
        part("stream.", STREAMS.iter().flat_map(|text| chunks(text)).collect()),
        KNOWN_FIELDS.iter().filter(|name| !starts(name)).map(ToString::to_string).collect(),
    ];
    assert_eq!(missing.concat(), [""; 0]);
}

fn starts(name: &str) -> bool {
    table("").iter().any(|field| field.path.split(['.', '[']).next() == Some(name))
}

#[test]
fn a_whole_answer_and_a_stream_of_it_carry_the_same() {
    let response = decode_response(RESPONSES[0].as_bytes()).unwrap();
    let (_, mut again) = streamed(&retold(&pieces(&response))).unwrap();
    // What the message itself carries are blocks of their own in a stream; pieces have no place for it.
    let carried = std::mem::replace(&mut again.message.extra, Extra::new());
    assert!(carried.is_empty());
    assert_eq!((again.extra, again.logprobs, again.usage), (response.extra, response.logprobs, response.usage));
    assert_eq!(again.message.content, response.message.content);
}
