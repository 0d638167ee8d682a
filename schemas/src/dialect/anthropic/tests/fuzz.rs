//! Whatever comes, the codec answers: never a panic, always a failure of the right kind, never more than came in.
//! `PORTBROKER_FUZZ_SECONDS` lets the mutations of real bodies and streams go on for so long.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::{OVERLOADED, REQUEST, RESPONSE, STREAMS, reply, strategy};
use crate::catalog::Quirks;
use crate::delta::{Assembly, Delta};
use crate::dialect::anthropic::{
    KNOWN_FIELDS, StreamDecoder, StreamEncoder, classify, decode_count_request, decode_request, decode_response,
    encode_request, encode_response,
};
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

/// JSON of the dialect's own names and words, put together in any way.
fn jumble() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(NAMES.split(' ').chain(KNOWN_FIELDS.iter().copied()).collect::<Vec<_>>());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(WORDS.split(' ').collect::<Vec<_>>()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name.clone(), inner), 0..6)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

/// Puts `new` in the place number `at` of `value`, counted depth first; gives it back when there are fewer places.
fn replace(value: &mut Value, at: &mut usize, new: Value) -> Option<Value> {
    if *at == 0 {
        *value = new;
        return None;
    }
    *at -= 1;
    let inner: Vec<_> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => Vec::new(),
    };
    inner.into_iter().try_fold(new, |new, place| replace(place, at, new))
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

/// One change of a text.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Remove(Index, Index),
    Repeat(Index, Index),
    Splice(Index, Index, Index),
    Number(Index, i64),
    Word(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(place, bits)| Change::Flip(place, bits)),
        (at(), at()).prop_map(|(from, to)| Change::Remove(from, to)),
        (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (at(), at(), at()).prop_map(|(from, to, place)| Change::Splice(from, to, place)),
        (at(), any::<i64>()).prop_map(|(place, number)| Change::Number(place, number)),
        (at(), at()).prop_map(|(from, to)| Change::Word(from, to)),
    ]
}

fn range(bytes: &[u8], from: &Index, to: &Index) -> std::ops::Range<usize> {
    let ends = [from.index(bytes.len()), to.index(bytes.len())];
    ends[0].min(ends[1])..ends[0].max(ends[1])
}

/// The places of `"..."`, as JSON and names of fields have them.
fn strings(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let quotes: Vec<_> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'"').map(|(at, _)| at).collect();
    quotes.windows(2).map(|pair| pair[0]..pair[1] + 1).collect()
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.is_empty() {
        return;
    }
    match change {
        Change::Flip(place, bits) => {
            let place = place.index(bytes.len());
            bytes[place] ^= bits;
        }
        Change::Remove(from, to) => drop(bytes.drain(range(bytes, from, to))),
        Change::Repeat(from, to) => {
            let range = range(bytes, from, to);
            let part = bytes[range.clone()].to_vec();
            bytes.splice(range.end..range.end, part);
        }
        Change::Splice(from, to, place) => {
            let part = bytes[range(bytes, from, to)].to_vec();
            let place = place.index(bytes.len());
            bytes.splice(place..place, part);
        }
        Change::Number(place, number) => {
            let digits: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
            if !digits.is_empty() {
                let at = digits[place.index(digits.len())];
                bytes.splice(at..=at, number.to_string().into_bytes());
            }
        }
        Change::Word(from, to) => {
            let words = strings(bytes);
            if !words.is_empty() {
                let word = bytes[words[from.index(words.len())].clone()].to_vec();
                bytes.splice(words[to.index(words.len())].clone(), word);
            }
        }
    }
    bytes.truncate(1 << 16);
}

#[test]
fn mutated_fixtures_are_answered() {
    let seconds = std::env::var("PORTBROKER_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let end = Instant::now() + Duration::from_secs(seconds);
    let texts: Vec<_> = STREAMS.iter().map(|(_, text)| *text).chain([OVERLOADED, REQUEST, RESPONSE]).collect();
    // The same changes in every run of the suite, others in every long one.
    let mut runner = if seconds == 0 { TestRunner::deterministic() } else { TestRunner::default() };
    let cases = (0..texts.len(), vec(change(), 1..6));
    let mut count = 0_u64;
    while count < 2000 || Instant::now() < end {
        let (text, changes) = cases.new_tree(&mut runner).unwrap().current();
        let mut bytes = texts[text].as_bytes().to_vec();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        check_answer(&bytes);
        if let Ok(body) = serde_json::from_slice(&bytes) {
            check_request(body);
        }
        count += 1;
    }
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
