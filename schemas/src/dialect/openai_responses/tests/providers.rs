//! Streams as providers send them.

use serde_json::{Value, json};

use super::fixtures::{bytes, whole_response, whole_stream};
use super::stream::decode;
use crate::chat::{ChatResponse, Usage};
use crate::delta::Delta;
use crate::dialect::openai_responses::{StreamDecoder, decode_response};
use crate::dialect::tests::streams::assemble;
use crate::error::ErrorCode;

fn read(events: &[Value]) -> Vec<Delta> {
    decode(&[&bytes(events)]).unwrap()
}

fn answer(events: &[Value]) -> ChatResponse {
    assemble(&read(events)).unwrap()
}

fn whole() -> ChatResponse {
    decode_response(whole_response().to_string().as_bytes()).unwrap()
}

#[test]
fn a_stream_tells_the_same_as_the_whole_answer() {
    assert_eq!(answer(&whole_stream()), whole());
    insta::assert_json_snapshot!("deltas", read(&whole_stream()));
}

/// Servers that skip some kinds of events: the whole items make up for them.
#[test]
fn every_event_but_the_ends_may_be_left_out() {
    let kinds = |events: &[Value]| -> Vec<String> {
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    let events = whole_stream();
    let mut left_out = kinds(&events);
    left_out.sort();
    left_out.dedup();
    // Proofs come with the ends of items alone: without those, they would come behind everything else.
    left_out.retain(|kind| !["response.completed", "response.output_item.done"].contains(&kind.as_str()));
    for kind in &left_out {
        // Arguments belong to a call that has begun.
        let depends =
            |other: &Value| kind == "response.output_item.added" && other["type"].as_str().unwrap().contains("call");
        let rest: Vec<_> = events.iter().filter(|event| event["type"] != **kind && !depends(event)).cloned().collect();
        let found = answer(&rest);
        assert_eq!(found.message.content.len(), whole().message.content.len(), "{kind}");
        assert_eq!(found.logprobs, whole().logprobs, "{kind}");
    }
    let only_last = [events.last().cloned().unwrap()];
    assert_eq!(answer(&only_last), whole());
}

#[test]
fn no_prefix_is_an_answer() {
    let events = whole_stream();
    for end in 0..events.len() {
        let failure = decode(&[&bytes(&events[..end])]).unwrap_err();
        assert_eq!(failure.code, ErrorCode::ProviderInvalidResponse, "{end}");
    }
    let whole = bytes(&events);
    for end in (0..whole.len() - 3).step_by(97) {
        assert!(decode(&[&whole[..end]]).is_err(), "{end}");
    }
}

#[test]
fn the_end_is_the_end() {
    let mut decoder = StreamDecoder::default();
    let mut stream = b": keep-alive\n\n".to_vec();
    stream.extend(bytes(&whole_stream()));
    stream.extend(b"data: [DONE]\n\n\xff\xff garbage");
    decoder.feed(&stream).unwrap();
    assert!(decoder.is_done());
    assert_eq!(decoder.usage().map(|usage| usage.total()), Some(150));
    assert_eq!(decoder.finish(), Ok(Vec::new()));
    let mark = decode(&[b"data: [DONE]\n\n"]).unwrap_err();
    assert_eq!(mark.message, "the provider's stream ended without its terminal event");
}

#[test]
fn errors_within_a_stream() {
    let failed = |error: Value| json!({"type": "response.failed", "response": {"id": "r", "status": "failed", "output": [], "error": error}});
    let cases = [
        failed(json!({"code": "server_error", "message": "it broke"})),
        failed(json!({"code": "rate_limit_exceeded", "message": "slow down"})),
        failed(json!({"code": "invalid_prompt", "message": "bad prompt"})),
        failed(json!({"code": "context_length_exceeded", "message": "too long"})),
        failed(Value::Null),
        json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": null, "sequence_number": 1}),
        json!({"type": "error", "error": {"type": "invalid_request_error", "code": "model_not_found", "message": "no model"}}),
        json!({"type": "response.cancelled", "response": {}}),
        json!({"error": {"message": "no capacity", "code": 503}}),
    ];
    let told: Vec<_> =
        cases.iter().map(|event| decode(&[&bytes(std::slice::from_ref(event))]).unwrap_err().to_string()).collect();
    insta::assert_snapshot!("stream_errors", told.join("\n"));
}

#[test]
fn garbage_is_named() {
    let cases: [&[u8]; 8] = [
        b"data: {\n\n",
        b"data: \xff\n\n",
        b"data: {\"type\": \"response.output_text.delta\"}\n\n",
        b"data: {\"type\": \"response.output_text.delta\", \"delta\": \"my secret\", \"output_index\": -1}\n\n",
        b"data: {\"type\": \"response.function_call_arguments.delta\", \"delta\": \"my secret\", \"output_index\": 9}\n\n",
        b"data: {\"type\": \"response.output_item.done\", \"item\": \"my secret\"}\n\n",
        b"data: {\"type\": \"response.completed\"}\n\n",
        b"<html>",
    ];
    let told: Vec<_> = cases.iter().map(|bytes| decode(&[bytes]).unwrap_err().to_string()).collect();
    assert!(told.iter().all(|told| !told.contains("secret")));
    insta::assert_snapshot!("garbage", told.join("\n"));
}

#[test]
fn a_cut_answer_keeps_its_tokens() {
    let usage = json!({"input_tokens": 3, "output_tokens": 2, "total_tokens": 5});
    let response = json!({"id": "r", "model": "m", "status": "incomplete", "usage": usage, "incomplete_details": {"reason": "max_output_tokens"}});
    let deltas = read(&[json!({"type": "response.incomplete", "response": response})]);
    assert_eq!(
        deltas.last(),
        Some(&Delta::Usage { usage: Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() } })
    );
}
