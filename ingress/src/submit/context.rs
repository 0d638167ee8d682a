//! The field `context` of a native submit: every option of pruning, each refused by its path when it is wrong.

use schemas::context::{
    CLEAR_FIELDS, ClearOptions, ClearToolResults, ContextOptions, ContextStrategy, FIELDS, LONGEST_TOOL, MOST_TOOLS,
    is_low_water,
};
use schemas::error::Failure;
use serde_json::Value;

use super::fields::{expected, string};
use super::unknown::refuse_unknown;

/// What the field asks for.
pub(super) fn context(value: &Value) -> Result<ContextOptions, Failure> {
    let mut options = ContextOptions::default();
    for (name, value) in fields("context", value, &FIELDS)? {
        let path = format!("context.{name}");
        match name.as_str() {
            "strategy" => options.strategy = Some(strategy(&path, value)?),
            "budget" => options.budget = Some(number(&path, value, 1, "a positive number of tokens")?),
            "keep_recent" => options.keep_recent = Some(number(&path, value, 0, "a number of messages")?),
            "clear_tool_results" => options.clear_tool_results = Some(clear(&path, value)?),
            "summarize" => options.summarize = Some(boolean(&path, value)?),
            _ => options.low_water = Some(low_water(&path, value)?),
        }
    }
    Ok(options)
}

fn clear(path: &str, value: &Value) -> Result<ClearToolResults, Failure> {
    if let Some(on) = value.as_bool() {
        return Ok(ClearToolResults::Switch(on));
    }
    if !value.is_object() {
        return Err(expected(path, "a boolean or an object", value));
    }
    let mut options = ClearOptions::default();
    for (name, value) in fields(path, value, &CLEAR_FIELDS)? {
        let path = format!("{path}.{name}");
        match name.as_str() {
            "keep" => options.keep = Some(number(&path, value, 0, "a number of tool uses")?),
            "exclude_tools" => options.exclude_tools = Some(tools(&path, value)?),
            "clear_inputs" => options.clear_inputs = Some(boolean(&path, value)?),
            "at_least" => options.at_least = Some(number(&path, value, 0, "a number of tokens")?),
            _ => options.trigger = Some(number(&path, value, 0, "a number of tokens")?),
        }
    }
    Ok(ClearToolResults::With(options))
}

/// The fields of an object that may have no others than `known`; those that are null are as good as absent.
fn fields<'a>(
    path: &str,
    value: &'a Value,
    known: &[&str],
) -> Result<impl Iterator<Item = (&'a String, &'a Value)> + use<'a>, Failure> {
    let Value::Object(object) = value else { return Err(expected(path, "an object", value)) };
    refuse_unknown(path, object, known.iter())?;
    Ok(object.iter().filter(|(_, value)| !value.is_null()))
}

fn strategy(path: &str, value: &Value) -> Result<ContextStrategy, Failure> {
    match string(path, value)? {
        "auto" => Ok(ContextStrategy::Auto),
        "disabled" => Ok(ContextStrategy::Disabled),
        _ => Err(Failure::invalid(path, "expected one of auto, disabled")),
    }
}

fn number(path: &str, value: &Value, least: u32, what: &str) -> Result<u32, Failure> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| *number >= least);
    number.ok_or_else(|| expected(path, what, value))
}

fn boolean(path: &str, value: &Value) -> Result<bool, Failure> {
    value.as_bool().ok_or_else(|| expected(path, "a boolean", value))
}

fn low_water(path: &str, value: &Value) -> Result<f64, Failure> {
    let share = value.as_f64().filter(|share| is_low_water(*share));
    share.ok_or_else(|| expected(path, "a number above 0 and at most 1", value))
}

fn tools(path: &str, value: &Value) -> Result<Vec<String>, Failure> {
    let names = value.as_array().ok_or_else(|| expected(path, "an array of tools' names", value))?;
    if names.len() > MOST_TOOLS {
        return Err(Failure::invalid(path, format!("expected at most {MOST_TOOLS} tools, found {}", names.len())));
    }
    let tool = |(index, name): (usize, &Value)| {
        let path = format!("{path}[{index}]");
        let name = string(&path, name)?;
        if name.chars().count() > LONGEST_TOOL {
            return Err(Failure::invalid(path, format!("expected at most {LONGEST_TOOL} characters")));
        }
        Ok(name.to_owned())
    };
    names.iter().enumerate().map(tool).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_option_is_read() {
        let clear = json!({"keep": 0, "exclude_tools": ["memory"], "clear_inputs": true, "at_least": 9, "trigger": 90});
        let body = json!({
            "strategy": "disabled", "budget": 8000, "keep_recent": 0, "clear_tool_results": clear, "summarize": false,
            "low_water": 0.5,
        });
        assert_eq!(serde_json::to_value(context(&body).unwrap()).unwrap(), body);
        let off = json!({"clear_tool_results": false, "low_water": 1, "budget": null});
        let read = context(&off).unwrap();
        assert_eq!(read.clear_tool_results, Some(ClearToolResults::Switch(false)));
        assert_eq!((read.low_water, read.budget), (Some(1.0), None));
        assert_eq!(context(&json!({})).unwrap(), ContextOptions::default());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (body, path) in [
            (json!([]), "context"),
            (json!({"strategy": "some"}), "context.strategy"),
            (json!({"budget": 0}), "context.budget"),
            (json!({"budget": 4_294_967_296_u64}), "context.budget"),
            (json!({"keep_recent": -1}), "context.keep_recent"),
            (json!({"summarize": "yes"}), "context.summarize"),
            (json!({"low_water": 0}), "context.low_water"),
            (json!({"low_water": 1.01}), "context.low_water"),
            (json!({"clear_tool_results": 3}), "context.clear_tool_results"),
            (json!({"clear_tool_results": {"keep": 0.5}}), "context.clear_tool_results.keep"),
            (json!({"clear_tool_results": {"clear_inputs": 1}}), "context.clear_tool_results.clear_inputs"),
            (json!({"clear_tool_results": {"exclude_tools": "a"}}), "context.clear_tool_results.exclude_tools"),
            (json!({"clear_tool_results": {"exclude_tools": ["a", 1]}}), "context.clear_tool_results.exclude_tools[1]"),
        ] {
            assert_eq!(context(&body).unwrap_err().param.as_deref(), Some(path), "{body}");
        }
        let failure = context(&json!({"clear_tool_results": 3})).unwrap_err();
        assert_eq!(failure.message, "context.clear_tool_results: expected a boolean or an object, found 3");
    }

    #[test]
    fn an_unknown_option_is_named_with_what_was_meant() {
        let failure = context(&json!({"low_watr": 1})).unwrap_err();
        assert_eq!(failure.message, "context.low_watr: unknown field: did you mean low_water?");
        let failure = context(&json!({"clear_tool_results": {"excluded_tools": []}})).unwrap_err();
        assert_eq!(
            failure.message,
            "context.clear_tool_results.excluded_tools: unknown field: did you mean exclude_tools?"
        );
        let failure = context(&json!({"x".repeat(1000): 1})).unwrap_err();
        assert_eq!(failure.param.unwrap().len(), "context.".len() + 64);
    }
}
