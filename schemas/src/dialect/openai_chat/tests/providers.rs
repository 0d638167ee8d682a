//! Streams as providers were seen to send them.

use serde_json::json;

use super::stream::decode;
use crate::chat::{Extra, FinishReason, Usage};
use crate::delta::Delta;
use crate::dialect::openai_chat::StreamDecoder;
use crate::error::ErrorCode;

/// The events of `chunks`, each as one data line, with a comment before and without `[DONE]`.
fn events(chunks: &[serde_json::Value]) -> Vec<u8> {
    let lines = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n"));
    std::iter::once(": PROCESSING\n\n".to_owned()).chain(lines).collect::<String>().into_bytes()
}

fn read(chunks: &[serde_json::Value]) -> Vec<Delta> {
    decode(&[&events(chunks)]).unwrap()
}

fn delta(delta: serde_json::Value) -> serde_json::Value {
    json!({"id": "r1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn finish(word: &str) -> serde_json::Value {
    json!({"id": "r1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": word}]})
}

fn start() -> Delta {
    Delta::Start { id: Some("r1".to_owned()), model: "m".to_owned() }
}

fn text(text: &str) -> Delta {
    Delta::Text { text: text.to_owned() }
}

fn begins(index: u32, id: &str, name: &str) -> Delta {
    Delta::ToolCallStart { index, id: id.to_owned(), name: name.to_owned(), extra: Extra::new() }
}

fn goes_on(index: u32, text: &str) -> Delta {
    Delta::ToolCallArguments { index, text: text.to_owned() }
}

fn ends(reason: FinishReason) -> Delta {
    Delta::Finish { reason, extra: Extra::new() }
}

fn stop() -> Delta {
    ends(FinishReason::Stop)
}

fn called() -> Delta {
    ends(FinishReason::ToolCalls)
}

#[test]
fn openai_tells_the_usage_after_the_end() {
    let usage = json!({"id": "r1", "model": "m", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}});
    let chunks = [delta(json!({"role": "assistant", "content": "", "refusal": null})), delta(json!({"content": "hi"}))];
    let usage_delta = Delta::Usage { usage: Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() } };
    let whole = [&chunks[..], &[finish("stop"), usage]].concat();
    assert_eq!(read(&whole), [start(), text("hi"), stop(), usage_delta]);
}

#[test]
fn openai_streams_parallel_calls_by_index() {
    let first = |index: u32, id: &str, name: &str| {
        delta(
            json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]}),
        )
    };
    let more =
        |index: u32, text: &str| delta(json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]}));
    let chunks = [
        first(0, "a", "f"),
        more(0, "{\"x\""),
        first(1, "b", "g"),
        more(1, "{}"),
        more(0, ":1}"),
        finish("tool_calls"),
    ];
    assert_eq!(
        read(&chunks),
        [
            start(),
            begins(0, "a", "f"),
            goes_on(0, "{\"x\""),
            begins(1, "b", "g"),
            goes_on(1, "{}"),
            goes_on(0, ":1}"),
            called()
        ]
    );
}

#[test]
fn mistral_sends_whole_calls_without_an_index() {
    let calls = json!([
        {"id": "a", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "function": {"name": "f", "arguments": {"x": 1}}},
    ]);
    let chunk = json!({"id": "r1", "model": "m", "choices": [{"index": 0, "delta": {"content": "", "tool_calls": calls}, "finish_reason": "tool_calls"}]});
    assert_eq!(
        read(&[chunk]),
        [start(), begins(0, "a", "f"), goes_on(0, "{}"), begins(1, "b", "f"), goes_on(1, "{\"x\":1}"), called()]
    );
}

#[test]
fn gemini_sends_every_call_under_index_zero() {
    let call =
        |id: &str| delta(json!({"tool_calls": [{"index": 0, "id": id, "function": {"name": "f", "arguments": "{}"}}]}));
    assert_eq!(
        read(&[call("a"), call("b"), finish("stop")]),
        [start(), begins(0, "a", "f"), goes_on(0, "{}"), begins(1, "b", "f"), goes_on(1, "{}"), stop()]
    );
}

#[test]
fn some_repeat_the_id_and_the_name_or_leave_them_out() {
    let repeated = |text: &str| {
        delta(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": text}}]}))
    };
    assert_eq!(
        read(&[repeated("{"), repeated("}"), finish("tool_calls")]),
        [start(), begins(0, "a", "f"), goes_on(0, "{"), goes_on(0, "}"), called()]
    );
    let bare = |body: serde_json::Value| delta(json!({"tool_calls": [{"function": body}]}));
    assert_eq!(
        read(&[bare(json!({"name": "f"})), bare(json!({"arguments": "{}"})), finish("tool_calls")]),
        [start(), begins(0, "call_r1_0", "f"), goes_on(0, "{}"), called()]
    );
    let old = |body: serde_json::Value| delta(json!({"function_call": body}));
    assert_eq!(
        read(&[old(json!({"name": "f", "arguments": ""})), old(json!({"arguments": "{}"})), finish("function_call")]),
        [start(), begins(0, "call_r1_0", "f"), goes_on(0, "{}"), called()]
    );
}

#[test]
fn azure_begins_without_a_choice() {
    let filter = json!({"id": "", "model": "", "choices": [], "prompt_filter_results": []});
    let extra = Extra::from_iter([("openai_chat".to_owned(), json!({"prompt_filter_results": []}))]);
    let end = Delta::Finish { reason: FinishReason::Stop, extra };
    assert_eq!(read(&[filter, delta(json!({"content": "hi"})), finish("stop")]), [start(), text("hi"), end]);
}

#[test]
fn reasoning_has_two_names_and_a_list_form() {
    let thought = |text: &str| Delta::Reasoning { text: text.to_owned() };
    let list = json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "c"}]}]});
    let chunks = [
        delta(json!({"reasoning_content": "a", "content": null})),
        delta(json!({"reasoning": "b", "reasoning_content": null})),
        delta(list),
        delta(json!({"content": "d"})),
        finish("stop"),
    ];
    assert_eq!(read(&chunks), [start(), thought("a"), thought("b"), thought("c"), text("d"), stop()]);
}

#[test]
fn the_last_of_many_usages_counts() {
    let mut chunks = [delta(json!({"content": "a"})), finish("length")];
    chunks[0]["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 1});
    chunks[1]["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 2});
    let deltas = read(&chunks);
    assert_eq!(deltas.iter().filter(|delta| matches!(delta, Delta::Usage { .. })).count(), 1);
    assert!(matches!(deltas.last(), Some(Delta::Usage { usage }) if usage.output_tokens == 2));
}

#[test]
fn one_event_may_hold_the_whole_message() {
    let chunk = json!({"id": "r1", "model": "m", "choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]});
    assert_eq!(read(&[chunk]), [start(), text("hi"), stop()]);
}

#[test]
fn nothing_behind_the_finish_matters() {
    let mut bytes =
        events(&[delta(json!({"content": "hi"})), finish("stop"), finish("length"), delta(json!({"content": "more"}))]);
    bytes.extend_from_slice(b"data: {broken\n\ndata: \xff\n\n");
    assert_eq!(decode(&[&bytes]).unwrap(), [start(), text("hi"), stop()]);
    let single: Vec<_> = bytes.chunks(1).collect();
    assert_eq!(decode(&single).unwrap(), [start(), text("hi"), stop()]);
}

#[test]
fn done_ends_the_reading() {
    let mut decoder = StreamDecoder::default();
    let mut bytes = events(&[delta(json!({"content": "hi"})), finish("stop")]);
    bytes.extend_from_slice(b"data: [DONE]");
    decoder.feed(&bytes).unwrap();
    assert!(!decoder.is_done());
    decoder.feed(b"\n\n").unwrap();
    assert!(decoder.is_done());
    assert_eq!(decoder.feed(b"data: rubbish\n\n").unwrap(), []);
    assert_eq!(decoder.finish().unwrap(), [stop()]);
}

#[test]
fn what_breaks_a_stream() {
    let code = |bytes: &[u8]| decode(&[bytes]).unwrap_err().code;
    let begun = events(&[delta(json!({"content": "hi"}))]);
    let then = |more: &str| code(&[&begun, more.as_bytes()].concat());
    assert_eq!(code(b""), ErrorCode::ProviderInvalidResponse);
    assert_eq!(then(""), ErrorCode::ProviderInvalidResponse);
    assert_eq!(then("data: [DONE]\n\n"), ErrorCode::ProviderInvalidResponse);
    assert_eq!(then("data: {\"choices\n\n"), ErrorCode::ProviderInvalidResponse);
    assert_eq!(then("data: {\"choices\": 3}\n\n"), ErrorCode::ProviderInvalidResponse);
    assert_eq!(then(&format!("data: {}\n\n", finish("error"))), ErrorCode::ProviderInvalidResponse);
    assert_eq!(then("data: {\"error\": {\"message\": \"busy\", \"code\": 502}}\n\n"), ErrorCode::ProviderOverloaded);
    assert_eq!(
        then("event: error\ndata: {\"error\": {\"type\": \"rate_limit_error\"}}\n\n"),
        ErrorCode::ProviderRateLimited
    );
    let nameless = delta(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": "{}"}}]}));
    assert_eq!(then(&format!("data: {nameless}\n\n")), ErrorCode::ProviderInvalidResponse);
}
