//! `context_management`: what is carried out here, what stays, what is told.

use serde_json::{Value, json};

use crate::catalog::Quirks;
use crate::chat::Extra;
use crate::context::ContextOptions;
use crate::dialect::anthropic::{Decoded, decode_request, encode_request, tell_cleared};
use crate::error::Failure;
use crate::state::ContextReport;

fn with(edits: &Value) -> Result<Decoded, Failure> {
    decode_request(json!({
        "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
        "context_management": {"edits": edits},
    }))
}

fn options(value: Value) -> ContextOptions {
    serde_json::from_value(value).unwrap()
}

/// What a provider of this API is sent of it.
fn sent(decoded: &Decoded) -> Value {
    encode_request(&decoded.request, "m", &Quirks::default()).0["context_management"].take()
}

#[test]
fn an_edit_that_clears_tool_uses_is_carried_out_here() {
    let decoded = with(&json!([{"type": "clear_tool_uses_20250919"}])).unwrap();
    let defaults = json!({"clear_tool_results": {"keep": 3, "trigger": 100_000}});
    assert_eq!((decoded.context.clone(), sent(&decoded)), (options(defaults), Value::Null));
    assert_eq!((decoded.warnings, decoded.unknown), (vec![], vec![]));
    let decoded = with(&json!([{
        "type": "clear_tool_uses_20250919", "trigger": {"type": "input_tokens", "value": 30_000},
        "keep": {"type": "tool_uses", "value": 0}, "clear_at_least": {"type": "input_tokens", "value": 5000},
        "exclude_tools": ["memory"], "clear_tool_inputs": true,
    }]));
    let clear = json!({
        "keep": 0, "trigger": 30_000, "at_least": 5000, "exclude_tools": ["memory"], "clear_inputs": true,
    });
    assert_eq!(decoded.unwrap().context, options(json!({"clear_tool_results": clear})));
    assert_eq!(with(&json!([])).unwrap().context, ContextOptions::default());
}

#[test]
fn other_edits_stay_for_a_provider_of_this_api() {
    let thinking = json!({"type": "clear_thinking_20251015", "keep": "all"});
    let decoded = with(&json!([thinking, {"type": "clear_tool_uses_20250919"}, {"type": "compact_20260112"}])).unwrap();
    assert_eq!(sent(&decoded), json!({"edits": [thinking, {"type": "compact_20260112"}]}));
    assert!(decoded.context.clear_tool_results.is_some() && decoded.warnings.is_empty());
}

#[test]
fn what_cannot_be_carried_out_is_told() {
    let decoded = with(&json!([{
        "type": "clear_tool_uses_20250919", "trigger": {"type": "tool_uses", "value": 5}, "clear_tool_inputs": ["a"],
        "mood": 1,
    }]));
    let decoded = decoded.unwrap();
    assert_eq!(decoded.context, options(json!({"clear_tool_results": {"keep": 3, "clear_inputs": false}})));
    let params: Vec<_> = decoded.warnings.iter().filter_map(|warning| warning.param.as_deref()).collect();
    let edit = "context_management.edits[0]";
    assert_eq!(params, ["clear_tool_inputs", "trigger", "mood"].map(|name| format!("{edit}.{name}")));
    assert_eq!(decoded.unknown, [format!("{edit}.mood")]);
}

#[test]
fn a_wrong_edit_is_refused_by_its_path() {
    let edit = |name: &str, value: Value| json!([{"type": "clear_tool_uses_20250919", name: value}]);
    for (edits, path) in [
        (json!(7), ""),
        (json!([7]), "[0]"),
        (json!([{}]), "[0].type"),
        (edit("trigger", json!({"type": "turns", "value": 1})), "[0].trigger.type"),
        (edit("keep", json!({"type": "tool_uses", "value": -1})), "[0].keep.value"),
        (edit("clear_at_least", json!({"type": "input_tokens"})), "[0].clear_at_least.value"),
        (edit("exclude_tools", json!([1])), "[0].exclude_tools[0]"),
        (edit("exclude_tools", json!(["a", "b".repeat(129)])), "[0].exclude_tools[1]"),
        (edit("exclude_tools", json!(vec!["a"; 129])), "[0].exclude_tools"),
        (edit("clear_tool_inputs", json!(1)), "[0].clear_tool_inputs"),
    ] {
        assert_eq!(with(&edits).unwrap_err().param, Some(format!("context_management.edits{path}")));
    }
}

#[test]
fn edits_of_the_provider_and_ours_are_told_together() {
    let thinking = json!({"type": "clear_thinking_20251015", "cleared_thinking_turns": 1, "cleared_input_tokens": 9});
    let told = json!({"container": {"id": "c"}, "context_management": {"applied_edits": [thinking]}});
    let mut extra = Extra::from_iter([("anthropic".to_owned(), told.clone())]);
    tell_cleared(&mut extra, &ContextReport::default());
    assert_eq!(extra["anthropic"], told);
    tell_cleared(&mut extra, &ContextReport { tool_results_cleared: 2, tokens_cleared: 70, ..Default::default() });
    let ours = json!({"type": "clear_tool_uses_20250919", "cleared_tool_uses": 2, "cleared_input_tokens": 70});
    assert_eq!(extra["anthropic"]["context_management"], json!({"applied_edits": [thinking, ours]}));
    assert_eq!(extra["anthropic"]["container"], json!({"id": "c"}));
}
