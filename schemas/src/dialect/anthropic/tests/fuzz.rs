//! Whatever comes, the codec answers: never a panic, always a failure of the right kind, never more than came in.
//! `PORTBROKER_FUZZ_SECONDS` lets the mutations of real bodies and streams go on for so long.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{OVERLOADED, REQUEST, RESPONSE, STREAMS, reply, strategy};
use crate::catalog::Quirks;
use crate::delta::{Assembly, Delta};
use crate::dialect::anthropic::{
    KNOWN_FIELDS, StreamDecoder, StreamEncoder, classify, decode_count_request, decode_request, decode_response,
    encode_request, encode_response,
};
use crate::dialect::tests::jumble::{self as shared, replace};
use crate::dialect::tests::mutate::damaged;
use crate::error::ErrorCode;

/// Words that values are.
const WORDS: &str = "user assistant system text image document tool_use tool_result thinking base64 url enabled tool any \
    end_turn json_schema error message_start content_block_start content_block_delta content_block_stop \
    message_delta message_stop text_delta input_json_delta citations_delta server_tool_use pb1.x.e30 \
    direct";

/// Names of fields.
const NAMES: &str = "type role content text id index name input source media_type data url citations signature \
    tool_use_id is_error caller budget_tokens format schema effort input_schema usage input_tokens \
    output_tokens output_tokens_details stop_reason message content_block delta partial_json citation \
    error user_id";

fn jumble() -> impl Strategy<Value = Value> {
    let names = NAMES.split(' ').chain(KNOWN_FIELDS.iter().copied());
    shared::jumble(names.collect(), WORDS.split(' ').collect())
}

fn check_request(body: Value) {
    drop(decode_count_request(body.clone()));
    match decode_request(body) {
        Ok(decoded) => {
            let (body, _) = encode_request(&decoded.request, "m", &Quirks::default());
            // What is sent is understood: it is this dialect, or it was refused before.
            assert!(decode_request(body.clone()).is_ok() || is_empty(&body), "{body}");
        }
        Err(failure) => {
            assert_eq!(failure.code, ErrorCode::InvalidRequest);
            assert!(failure.message.len() < 400);
        }
    }
}

/// Nothing was left to say of a conversation of blanks.
fn is_empty(body: &Value) -> bool {
    body["messages"].as_array().is_some_and(Vec::is_empty)
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

/// What a stream gives, and whether it ended well. A client is told the same.
fn stream(pieces: &[&[u8]]) -> (Vec<Delta>, bool) {
    let mut decoder = StreamDecoder::new(1 << 16);
    let mut deltas = Vec::new();
    for piece in pieces {
        match decoder.feed(piece) {
            Ok(more) => deltas.extend(more),
            // What came before the fault depends on where the bytes were split.
            Err(_) => return (Vec::new(), false),
        }
    }
    let Ok(last) = decoder.finish() else { return (Vec::new(), false) };
    deltas.extend(last);
    let (mut assembly, mut encoder) = (Assembly::default(), StreamEncoder::new(reply()));
    let mut told = 0;
    for delta in &deltas {
        assembly.push(delta);
        told += encoder.encode(delta).len();
    }
    told += encoder.end().len();
    assert!(assembly.finished());
    let came: usize = pieces.iter().map(|piece| piece.len()).sum();
    assert!(told <= 4 * came + 4096, "{told} bytes of {came}");
    (deltas, true)
}

#[test]
fn damaged_fixtures_are_answered() {
    let texts: Vec<_> = STREAMS.iter().map(|(_, text)| *text).chain([OVERLOADED, REQUEST, RESPONSE]).collect();
    damaged(&texts, |bytes| {
        check_answer(bytes);
        if let Ok(body) = serde_json::from_slice(bytes) {
            check_request(body);
        }
    });
}

proptest! {
    #[test]
    fn any_json_is_answered(body in jumble(), messages in jumble(), events in vec(jumble(), 0..4)) {
        check_request(body.clone());
        check_request(json!({"model": "m", "max_tokens": 1, "messages": [messages], "tools": body}));
        check_answer(body.to_string().as_bytes());
        check_answer(json!({"content": [messages], "stop_reason": "end_turn", "usage": body}).to_string().as_bytes());
        let start = json!({"type": "message_start", "message": {"usage": body}});
        let events = std::iter::once(&start).chain(&events).map(|event| format!("data: {event}\n\n"));
        check_answer(events.collect::<String>().as_bytes());
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
        let (mut body, _) = encode_request(&request, "m", &Quirks::default());
        replace(&mut body, &mut at.clone(), bad);
        check_request(body);
    }
}
