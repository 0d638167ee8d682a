//! Streams: any split, any prefix, providers' own, and the exact bytes for a client.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{OVERLOADED, STREAMS, reply, strategy};
use crate::chat::{Block, ChatResponse, Extra, FinishReason, Usage};
use crate::delta::{Delta, pieces};
use crate::dialect::anthropic::{NAME, Reply, StreamDecoder, StreamEncoder};
use crate::dialect::tests::streams::{self, assemble};
use crate::error::{ErrorCode, Failure};

pub(super) fn decode(pieces: &[&[u8]]) -> Result<Vec<Delta>, Failure> {
    streams::decode(StreamDecoder::default(), pieces)
}

pub(super) fn encode(deltas: &[Delta], reply: Reply) -> Vec<u8> {
    let mut encoder = StreamEncoder::new(reply);
    let mut bytes: Vec<u8> = deltas.iter().flat_map(|delta| encoder.encode(delta)).collect();
    bytes.extend(encoder.end());
    assert!(encoder.end().is_empty() && encoder.error(&Failure::new(ErrorCode::Internal, "late")).is_empty());
    bytes
}

/// The deltas of `response` in small pieces.
fn shatter(response: &ChatResponse, size: usize) -> Vec<Delta> {
    streams::shatter(pieces(response), size)
}

/// Where `message_stop` is told in full.
fn end_of(bytes: &[u8]) -> usize {
    let stop = b"\"message_stop\"}";
    bytes.windows(stop.len()).position(|window| window == stop).unwrap() + stop.len()
}

proptest! {
    #[test]
    fn a_stream_adds_up_to_its_answer(
        response in strategy::response(),
        size in 1_usize..6,
        at in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let reply = Reply { id: response.id.clone().unwrap(), model: response.model.clone(), ..reply() };
        let bytes = encode(&shatter(&response, size), reply);
        let whole = decode(&[&bytes]).unwrap();
        prop_assert_eq!(assemble(&whole), Some(response));

        let mut cuts: Vec<_> = at.iter().map(|at| at.index(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let split: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let more: Vec<_> = decode(&split).unwrap();
        prop_assert_eq!(&more, &whole);
        let single: Vec<_> = bytes.chunks(1).collect();
        prop_assert_eq!(&decode(&single).unwrap(), &whole);
    }

    #[test]
    fn a_cut_stream_is_never_an_answer(response in strategy::response(), at in any::<prop::sample::Index>()) {
        let bytes = encode(&pieces(&response), reply());
        let failure = decode(&[&bytes[..at.index(end_of(&bytes))]]).unwrap_err();
        prop_assert_eq!(failure.code, ErrorCode::ProviderInvalidResponse);
    }

    #[test]
    fn the_grammar_holds(response in strategy::response(), size in 1_usize..6) {
        let events = events(&encode(&shatter(&response, size), reply()));
        let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        prop_assert_eq!(&kinds[..2], ["message_start", "ping"]);
        prop_assert_eq!(&kinds[kinds.len() - 2..], ["message_delta", "message_stop"]);
        let (mut open, mut next) = (None, 0);
        for event in &events[2..events.len() - 2] {
            match event["type"].as_str().unwrap() {
                "content_block_start" => {
                    prop_assert_eq!((open, &event["index"]), (None, &json!(next)));
                    open = Some(next);
                }
                "content_block_delta" => prop_assert_eq!(event["index"].as_u64(), open),
                "content_block_stop" => {
                    prop_assert_eq!(event["index"].as_u64(), open);
                    (open, next) = (None, next + 1);
                }
                other => prop_assert!(false, "{}", other),
            }
        }
        prop_assert_eq!(open, None);
    }
}

/// The data of every event; its name must be the data's type.
pub(super) fn events(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    let events = text.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    });
    events.collect()
}

#[test]
fn providers_streams() {
    for (name, stream) in STREAMS {
        let deltas = decode(&[stream.as_bytes()]).unwrap();
        insta::assert_json_snapshot!(format!("deltas_of_{name}"), deltas);
        let told = encode(&deltas, reply());
        insta::assert_snapshot!(format!("client_stream_of_{name}"), String::from_utf8(told.clone()).unwrap());
        // What a client is told says the same as what the provider told.
        let again = assemble(&decode(&[&told]).unwrap()).map(|answer| (answer.message, answer.finish, answer.usage));
        let first = assemble(&deltas).map(|answer| (answer.message, answer.finish, answer.usage));
        assert_eq!(again, first, "{name}");
        let single: Vec<_> = stream.as_bytes().chunks(1).collect();
        assert_eq!(decode(&single).unwrap(), deltas, "{name}");
        for at in 0..end_of(stream.as_bytes()) {
            let failure = decode(&[&stream.as_bytes()[..at]]).unwrap_err();
            assert_eq!(failure.code, ErrorCode::ProviderInvalidResponse, "{name} {at}");
        }
    }
}

#[test]
fn a_stream_and_a_whole_answer_say_the_same() {
    let (_, stream) = STREAMS[3];
    let answer = assemble(&decode(&[stream.as_bytes()]).unwrap()).unwrap();
    let reply = Reply { id: answer.id.clone().unwrap(), model: answer.model.clone(), ..reply() };
    let body = super::super::encode_response(&answer, &reply).to_string();
    assert_eq!(super::super::decode_response(body.as_bytes()), Ok(answer));
}

#[test]
fn the_providers_own_error() {
    let failure = decode(&[OVERLOADED.as_bytes()]).unwrap_err();
    insta::assert_snapshot!(failure, @"provider_overloaded: the provider answered 529: Overloaded");
}

#[test]
fn usage_is_known_before_the_end() {
    let mut decoder = StreamDecoder::default();
    let (_, stream) = STREAMS[0];
    let first = stream.find("\n\n").unwrap() + 2;
    decoder.feed(&stream.as_bytes()[..first]).unwrap();
    assert_eq!(decoder.usage().map(|usage| usage.input_tokens), Some(40));
    decoder.feed(&stream.as_bytes()[first..]).unwrap();
    assert!(decoder.is_done());
    assert_eq!(decoder.feed(b"data: rubbish\n\n\xff").unwrap(), []);
    let usage =
        Usage { input_tokens: 40, output_tokens: 15, cached_tokens: 5, cache_write_tokens: 10, reasoning_tokens: 0 };
    assert_eq!(decoder.finish().unwrap(), [Delta::Usage { usage }]);
}

/// A stream of these events after a start.
fn then(events: &[Value]) -> Result<Vec<Delta>, Failure> {
    let start = json!({"type": "message_start", "message": {"id": "r", "model": "m", "content": []}});
    let lines = std::iter::once(&start).chain(events).map(|event| format!("data: {event}\n\n"));
    decode(&[lines.collect::<String>().as_bytes()])
}

fn ending() -> [Value; 2] {
    [json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}), json!({"type": "message_stop"})]
}

#[test]
fn servers_differ() {
    let [delta, stop] = ending();
    let begin = |block: Value| json!({"type": "content_block_start", "index": 0, "content_block": block});
    // The texts and the input are told at the start; a block's end is left out.
    let call = json!({"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}});
    let cited = json!({"type": "text", "text": "", "citations": [{"x": 1}]});
    let events = [
        begin(json!({"type": "thinking", "thinking": "hm", "signature": "s"})),
        begin(json!({"type": "text", "text": "hi"})),
        begin(cited),
        begin(json!({"type": "text"})),
        begin(call),
        delta,
        stop,
    ];
    let answer = assemble(&then(&events).unwrap()).unwrap();
    let kinds: Vec<_> = answer.message.content.iter().map(|block| serde_json::to_value(block).unwrap()).collect();
    insta::assert_json_snapshot!("odd_servers", kinds);
}

#[test]
fn what_breaks_a_stream() {
    let [delta, stop] = ending();
    let text = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let piece = |index: u32, piece: Value| json!({"type": "content_block_delta", "index": index, "delta": piece});
    let cases = [
        vec![],
        vec![stop.clone()],
        vec![delta],
        vec![json!({"type": "message_start", "message": {}})],
        vec![json!({"index": 0})],
        vec![json!([])],
        vec![json!({"type": "content_block_start", "index": 0})],
        vec![json!({"type": "content_block_start", "content_block": {"type": "text"}})],
        vec![json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "a"}})],
        vec![piece(0, json!({"type": "text_delta", "text": "x"}))],
        vec![text.clone(), piece(1, json!({"type": "text_delta", "text": "x"}))],
        vec![text.clone(), piece(0, json!({"type": "input_json_delta", "partial_json": "x"}))],
        vec![text.clone(), piece(0, json!({"type": "text_delta"}))],
        vec![text.clone(), piece(0, json!({"text": "x"}))],
        vec![json!({"type": "message_delta", "usage": {"output_tokens": "many"}})],
        vec![json!({"type": "error", "error": {"type": "api_error", "message": "Internal server error"}})],
        vec![
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 2 > 1"}}),
        ],
    ];
    let told: Vec<_> = cases.iter().map(|events| then(events).unwrap_err().to_string()).collect();
    insta::assert_snapshot!("broken_streams", told.join("\n"));
    let first = decode(&[format!("data: {stop}\n\n").as_bytes()]).unwrap_err();
    assert_eq!(first.code, ErrorCode::ProviderInvalidResponse);
    assert_eq!(decode(&[b"data: {broken\n\n"]).unwrap_err().code, ErrorCode::ProviderInvalidResponse);
    let unknown = [text, piece(0, json!({"type": "delta_of_tomorrow"}))];
    assert!(then(&[&unknown[..], &ending()].concat()).is_ok());
    assert!(StreamDecoder::new(100).feed(&[b'a'; 101]).is_err());
}

#[test]
fn the_bytes_of_a_failure() {
    let mut encoder = StreamEncoder::new(reply());
    encoder.encode(&Delta::Start { id: None, model: "m".to_owned() });
    let told = encoder.error(&Failure::new(ErrorCode::ProviderOverloaded, "the provider \"x\" is gone"));
    insta::assert_snapshot!(String::from_utf8(told.to_vec()).unwrap(), @r#"
    event: error
    data: {"type":"error","error":{"type":"overloaded_error","message":"the provider \"x\" is gone"}}
    "#);
    assert!(encoder.encode(&Delta::Text { text: "late".to_owned() }).is_empty() && encoder.end().is_empty());
}

#[test]
fn an_end_without_a_finish_is_an_error() {
    let mut encoder = StreamEncoder::new(reply());
    encoder.encode(&Delta::Text { text: "x".to_owned() });
    let told = events(&encoder.end());
    assert_eq!(told.iter().map(|event| &event["type"]).collect::<Vec<_>>(), ["error"]);
}

#[test]
fn the_deltas_of_another_dialect() {
    let text = |text: &str| Delta::Text { text: text.to_owned() };
    let note = |dialect: &str| Delta::Annotation { dialect: dialect.to_owned(), value: json!({"n": dialect}) };
    let proof = |redacted| Delta::ReasoningSignature {
        signature: "enc".to_owned(),
        dialect: Some("openai_responses".to_owned()),
        id: Some("rs_1".to_owned()),
        redacted,
    };
    let deltas = [
        Delta::Start { id: None, model: "gpt".to_owned() },
        Delta::Reasoning { text: "hm".to_owned() },
        proof(false),
        Delta::Break,
        proof(true),
        text("Hel"),
        Delta::Logprobs { tokens: vec![json!({"token": "Hel"})] },
        text("lo"),
        note("openai_chat"),
        note(NAME),
        Delta::Break,
        text("!"),
        Delta::Refusal { text: "No".to_owned() },
        Delta::Refusal { text: ".".to_owned() },
        Delta::Opaque { dialect: "openai_responses".to_owned(), value: json!({"type": "x"}) },
        Delta::Finish { reason: FinishReason::Stop, extra: Extra::new() },
        text("after the end"),
        Delta::Usage { usage: Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() } },
    ];
    let bytes = encode(&deltas, reply());
    insta::assert_snapshot!("foreign_stream", String::from_utf8(bytes.clone()).unwrap());
    let answer = assemble(&decode(&[&bytes]).unwrap()).unwrap();
    let texts: Vec<_> = answer.message.content.iter().filter_map(Block::as_text).collect();
    assert_eq!(texts, ["Hello", "!", "No."]);
}
