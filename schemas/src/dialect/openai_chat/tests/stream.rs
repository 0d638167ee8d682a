//! Streams: any split, any interleaving, and the exact bytes.

use proptest::prelude::*;

use super::{reply, strategy};
use crate::chat::{ChatResponse, Extra, FinishReason, Usage};
use crate::delta::{Delta, pieces};
use crate::dialect::openai_chat::{ClientOptions, Reply, StreamDecoder, StreamEncoder};
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

proptest! {
    #[test]
    fn a_stream_adds_up_to_its_answer(
        response in strategy::streamed(),
        logprobs: bool,
        size in 1_usize..6,
        at in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let options = ClientOptions { include_usage: true, logprobs, ..ClientOptions::default() };
        let reply = Reply { id: response.id.clone().unwrap(), model: response.model.clone(), options, ..reply() };
        let bytes = encode(&shatter(&response, size), reply);
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
    fn a_cut_stream_is_never_an_answer(response in strategy::response(), at in any::<prop::sample::Index>()) {
        let bytes = encode(&pieces(&response), reply());
        let finish = b"\"finish_reason\":\"";
        let end = bytes.windows(finish.len()).position(|window| window == finish).unwrap();
        let failure = decode(&[&bytes[..at.index(end)]]).unwrap_err();
        prop_assert_eq!(failure.code, ErrorCode::ProviderInvalidResponse);
    }
}

fn spoken() -> Vec<Delta> {
    let text = |text: &str| Delta::Text { text: text.to_owned() };
    vec![
        Delta::Start { id: None, model: "m".to_owned() },
        Delta::Reasoning { text: "hm".to_owned() },
        Delta::ReasoningSignature { signature: "sig".to_owned(), dialect: None, id: None, redacted: false },
        text("Hel"),
        text("lo"),
        Delta::ToolCallStart { index: 0, id: "c1".to_owned(), name: "f".to_owned(), extra: Extra::new() },
        Delta::ToolCallArguments { index: 0, text: "{}".to_owned() },
        Delta::ToolCallStart { index: 1, id: "c2".to_owned(), name: "g".to_owned(), extra: Extra::new() },
        Delta::Finish { reason: FinishReason::ToolCalls, extra: Extra::new() },
        text("after the end"),
        Delta::Usage { usage: Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() } },
    ]
}

#[test]
fn the_bytes_of_a_stream() {
    let with = |options| String::from_utf8(encode(&spoken(), Reply { options, ..reply() })).unwrap();
    insta::assert_snapshot!("stream", with(ClientOptions::default()));
    insta::assert_snapshot!(
        "stream_with_usage",
        with(ClientOptions { include_usage: true, ..ClientOptions::default() })
    );
    insta::assert_snapshot!(
        "stream_of_functions",
        with(ClientOptions { legacy_functions: true, ..ClientOptions::default() })
    );
}

#[test]
fn the_bytes_of_a_failure() {
    let mut encoder = StreamEncoder::new(reply());
    encoder.encode(&spoken()[0]);
    let told = encoder.error(&Failure::new(ErrorCode::ProviderOverloaded, "the provider \"x\" is gone"));
    insta::assert_snapshot!(String::from_utf8(told.to_vec()).unwrap(), @r#"data: {"error":{"message":"the provider \"x\" is gone","type":"server_error","param":null,"code":"provider_overloaded"}}"#);
    assert!(encoder.encode(&spoken()[3]).is_empty() && encoder.end().is_empty());
}

#[test]
fn an_end_without_a_finish_is_an_error() {
    let mut encoder = StreamEncoder::new(reply());
    encoder.encode(&spoken()[3]);
    let told = String::from_utf8(encoder.end().to_vec()).unwrap();
    assert!(told.contains("\"error\"") && !told.contains("[DONE]"), "{told}");
}

#[test]
fn an_event_has_its_bound() {
    let mut decoder = StreamDecoder::new(100);
    let failure = decoder.feed(&[b'a'; 101]).unwrap_err();
    assert_eq!(failure.code, ErrorCode::ProviderInvalidResponse);
}
