//! Whatever comes, the codec answers: never a panic, always a failure of the right kind, and no more than came.
//! `PORTBROKER_FUZZ_SECONDS` lengthens the mutation of real bodies from a moment to as long as is wanted.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::fixtures::{bytes, whole_request, whole_response, whole_stream};
use super::{generous, reply, strategy};
use crate::dialect::openai_responses::{
    KNOWN_FIELDS, StreamDecoder, StreamEncoder, classify, decode_request, decode_response, encode_request,
    encode_response, input_items,
};
use crate::dialect::tests::jumble::{self as shared, replace};
use crate::error::ErrorCode;

/// JSON of the dialect's own names and words, put together in any way.
fn jumble() -> impl Strategy<Value = Value> {
    let words = [
        "user",
        "assistant",
        "message",
        "function_call",
        "function_call_output",
        "reasoning",
        "output_text",
        "refusal",
        "input_text",
        "input_image",
        "input_file",
        "data:text/plain;base64,",
        "completed",
        "incomplete",
        "custom",
    ];
    let names = [
        "role",
        "content",
        "type",
        "text",
        "id",
        "name",
        "arguments",
        "call_id",
        "output",
        "summary",
        "status",
        "item",
        "encrypted_content",
        "response",
        "delta",
        "part",
        "output_index",
        "content_index",
        "phase",
        "annotations",
        "logprobs",
        "usage",
        "input_tokens",
        "input_tokens_details",
        "error",
        "code",
        "incomplete_details",
        "reason",
        "format",
        "schema",
        "strict",
        "parameters",
        "file_data",
        "image_url",
        "filename",
        "effort",
    ];
    shared::jumble([&names[..], KNOWN_FIELDS].concat(), words.to_vec())
}

fn check_request(body: Value) {
    match decode_request(body) {
        Ok(decoded) => {
            drop(encode_request(&decoded.request, "m", &generous()));
            drop(input_items(&decoded.request.messages, &decoded.request.tools, "resp_1"));
        }
        Err(failure) => {
            assert_eq!(failure.code, ErrorCode::InvalidRequest);
            assert!(failure.message.len() < 400, "{failure}");
        }
    }
}

fn check_answer(body: &[u8]) {
    if let Ok(response) = decode_response(body) {
        drop(encode_response(&response, &reply()));
    }
    drop(classify(400, None, body));
    check_stream(body);
}

/// The deltas of a stream hold no more than its bytes did, and can be told to a client.
fn check_stream(body: &[u8]) {
    let mut decoder = StreamDecoder::new(1 << 20);
    let Ok(mut deltas) = decoder.feed(body) else { return };
    deltas.extend(decoder.finish().unwrap_or_default());
    let size = serde_json::to_vec(&deltas).unwrap().len();
    assert!(size <= 64 * (body.len() + 64), "{size} of {}", body.len());
    let mut encoder = StreamEncoder::new(reply(), None);
    deltas.iter().for_each(|delta| drop(encoder.encode(delta)));
    drop(encoder.end());
}

proptest! {
    #[test]
    fn any_json_is_answered(body in jumble(), items in jumble(), kind in prop::sample::select(kinds())) {
        check_request(body.clone());
        check_request(json!({"model": "m", "input": [items], "tools": body}));
        check_request(json!({"model": "m", "input": items, "text": body, "reasoning": body}));
        check_answer(body.to_string().as_bytes());
        check_answer(json!({"output": [items], "usage": body}).to_string().as_bytes());
        for fields in [body.clone(), json!({"item": items}), json!({"response": {"output": [items]}})] {
            let mut event = fields;
            if let Some(event) = event.as_object_mut() {
                event.insert("type".to_owned(), json!(kind));
            }
            check_answer(format!("data: {event}\n\n").as_bytes());
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        check_answer(&bytes);
        check_answer(&[b"data: ", &bytes[..], b"\n\n"].concat());
    }

    #[test]
    fn a_good_request_with_one_bad_place_is_answered(
        request in strategy::request(),
        at in 0_usize..60,
        bad in jumble(),
    ) {
        let (mut body, _) = encode_request(&request, "m", &generous());
        replace(&mut body, &mut at.clone(), bad);
        check_request(body);
    }
}

fn kinds() -> Vec<String> {
    whole_stream().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// One change of a real body's bytes or of its JSON.
#[derive(Debug, Clone)]
enum Change {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Splice(prop::sample::Index, prop::sample::Index, prop::sample::Index),
    Event(prop::sample::Index, usize, Value),
    Swap(prop::sample::Index, prop::sample::Index),
    Drop(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        at().prop_map(Change::Cut),
        (at(), at(), at()).prop_map(|(from, to, at)| Change::Splice(from, to, at)),
        (at(), 0_usize..40, jumble()).prop_map(|(event, at, value)| Change::Event(event, at, value)),
        (at(), at()).prop_map(|(one, other)| Change::Swap(one, other)),
        at().prop_map(Change::Drop),
    ]
}

/// Events with the changes that know JSON, then bytes with the others.
fn changed(mut events: Vec<Value>, changes: &[Change], write: fn(&[Value]) -> Vec<u8>) -> Vec<u8> {
    for change in changes {
        let count = events.len();
        match change {
            Change::Event(event, at, value) => {
                replace(&mut events[event.index(count)], &mut at.clone(), value.clone());
            }
            Change::Swap(one, other) => events.swap(one.index(count), other.index(count)),
            Change::Drop(at) if count > 1 => drop(events.remove(at.index(count))),
            _ => {}
        }
    }
    let mut bytes = write(&events);
    for change in changes {
        let length = bytes.len();
        match change {
            Change::Flip(at, byte) => bytes[at.index(length)] ^= byte,
            Change::Cut(at) => bytes.truncate(at.index(length).max(1)),
            Change::Splice(from, to, at) => {
                let (from, to) = (from.index(length), to.index(length));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                let at = at.index(length);
                bytes.splice(at..at, piece);
            }
            _ => {}
        }
    }
    bytes
}

fn whole_text(events: &[Value]) -> Vec<u8> {
    events.iter().map(Value::to_string).collect::<String>().into_bytes()
}

#[test]
fn changed_bodies_are_answered() {
    let seconds = std::env::var("PORTBROKER_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut runner = TestRunner::default();
    let changes = vec(change(), 1..5);
    for round in 0_u64.. {
        if until.map_or(round >= 300, |until| Instant::now() >= until) {
            break;
        }
        let changes = changes.new_tree(&mut runner).unwrap().current();
        check_stream(&changed(whole_stream(), &changes, bytes));
        check_answer(&changed(vec![whole_response()], &changes, whole_text));
        if let Ok(body) = serde_json::from_slice(&changed(vec![whole_request()], &changes, whole_text)) {
            check_request(body);
        }
    }
}
