//! Bytes that an earlier release wrote are the bytes that this one writes and reads.

use std::fmt::Debug;

use serde_json::Value;

use super::*;

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.chunks(64).map(|line| line.concat() + "\n").collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// `value` is written as the first of `golden`, and each of them is read as `value`, also with fields that only a later
/// release knows: at the root and at `places`. A release that adds a field puts its bytes first and keeps the others.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, golden: &[&str], places: &[&str]) {
    let today = hex(&encode(value).unwrap());
    assert!(today.trim_end() == golden[0].trim_end(), "the stored form has changed to\n{today}");
    for golden in golden {
        assert_eq!(&decode::<T>(&bytes(golden)).unwrap(), value);
        let mut later: Value = decode(&bytes(golden)).unwrap();
        for place in [""].iter().chain(places) {
            let fields = later.pointer_mut(place).and_then(Value::as_object_mut).unwrap();
            fields.insert("of_a_later_release".to_owned(), serde_json::json!({"deep": [1, null]}));
        }
        assert_eq!(&decode::<T>(&encode(&later).unwrap()).unwrap(), value);
    }
}

#[test]
fn a_job_is_stored_as_ever() {
    let places = ["/head", "/request/inline", "/request/inline/messages/0", "/request/inline/messages/0/content/0"];
    check(&samples::job(), &[include_str!("../../golden/job.v1.hex")], &places);
    check(&samples::stored_job(), &[include_str!("../../golden/stored_job.v1.hex")], &["/request/stored"]);
    check(&samples::replayed_job(), &[include_str!("../../golden/replayed_job.v1.hex")], &["/head"]);
}

#[test]
fn a_record_is_stored_as_ever() {
    let places = ["/head", "/attempts/0", "/attempts/0/error", "/result", "/result/usage", "/result/context"];
    let golden = [
        include_str!("../../golden/job_state.v1.context.hex"),
        // From before the report told of cleared results, summaries and prefixes.
        include_str!("../../golden/job_state.v1.hex"),
    ];
    check(&samples::state(), &golden, &places);
}

#[test]
fn an_alert_is_stored_as_ever() {
    check(&samples::alert(), &[include_str!("../../golden/alert_event.v1.hex")], &[]);
}

/// One block of the file a frame.
#[test]
fn a_frame_is_stored_as_ever() {
    let golden: Vec<_> = include_str!("../../golden/frames.v1.hex").split("\n\n").collect();
    let frames = samples::frames();
    assert_eq!(frames.len(), golden.len());
    for (frame, golden) in frames.iter().zip(golden) {
        check(frame, &[golden], &["/delta"]);
    }
}

/// What the widening of the neutral form added, beside the samples from before it.
#[test]
fn what_was_added_for_other_wire_apis_is_stored_as_ever() {
    let places = ["/request/inline/sampling", "/request/inline/messages/0/content/0", "/request/inline/tools/0"];
    check(&samples_wide::job(), &[include_str!("../../golden/job_wide.v1.hex")], &places);
    let places = ["/result", "/result/usage", "/result/output/content/0"];
    check(&samples_wide::state(), &[include_str!("../../golden/job_state_wide.v1.hex")], &places);
    let golden: Vec<_> = include_str!("../../golden/frames_wide.v1.hex").split("\n\n").collect();
    let frames = samples_wide::frames();
    assert_eq!(frames.len(), golden.len());
    for (frame, golden) in frames.iter().zip(golden) {
        check(frame, &[golden], &["/delta"]);
    }
}

#[test]
fn what_was_added_for_pruning_is_stored_as_ever() {
    let golden = include_str!("../../golden/job_pruned.v1.hex");
    check(&samples_wide::pruned_job(), &[golden], &["/context", "/context/clear_tool_results"]);
    check(&samples_wide::pruned_state(), &[include_str!("../../golden/job_state_pruned.v1.hex")], &["/result/context"]);
}

#[test]
fn a_session_is_stored_as_ever() {
    let places = ["/turns/0", "/turns/0/messages/0", "/summary"];
    check(&samples_session::history(), &[include_str!("../../golden/session_history.v1.hex")], &places);
    check(&samples_session::queue(), &[include_str!("../../golden/session_queue.v1.hex")], &[]);
    let places = ["/result", "/result/kept"];
    check(&samples_session::state(), &[include_str!("../../golden/job_state_turn.v1.hex")], &places);
}

#[test]
fn what_was_added_for_summaries_is_stored_as_ever() {
    let golden = include_str!("../../golden/session_summed_up.v1.hex");
    check(&samples_session::summed_up(), &[golden], &["/summary", "/cut_summary", "/asked"]);
    let golden = include_str!("../../golden/job_summary.v1.hex");
    check(&samples_session::summary_job(), &[golden], &["/head", "/head/summarizes"]);
    let golden = include_str!("../../golden/job_state_told.v1.hex");
    check(&samples_session::told_state(), &[golden], &["/result", "/result/kept"]);
}

/// The wide samples have every field that the first ones leave out.
#[test]
fn no_field_of_the_neutral_form_is_without_a_sample() {
    let written = format!("{}{}", json(&samples_wide::job()), json(&samples_wide::state()));
    let fields = ["user", "reasoning_budget", "top_k", "logprobs", "top_logprobs", "cache_write_tokens", "redacted"];
    for field in fields.iter().chain(&["document", "title", "dialect", "signature"]) {
        assert!(written.contains(&format!("\"{field}\"")), "{field}");
    }
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn an_absent_field_has_its_default() {
    let mut earlier: Value = decode(&encode(&samples::state()).unwrap()).unwrap();
    let fields = earlier.as_object_mut().unwrap();
    for name in ["until", "reason", "started_at", "finished_at", "result"] {
        fields.remove(name);
    }
    let read: crate::state::JobState = decode(&encode(&earlier).unwrap()).unwrap();
    assert_eq!((read.until, read.result, read.head), (None, None, samples::state().head));
}

#[test]
fn what_cannot_be_read_says_why() {
    assert!(matches!(decode::<u8>(&[]), Err(EnvelopeError::Empty)));
    assert!(matches!(decode::<u8>(&[VERSION + 1, 0]), Err(EnvelopeError::Newer(2))));
    assert!(matches!(decode::<u8>(&[VERSION, 0xc1]), Err(EnvelopeError::Decode(_))));
}
