//! The table of fields, held against the code: each row has a sample, whose field is taken out to see what it was for.

use serde::Serialize;
use serde_json::{Value, json};

use super::stream::{decode, events};
use super::{OVERLOADED, REQUEST, RESPONSE, STREAMS, json, reply};
use crate::catalog::Quirks;
use crate::dialect::anthropic::{
    FIELDS, KNOWN_FIELDS, decode_request, decode_response, encode_request, encode_response,
};
use crate::dialect::fields::{Field, Treatment};
use crate::dialect::tests::streams::assemble;

/// What is told again in another form: under one's own name, in another place, without what says nothing; or not at all,
/// being carried out here.
const CHANGED: [&str; 6] = [
    "model",
    "messages",
    "output_format",
    "response.id",
    "response.model",
    "context_management.edits[].clear_tool_uses_20250919",
];

/// A request with the field of a row that the great one cannot have.
fn sample(path: &str) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "hi"}]});
    let format = json!({"type": "json_schema", "schema": {"type": "object"}, "x": 1});
    match path {
        "thinking.type" => body["thinking"] = json!({"type": "disabled"}),
        "thinking.budget_tokens" | "thinking.display" => {
            body["thinking"] = json!({"type": "enabled", "budget_tokens": 2000, "display": "omitted"});
        }
        "output_format" => body["output_format"] = json!({"type": "json_schema", "schema": {"type": "object"}}),
        "messages[].content[].source.x" => {
            let source = json!({"type": "url", "url": "https://h.test", "x": 1});
            body["messages"] = json!([{"role": "user", "content": [{"type": "image", "source": source}]}]);
        }
        "tool_choice.x" => body["tool_choice"] = json!({"type": "auto", "x": 1}),
        "output_config.format.x" => body["output_config"] = json!({"format": format}),
        "messages[].content[] in a message of another role" => {
            let call = json!({"type": "tool_use", "id": "a", "name": "f", "input": {}});
            body["messages"] = json!([{"role": "user", "content": [call]}]);
        }
        _ => return json(REQUEST),
    }
    body
}

/// Where `path` leads in `value`: to fields, or to blocks of a type. `[]` is any element.
fn places(value: &Value, path: &[&str], at: &str, found: &mut Vec<String>) {
    let Some((first, rest)) = path.split_first() else { return found.push(at.to_owned()) };
    let name = first.trim_end_matches("[]");
    let Some(inner) = value.get(name) else {
        if rest.is_empty() && value.get("type").is_some_and(|kind| kind == name) {
            found.push(at.to_owned());
        }
        return;
    };
    let at = format!("{at}/{name}");
    if *first == name {
        return places(inner, rest, &at, found);
    }
    for (index, item) in inner.as_array().into_iter().flatten().enumerate() {
        places(item, rest, &format!("{at}/{index}"), found);
    }
}

fn all_places(value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    places(value, &path.split('.').collect::<Vec<_>>(), "", &mut found);
    found
}

fn without(value: &Value, place: &str) -> Value {
    let mut value = value.clone();
    let (parent, name) = place.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        Value::Object(fields) => drop(fields.shift_remove(name)),
        _ => unreachable!("{place}"),
    }
    value
}

/// What the neutral form says of it, without what is carried.
fn neutral(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.shift_remove("extra");
            fields.values_mut().for_each(|value| *value = neutral(value.take()));
        }
        Value::Array(items) => {
            items.retain(|item| item.get("type").is_none_or(|kind| kind != "opaque"));
            items.iter_mut().for_each(|value| *value = neutral(value.take()));
        }
        _ => {}
    }
    value
}

/// The treatment of what was taken out, told by what is left; `None` when nothing changed.
fn observe<T: Serialize>(whole: &T, rest: Option<T>) -> Option<Treatment> {
    let whole = serde_json::to_value(whole).unwrap();
    let Some(rest) = rest.map(|rest| serde_json::to_value(rest).unwrap()) else { return Some(Treatment::Mapped) };
    if neutral(whole.clone()) != neutral(rest.clone()) {
        return Some(Treatment::Mapped);
    }
    (whole != rest).then_some(Treatment::Carried)
}

/// Whether some place of `path` is treated so, and what is told again there has the same value.
fn holds<T: Serialize>(
    field: &Field,
    path: &str,
    body: &Value,
    read: impl Fn(&Value) -> Option<T>,
    write: impl Fn(&T) -> Value,
) -> bool {
    let whole = read(body).unwrap();
    let told = write(&whole);
    let told: Vec<_> = all_places(&told, path).iter().filter_map(|place| told.pointer(place).cloned()).collect();
    all_places(body, path).iter().any(|place| {
        observe(&whole, read(&without(body, place))) == Some(field.treatment)
            && (CHANGED.contains(&field.path) || told.contains(body.pointer(place).unwrap()))
    })
}

fn check_request(field: &Field) {
    let path = field.path.replace("anything else", if field.path == "anything else" { "x_vendor" } else { "x" });
    let body = sample(&path);
    match field.treatment {
        Treatment::Refused => assert!(decode_request(body).is_err(), "{path}"),
        Treatment::Warned => {
            let warnings = decode_request(body).unwrap().warnings;
            assert!(
                warnings.iter().any(|warning| warning.param.as_ref().is_some_and(|it| it.ends_with(".x"))),
                "{path}"
            );
        }
        Treatment::Mapped | Treatment::Carried => {
            let read = |body: &Value| decode_request(body.clone()).ok().map(|read| (read.request, read.context));
            let ok = holds(field, &path, &body, read, |it| encode_request(&it.0, "m", &Quirks::default()).0);
            assert!(ok, "{path} is not {:?}", field.treatment);
        }
    }
}

fn check_response(field: &Field) {
    let path = field.path.trim_start_matches("response.");
    let read = |body: &Value| decode_response(body.to_string().as_bytes()).ok();
    let ok = holds(field, path, &json(RESPONSE), read, |it| encode_response(it, &reply()));
    assert!(ok, "{} is not {:?}", field.path, field.treatment);
}

/// `event`, `event.delta`, or `event.field`: the stream without it.
fn cut(stream: &str, path: &str) -> Option<String> {
    let (kind, inner) = path.split_once('.').map_or((path, None), |(kind, inner)| (kind, Some(inner)));
    let mut found = false;
    let kept = events(stream.replace('\r', "").as_bytes()).into_iter().filter_map(|mut event| {
        if event["type"] != kind {
            return Some(event);
        }
        let Some(inner) = inner else {
            found = true;
            return None;
        };
        if event["delta"]["type"] == inner {
            found = true;
            return None;
        }
        found |= event.as_object_mut().unwrap().shift_remove(inner).is_some();
        Some(event)
    });
    let kept: String = kept.map(|event| format!("data: {event}\n\n")).collect();
    found.then_some(kept)
}

fn check_stream(field: &Field) {
    let path = field.path.trim_start_matches("stream.");
    let read = |stream: &str| decode(&[stream.as_bytes()]).ok().and_then(|deltas| assemble(&deltas));
    let streams = STREAMS.map(|(_, stream)| stream).into_iter().chain([OVERLOADED]);
    let cuts: Vec<_> = streams.filter_map(|stream| Some((stream, cut(stream, path)?))).collect();
    assert!(!cuts.is_empty(), "no sample of {path}");
    let seen: Vec<_> = cuts
        .iter()
        .map(|(stream, cut)| read(stream).map_or(Some(Treatment::Mapped), |whole| observe(&whole, read(cut))))
        .collect();
    // A block ends also by the next one, and a ping says nothing.
    let is_silent = matches!(path, "ping" | "content_block_stop");
    assert!(is_silent || seen.contains(&Some(field.treatment)), "{path} is {seen:?}");
}

#[test]
fn every_row_is_true() {
    for field in FIELDS {
        match field.path.split(['.', ' ']).next() {
            Some("neutral") => assert_eq!(field.treatment, Treatment::Warned, "{}", field.path),
            Some("response") => check_response(field),
            Some("stream") if field.path.contains('.') => check_stream(field),
            _ => check_request(field),
        }
    }
}

#[test]
fn every_field_has_one_row() {
    let rows = |name: &str| FIELDS.iter().filter(|field| field.path == name).count();
    let starts = |prefix: &str, name: &str| {
        let start = format!("{prefix}{name}");
        FIELDS
            .iter()
            .any(|field| field.path.strip_prefix(&start).is_some_and(|rest| !rest.starts_with(char::is_alphabetic)))
    };
    assert!(FIELDS.iter().all(|field| rows(field.path) == 1));
    assert!(KNOWN_FIELDS.iter().all(|name| starts("", name)));
    let answer = json(RESPONSE);
    let names = answer.as_object().unwrap().keys().filter(|name| !["type", "role"].contains(&name.as_str()));
    names.for_each(|name| assert!(starts("response.", name), "{name}"));
    answer["usage"].as_object().unwrap().keys().for_each(|name| assert!(starts("response.usage.", name), "{name}"));
    for (_, stream) in STREAMS {
        for event in events(stream.replace('\r', "").as_bytes()) {
            let kind = event["type"].as_str().unwrap();
            assert!(kind == "event_of_tomorrow" || starts("stream.", kind), "{kind}");
            let piece = event["delta"]["type"].as_str().unwrap_or_default();
            assert!(starts("stream.", &format!("{kind}.{piece}")) || piece.is_empty(), "{piece}");
        }
    }
}
