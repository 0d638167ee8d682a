//! Whatever comes, the codec answers: never a panic, always a failure of the right kind, never more than came in.
//! `PORTBROKER_FUZZ_SECONDS` lets the damaged bodies and streams go on for so long.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixtures::{REQUESTS, RESPONSES, STREAMS};
use super::{reply, strategy};
use crate::catalog::Quirks;
use crate::delta::{Assembly, Delta};
use crate::dialect::openai_chat::{
    KNOWN_FIELDS, StreamDecoder, StreamEncoder, classify, decode_request, decode_response, encode_request,
    encode_response,
};
use crate::dialect::tests::jumble::{self as shared, replace};
use crate::dialect::tests::mutate::damaged;
use crate::error::ErrorCode;

/// JSON of the dialect's own names and words, put together in any way.
fn jumble() -> impl Strategy<Value = Value> {
    let words =
        ["user", "assistant", "tool", "function", "text", "image_url", "stop", "error", "custom", "data:image/"];
    let names = [
        "role",
        "content",
        "type",
        "text",
        "id",
        "index",
        "name",
        "arguments",
        "function",
        "url",
        "delta",
        "message",
        "choices",
        "usage",
        "prompt_tokens",
        "finish_reason",
        "error",
        "code",
        "tool_call_id",
        "refusal",
        "reasoning",
        "tool_calls",
        "json_schema",
        "schema",
        "custom",
        "input",
        "prompt_tokens_details",
        "cached_tokens",
        "thinking",
        "file",
        "file_data",
        "cache_control",
        "annotations",
        "logprobs",
        "audio",
    ];
    shared::jumble([&names[..], KNOWN_FIELDS].concat(), words.to_vec())
}

fn check_request(body: Value) -> Result<(), TestCaseError> {
    match decode_request(body) {
        Ok(decoded) => drop(encode_request(&decoded.request, "m", &Quirks::default())),
        Err(failure) => {
            prop_assert_eq!(failure.code, ErrorCode::InvalidRequest);
            prop_assert!(failure.message.len() < 400);
        }
    }
    Ok(())
}

fn check_answer(body: &[u8]) {
    if let Ok(response) = decode_response(body) {
        drop(encode_response(&response, &reply()));
    }
    drop(classify(400, None, body));
    let whole = stream(&[body]);
    let middle = body.len() / 2;
    assert_eq!(stream(&[&body[..middle], &body[middle..]]), whole);
}

/// What a stream gives, nothing if it is broken. A client is told the same.
fn stream(pieces: &[&[u8]]) -> Option<Vec<Delta>> {
    let mut decoder = StreamDecoder::new(1 << 16);
    let mut deltas = Vec::new();
    for piece in pieces {
        deltas.extend(decoder.feed(piece).ok()?);
    }
    deltas.extend(decoder.finish().ok()?);
    let (mut assembly, mut encoder) = (Assembly::default(), StreamEncoder::new(reply()));
    let told: usize = deltas
        .iter()
        .map(|delta| {
            assembly.push(delta);
            encoder.encode(delta).len()
        })
        .sum();
    assert!(assembly.finished());
    // The longest escape of a byte is six, and every delta is a chunk of its own.
    let came: usize = pieces.iter().map(|piece| piece.len()).sum();
    assert!(told <= 6 * came + 400 * (deltas.len() + 2), "{told} bytes of {came}");
    Some(deltas)
}

#[test]
fn damaged_fixtures_are_answered() {
    let texts = [&REQUESTS[..], &RESPONSES, &STREAMS].concat();
    damaged(&texts, |bytes| {
        check_answer(bytes);
        if let Ok(body) = serde_json::from_slice(bytes) {
            check_request(body).unwrap();
        }
    });
}

proptest! {
    #[test]
    fn any_json_is_answered(body in jumble(), messages in jumble(), choice in jumble()) {
        check_request(body.clone())?;
        check_request(json!({"model": "m", "messages": [messages], "tools": body}))?;
        check_answer(body.to_string().as_bytes());
        check_answer(json!({"choices": [choice], "usage": body}).to_string().as_bytes());
        check_answer(format!("data: {}\n\n", json!({"choices": [choice]})).as_bytes());
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        check_answer(&bytes);
        check_answer(&[b"data: ", &bytes[..], b"\n\n"].concat());
    }

    #[test]
    fn a_good_request_with_one_bad_place_is_answered(
        request in strategy::request(),
        at in 0_usize..40,
        bad in jumble(),
    ) {
        let (mut body, _) = encode_request(&request, "m", &Quirks::default());
        replace(&mut body, &mut at.clone(), bad);
        check_request(body)?;
    }
}
