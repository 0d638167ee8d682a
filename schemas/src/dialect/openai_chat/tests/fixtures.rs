//! Bodies and streams with every field of the API reference, and of the compatible servers; what the neutral form
//! makes of them, and what is seen on the other side.

use serde_json::{Value, json};

use super::stream::{decode, encode};
use super::{generous, reply};
use crate::dialect::openai_chat::{
    ClientOptions, Reply, decode_request, decode_response, encode_request, encode_response,
};
use crate::dialect::tests::streams::assemble;

pub(super) const REQUESTS: [&str; 3] = [
    include_str!("fixtures/request.json"),
    include_str!("fixtures/request_old.json"),
    include_str!("fixtures/request_compatible.json"),
];
pub(super) const RESPONSES: [&str; 2] =
    [include_str!("fixtures/response.json"), include_str!("fixtures/response_old.json")];
pub(super) const STREAMS: [&str; 2] = [include_str!("fixtures/stream.txt"), include_str!("fixtures/stream_old.txt")];

pub(super) fn body(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The chunks of a stream, its end left out.
pub(super) fn chunks(stream: &str) -> Vec<Value> {
    let lines = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.filter(|data| *data != "[DONE]").map(body).collect()
}

/// A stream of these chunks.
pub(super) fn of_chunks(chunks: &[Value]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect::<String>() + "data: [DONE]\n\n"
}

#[test]
fn requests() {
    for (name, text) in ["full", "old", "compatible"].into_iter().zip(REQUESTS) {
        let decoded = decode_request(body(text)).unwrap();
        insta::assert_json_snapshot!(
            format!("request_{name}"),
            json!({"request": decoded.request, "warnings": decoded.warnings, "unknown": decoded.unknown})
        );
        let (sent, warnings) = encode_request(&decoded.request, "upstream", &generous());
        insta::assert_json_snapshot!(format!("request_{name}_sent"), json!({"body": sent, "warnings": warnings}));
    }
}

#[test]
fn responses() {
    for (name, text) in ["full", "old"].into_iter().zip(RESPONSES) {
        let response = decode_response(text.as_bytes()).unwrap();
        insta::assert_json_snapshot!(format!("response_{name}"), response);
        insta::assert_json_snapshot!(format!("response_{name}_read"), encode_response(&response, &reply()));
    }
}

#[test]
fn streams() {
    for (name, text) in ["full", "old"].into_iter().zip(STREAMS) {
        let deltas = decode(&[text.as_bytes()]).unwrap();
        insta::assert_json_snapshot!(format!("stream_{name}"), deltas);
        insta::assert_json_snapshot!(format!("stream_{name}_assembled"), assemble(&deltas));
        let options = ClientOptions { include_usage: true, logprobs: true, ..ClientOptions::default() };
        let bytes = encode(&deltas, Reply { options, ..reply() });
        insta::assert_snapshot!(format!("stream_{name}_read"), String::from_utf8(bytes).unwrap());
    }
}

/// What comes behind the finish reason is no part of the answer's content: a cut before it is an error, one behind it
/// is the same answer.
#[test]
fn every_prefix_of_a_stream_is_an_error_up_to_its_finish() {
    for stream in STREAMS {
        let whole = assemble(&decode(&[stream.as_bytes()]).unwrap()).unwrap();
        let finish = stream.find("\"finish_reason\":\"").unwrap();
        let end = finish + stream[finish..].find("\n\n").unwrap();
        for cut in (0..stream.len()).filter(|cut| stream.is_char_boundary(*cut)) {
            let read = decode(&[&stream.as_bytes()[..cut]]).map(|deltas| assemble(&deltas).unwrap());
            match read {
                Err(_) => assert!(cut < end, "cut at {cut}"),
                Ok(read) => {
                    assert!(cut > finish, "cut at {cut}");
                    assert_eq!(read.message.content, whole.message.content);
                }
            }
        }
    }
}
