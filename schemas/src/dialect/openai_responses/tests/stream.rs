//! Streams: any split, any interleaving, the exact events, and a resume from any of them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{reply, strategy};
use crate::chat::{ChatResponse, Extra, FinishReason, Usage};
use crate::delta::Delta;
use crate::dialect::openai_responses::response::pieces;
use crate::dialect::openai_responses::{NAME, Reply, StreamDecoder, StreamEncoder, encode_response};
use crate::dialect::tests::streams::{self, assemble};
use crate::error::{ErrorCode, Failure};

pub(super) fn decode(pieces: &[&[u8]]) -> Result<Vec<Delta>, Failure> {
    streams::decode(StreamDecoder::default(), pieces)
}

pub(super) fn encode_from(deltas: &[Delta], reply: Reply, seen: Option<u64>) -> Vec<u8> {
    let mut encoder = StreamEncoder::new(reply, seen);
    let mut bytes: Vec<u8> = deltas.iter().flat_map(|delta| encoder.encode(delta)).collect();
    bytes.extend(encoder.end());
    let late = Failure::new(ErrorCode::Internal, "late");
    assert!(encoder.end().is_empty() && encoder.error(&late).is_empty() && encoder.abort(&late).is_empty());
    assert!(encoder.open().is_empty() && encoder.encode(&Delta::Break).is_empty());
    bytes
}

fn encode(deltas: &[Delta], reply: Reply) -> Vec<u8> {
    encode_from(deltas, reply, None)
}

/// The events of a stream, whose names and types agree.
pub(super) fn events(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    let read = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        let body: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name, format!("event: {}", body["type"].as_str().unwrap()));
        body
    };
    text.split("\n\n").filter(|event| !event.is_empty()).map(read).collect()
}

/// The deltas of `response` in small pieces.
fn shatter(response: &ChatResponse, size: usize) -> Vec<Delta> {
    let start = Delta::Start { id: response.id.clone(), model: response.model.clone() };
    let usage = response.usage.map(|usage| Delta::Usage { usage });
    streams::shatter([start].into_iter().chain(pieces(response)).chain(usage).collect(), size)
}

fn reply_to(response: &ChatResponse) -> Reply {
    Reply { model: response.model.clone(), ..reply() }
}

proptest! {
    #[test]
    fn a_stream_adds_up_to_its_answer(
        response in strategy::response(),
        size in 1_usize..6,
        at in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = encode(&shatter(&response, size), reply_to(&response));
        let whole = decode(&[&bytes]).unwrap();
        prop_assert_eq!(assemble(&whole), Some(response));

        let mut cuts: Vec<_> = at.iter().map(|at| at.index(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let split: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&decode(&split).unwrap(), &whole);
        let single: Vec<_> = bytes.chunks(1).collect();
        prop_assert_eq!(&decode(&single).unwrap(), &whole);
    }

    #[test]
    fn a_stream_ends_with_what_a_poll_tells(response in strategy::response(), size in 1_usize..6) {
        let events = events(&encode(&shatter(&response, size), reply_to(&response)));
        let told = encode_response(&response, &reply_to(&response));
        prop_assert_eq!(&events.last().unwrap()["response"], &told);
        prop_assert_eq!(&events[0]["type"], "response.created");
        // Every item is announced and done once, and is in the whole as it was done, but for log probabilities.
        for (index, item) in told["output"].as_array().unwrap().iter().enumerate() {
            let of = |kind: &str| {
                let found = events.iter().filter(|event| event["type"] == kind && event["output_index"] == index);
                found.collect::<Vec<_>>()
            };
            let (added, done) = (of("response.output_item.added"), of("response.output_item.done"));
            prop_assert_eq!((added.len(), done.len()), (1, 1));
            for name in ["id", "type", "call_id", "name", "phase"] {
                prop_assert_eq!(&added[0]["item"][name], &item[name]);
            }
            for name in ["id", "type", "status", "arguments", "summary", "encrypted_content"] {
                prop_assert_eq!(&done[0]["item"][name], &item[name]);
            }
        }
    }

    #[test]
    fn a_resume_is_the_rest_of_the_stream(response in strategy::response(), size in 1_usize..6, at: prop::sample::Index) {
        let deltas = shatter(&response, size);
        let whole = events(&encode(&deltas, reply_to(&response)));
        for (number, event) in whole.iter().enumerate() {
            prop_assert_eq!(&event["sequence_number"], number);
        }
        let seen = at.index(whole.len());
        let rest = events(&encode_from(&deltas, reply_to(&response), Some(seen as u64)));
        prop_assert_eq!(rest.as_slice(), &whole[seen + 1..]);
    }

    #[test]
    fn a_cut_stream_is_never_an_answer(response in strategy::response(), at: prop::sample::Index) {
        let bytes = encode(&shatter(&response, 3), reply_to(&response));
        // Without the last brace of the terminal event, whose blank line may be missing.
        let failure = decode(&[&bytes[..at.index(bytes.len() - 2)]]).unwrap_err();
        prop_assert_eq!(failure.code, ErrorCode::ProviderInvalidResponse);
    }
}

fn text(text: &str) -> Delta {
    Delta::Text { text: text.to_owned() }
}

/// Every kind of delta.
pub(super) fn spoken() -> Vec<Delta> {
    let own = |value: Value| Delta::Annotation { dialect: NAME.to_owned(), value };
    let proof = |redacted| Delta::ReasoningSignature {
        signature: "enc".to_owned(),
        dialect: Some(NAME.to_owned()),
        id: None,
        redacted,
    };
    let begin = |index, id: &str, name: &str| {
        let (id, name) = (id.to_owned(), name.to_owned());
        Delta::ToolCallStart { index, id, name, extra: Extra::new() }
    };
    let more = |index, text: &str| Delta::ToolCallArguments { index, text: text.to_owned() };
    let token = json!({"token": "Hel", "logprob": -0.25, "bytes": [72, 101, 108], "top_logprobs": []});
    vec![
        Delta::Start { id: None, model: "m".to_owned() },
        Delta::Reasoning { text: "first".to_owned() },
        Delta::Break,
        Delta::Reasoning { text: "second".to_owned() },
        proof(false),
        proof(true),
        text(""),
        own(json!({"type": "phase", "phase": "commentary"})),
        text("Hel"),
        Delta::Logprobs { tokens: vec![token] },
        text("lo"),
        own(
            json!({"type": "url_citation", "url": "https://host.test/", "title": "t", "start_index": 0, "end_index": 5}),
        ),
        Delta::Refusal { text: "not that".to_owned() },
        Delta::Opaque {
            dialect: NAME.to_owned(),
            value: json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}),
        },
        Delta::Opaque { dialect: "anthropic".to_owned(), value: json!({"type": "server_tool_use"}) },
        Delta::Annotation { dialect: "anthropic".to_owned(), value: json!({}) },
        begin(0, "c1", "f"),
        begin(1, "c2", "free"),
        more(1, "plain"),
        more(0, "{\"a\":"),
        more(0, " 1}"),
        Delta::Finish { reason: FinishReason::ToolCalls, extra: Extra::new() },
        text("after the end"),
        Delta::Usage { usage: Usage { input_tokens: 3, output_tokens: 2, cached_tokens: 1, ..Usage::default() } },
    ]
}

/// A client with a tool that takes free text.
pub(super) fn with_custom_tool() -> Reply {
    let mut reply = reply();
    reply.options.echo.insert("tools".to_owned(), json!([{"type": "custom", "name": "free"}]));
    reply
}

#[test]
fn the_bytes_of_a_stream() {
    let bytes = encode(&spoken(), with_custom_tool());
    insta::assert_snapshot!("stream", String::from_utf8(bytes).unwrap());
}

#[test]
fn the_bytes_of_a_cut_answer() {
    let deltas = [text("Hel"), Delta::Finish { reason: FinishReason::Length, extra: Extra::new() }];
    let told = events(&encode(&deltas, reply()));
    let last = told.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
}

#[test]
fn a_failure_ends_with_what_was_said() {
    let mut encoder = StreamEncoder::new(reply(), None);
    let mut bytes = encoder.open().to_vec();
    bytes.extend(encoder.encode(&text("Hel")));
    bytes.extend(encoder.error(&Failure::new(ErrorCode::ProviderOverloaded, "the provider \"x\" is gone")));
    assert!(encoder.encode(&text("more")).is_empty() && encoder.end().is_empty());
    let told = events(&bytes);
    let last = told.last().unwrap();
    assert_eq!((&last["type"], &last["sequence_number"]), (&json!("response.failed"), &json!(told.len() - 1)));
    let response = &last["response"];
    assert_eq!(response["error"], json!({"code": "server_error", "message": "the provider \"x\" is gone"}));
    assert_eq!((&response["status"], &response["output"][0]["status"]), (&json!("failed"), &json!("incomplete")));
    assert_eq!(decode(&[&bytes]).unwrap_err().code, ErrorCode::ProviderOverloaded);
}

#[test]
fn a_failure_before_the_first_word_still_begins_the_response() {
    let mut encoder = StreamEncoder::new(reply(), None);
    let told = events(&encoder.error(&Failure::new(ErrorCode::Cancelled, "cancelled")));
    let kinds: Vec<_> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["response.created", "response.in_progress", "response.failed"]);
    assert_eq!((&told[2]["response"]["status"], &told[2]["response"]["error"]), (&json!("cancelled"), &Value::Null));
}

#[test]
fn a_stream_may_fail_without_its_response() {
    let mut encoder = StreamEncoder::new(reply(), None);
    let last = events(&encoder.open()).len() - 1;
    let told = events(&encoder.abort(&Failure::new(ErrorCode::Unavailable, "resume later")));
    let expected = json!({"type": "error", "sequence_number": last, "code": "unavailable", "message": "resume later", "param": null});
    assert_eq!(told, [expected]);
    assert!(encoder.open().is_empty() && encoder.end().is_empty());
}

#[test]
fn no_end_is_kept_from_a_client_that_saw_more() {
    let failure = Failure::new(ErrorCode::ProviderOverloaded, "gone");
    let number = |bytes: &[u8]| {
        let told = events(bytes);
        let last = told.last().unwrap().clone();
        (told.len(), last["type"].as_str().unwrap().to_owned(), last["sequence_number"].as_u64().unwrap())
    };
    let from = |seen| {
        let mut encoder = StreamEncoder::new(reply(), Some(seen));
        assert!(encoder.open().is_empty());
        encoder
    };
    assert_eq!(number(&from(40).error(&failure)), (1, "response.failed".to_owned(), 41));
    assert_eq!(number(&from(40).abort(&failure)), (1, "error".to_owned(), 40));
    // An earlier run of the job than the one that the client heard has won.
    let mut late = from(1_000_004);
    let finish = Delta::Finish { reason: FinishReason::Stop, extra: Extra::new() };
    assert!([text("Hel"), finish].iter().all(|delta| late.encode(delta).is_empty()));
    assert_eq!(number(&late.end()), (1, "error".to_owned(), 1_000_004));
}

#[test]
fn an_end_without_a_finish_is_a_failure() {
    let mut encoder = StreamEncoder::new(reply(), None);
    encoder.encode(&text("Hel"));
    assert_eq!(events(&encoder.end()).last().unwrap()["type"], "response.failed");
}

#[test]
fn an_event_has_its_bound() {
    let mut decoder = StreamDecoder::new(100);
    let failure = decoder.feed(&[b'a'; 101]).unwrap_err();
    assert_eq!(failure.code, ErrorCode::ProviderInvalidResponse);
}
