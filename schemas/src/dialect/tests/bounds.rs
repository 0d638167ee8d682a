//! What no model of any dialect is asked for.

use serde_json::{Value, json};

use crate::catalog::Quirks;
use crate::chat::{ChatRequest, Message, Role, Sampling};
use crate::dialect::wire::Wire;

const WIRES: [(Wire, &str); 3] = [
    (Wire::OpenaiChat, "max_completion_tokens"),
    (Wire::OpenaiResponses, "max_output_tokens"),
    (Wire::Anthropic, "max_tokens"),
];

/// The body, and the codes and fields of the warnings.
fn sent(wire: Wire, sampling: &Sampling, quirks: &Quirks) -> (Value, Vec<String>) {
    let messages = vec![Message::text(Role::User, "hi")];
    let request = ChatRequest { messages, sampling: sampling.clone(), ..ChatRequest::default() };
    let (body, warnings) = wire.encode_request(&request, "m", quirks);
    let told = warnings.into_iter().map(|it| format!("{} {}", it.code, it.param.unwrap_or_default()));
    (body, told.collect())
}

fn limited(max_tokens: u32) -> Sampling {
    Sampling { max_tokens: Some(max_tokens), ..Sampling::default() }
}

#[test]
fn no_answer_is_asked_to_be_longer_than_the_model_can() {
    let quirks = Quirks { max_output: Some(4000), ..Quirks::default() };
    for (wire, field) in WIRES {
        let (body, told) = sent(wire, &limited(32_000), &quirks);
        assert_eq!((&body[field], told), (&json!(4000), vec!["clamped_field max_tokens".to_owned()]), "{wire:?}");
        for (asked, quirks) in [(4000, &quirks), (32_000, &Quirks::default())] {
            let (body, told) = sent(wire, &limited(asked), quirks);
            assert_eq!((&body[field], told), (&json!(asked), vec![]), "{wire:?}");
        }
    }
}

#[test]
fn the_responses_api_has_a_least_answer() {
    let (body, told) = sent(Wire::OpenaiResponses, &limited(15), &Quirks::default());
    assert_eq!((&body["max_output_tokens"], told), (&json!(16), vec!["clamped_field max_tokens".to_owned()]));
    let (body, told) = sent(Wire::OpenaiResponses, &limited(16), &Quirks::default());
    assert_eq!((&body["max_output_tokens"], told), (&json!(16), vec![]));
}

#[test]
fn an_api_that_demands_a_limit_is_sent_the_models() {
    let limit = |quirks: Quirks, sampling: &Sampling| {
        let (body, told) = sent(Wire::Anthropic, sampling, &quirks);
        assert_eq!(told, [""; 0]);
        (body["max_tokens"].clone(), body["thinking"]["budget_tokens"].clone())
    };
    let of = |max_output, default_max_tokens| Quirks { max_output, default_max_tokens, ..Quirks::default() };
    let silent = Sampling::default();
    assert_eq!(limit(of(None, None), &silent).0, 4096);
    assert_eq!(limit(of(Some(64_000), None), &silent).0, 64_000);
    assert_eq!(limit(of(Some(64_000), Some(9000)), &silent).0, 9000);
    assert_eq!(limit(of(Some(8000), Some(9000)), &silent).0, 8000);
    let thinking = Sampling { reasoning_budget: Some(30_000), ..Sampling::default() };
    assert_eq!(limit(of(Some(8000), None), &thinking), (json!(8000), json!(3999)));
}

/// The API refuses a budget that is not below the limit.
#[test]
fn a_lower_limit_lowers_the_budget_of_thinking() {
    let sampling = Sampling { reasoning_budget: Some(31_999), ..limited(32_000) };
    let (body, _) = sent(Wire::Anthropic, &sampling, &Quirks { max_output: Some(8192), ..Quirks::default() });
    assert_eq!((&body["max_tokens"], &body["thinking"]["budget_tokens"]), (&json!(8192), &json!(8191)));
    let (body, _) = sent(Wire::Anthropic, &sampling, &Quirks::default());
    assert_eq!(body["thinking"]["budget_tokens"], 31_999);
}

#[test]
fn a_model_without_efforts_is_sent_none() {
    let quirks = Quirks { no_reasoning_effort: true, ..Quirks::default() };
    let effort = Sampling { reasoning_effort: Some("high".to_owned()), ..Sampling::default() };
    let budget = Sampling { reasoning_budget: Some(5000), ..Sampling::default() };
    let none = Sampling { reasoning_effort: Some("none".to_owned()), ..Sampling::default() };
    for wire in [Wire::OpenaiChat, Wire::OpenaiResponses] {
        for (sampling, expected) in [
            (&effort, vec!["unsupported_field reasoning_effort".to_owned()]),
            (&budget, vec!["unsupported_field reasoning_budget".to_owned()]),
            (&none, vec![]),
        ] {
            let (body, told) = sent(wire, sampling, &quirks);
            assert_eq!(told, expected, "{wire:?}");
            assert!(["reasoning_effort", "reasoning", "include"].iter().all(|name| body[*name].is_null()), "{body}");
        }
        let (body, _) = sent(wire, &effort, &Quirks::default());
        assert!(body.to_string().contains("high"), "{body}");
    }
}
