//! Parallel calls whose pieces come in turns, one block after the other for a client.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::reply;
use super::stream::{decode, encode, events};
use crate::chat::{Block, Extra, FinishReason};
use crate::delta::Delta;
use crate::dialect::anthropic::StreamEncoder;
use crate::dialect::anthropic::stream_calls::Scan;
use crate::dialect::tests::streams::{assemble, cut};

fn begins(index: u32) -> Delta {
    Delta::ToolCallStart { index, id: format!("c{index}"), name: "f".to_owned(), extra: Extra::new() }
}

fn goes_on(index: u32, text: &str) -> Delta {
    Delta::ToolCallArguments { index, text: text.to_owned() }
}

fn text(text: &str) -> Delta {
    Delta::Text { text: text.to_owned() }
}

fn finish() -> Delta {
    Delta::Finish { reason: FinishReason::ToolCalls, extra: Extra::new() }
}

/// What each delta is answered with, in short.
fn told(deltas: &[Delta]) -> Vec<String> {
    let mut encoder = StreamEncoder::new(reply());
    encoder.encode(&Delta::Start { id: None, model: "m".to_owned() });
    let short = |event: &Value| {
        let delta = &event["delta"];
        let piece = delta["partial_json"].as_str().or(delta["text"].as_str()).unwrap_or_default();
        let id = event["content_block"]["id"].as_str().unwrap_or_default();
        let kind = event["type"].as_str().unwrap().trim_start_matches("content_block_").to_owned();
        format!("{kind} {}{id}{piece}", event["index"])
    };
    deltas.iter().map(|delta| events(&encoder.encode(delta)).iter().map(short).collect::<Vec<_>>().join(", ")).collect()
}

#[test]
fn calls_one_after_the_other_are_told_at_once() {
    let deltas = [begins(0), goes_on(0, "{\"a\":"), goes_on(0, "1}"), begins(1), goes_on(1, "{}"), text("x"), finish()];
    let expected = [
        "start 0c0",
        "delta 0{\"a\":",
        "delta 01}",
        "stop 0, start 1c1",
        "delta 1{}",
        "stop 1, start 2, delta 2x",
        "stop 2",
    ];
    assert_eq!(told(&deltas), expected);
}

#[test]
fn what_comes_between_waits_for_the_call_that_runs() {
    let deltas =
        [begins(0), begins(1), text("x"), goes_on(1, "{"), goes_on(0, "{"), goes_on(0, "}"), goes_on(1, "}"), finish()];
    let expected = [
        "start 0c0",
        "",
        "",
        "",
        "delta 0{",
        "delta 0}, stop 0, start 1c1, delta 1{",
        "delta 1}, stop 1, start 2, delta 2x",
        "stop 2",
    ];
    assert_eq!(told(&deltas), expected);
}

#[test]
fn an_answer_cut_within_a_call_loses_nothing() {
    let deltas = [begins(0), goes_on(0, "{\"a"), begins(1), goes_on(1, "{\"b"), text("x"), finish()];
    let bytes = encode(&deltas, reply());
    let answer = assemble(&decode(&[&bytes]).unwrap()).unwrap();
    let said = answer.message.content.iter().map(|block| match block {
        Block::ToolCall(call) => call.arguments.as_str(),
        other => other.as_text().unwrap(),
    });
    assert_eq!(said.collect::<Vec<_>>(), ["{\"a", "{\"b", "x"]);
}

#[test]
fn what_waits_is_bounded() {
    let mut encoder = StreamEncoder::new(reply());
    [begins(0), begins(1)].iter().for_each(|delta| drop(encoder.encode(delta)));
    let piece = goes_on(1, &"x".repeat(1 << 20));
    let told = (0..32).map(|_| encoder.encode(&piece)).find(|bytes| !bytes.is_empty()).unwrap();
    assert_eq!(events(&told)[0]["type"], "error");
    assert!(encoder.end().is_empty());
}

proptest! {
    #[test]
    fn an_object_is_whole_at_its_end_and_not_before(text in ".{0,20}", size in 1_usize..5) {
        let json = json!({"a": text, "b": [{"c": {}}, "}"]}).to_string();
        let pieces: Vec<_> = cut(&json, size).collect();
        let mut scan = Scan::default();
        for (index, piece) in pieces.iter().enumerate() {
            scan.feed(piece);
            prop_assert_eq!(scan.is_whole(), index + 1 == pieces.len(), "{}", piece);
        }
    }
}
