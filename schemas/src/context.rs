//! How a conversation that is too long is made to fit: what a request may ask for, and what a model has by default.

use serde::{Deserialize, Serialize};

/// The fields of [`ContextOptions`], for whoever refuses others.
pub const FIELDS: [&str; 6] = ["strategy", "budget", "keep_recent", "clear_tool_results", "summarize", "low_water"];

/// The fields of [`ClearOptions`].
pub const CLEAR_FIELDS: [&str; 5] = ["keep", "exclude_tools", "clear_inputs", "at_least", "trigger"];

/// Most tools that one request may exclude from clearing.
pub const MOST_TOOLS: usize = 128;

/// Most characters of the name of each.
pub const LONGEST_TOOL: usize = 128;

/// Whether a cut may leave this share of the budget filled.
#[must_use]
pub fn is_low_water(share: f64) -> bool {
    share > 0.0 && share <= 1.0
}

/// How a request's context is pruned; `None` leaves the model's default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContextOptions {
    /// `auto` (prune to fit) or `disabled` (refuse what does not fit).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<ContextStrategy>,
    /// Most input tokens; never above the model's window less its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<u32>,
    /// The turns of so many newest messages are left alone for as long as the budget allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_recent: Option<u32>,
    /// Whether old tool results make room before turns do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear_tool_results: Option<ClearToolResults>,
    /// Whether the session's summary stands in for what was dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summarize: Option<bool>,
    /// The share of the budget that a cut leaves filled, above 0 and at most 1: the lower, the longer the cut stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_water: Option<f64>,
}

/// What to do with a conversation that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextStrategy {
    /// Prune it to fit.
    Auto,
    /// Refuse it.
    Disabled,
}

/// Whether and how old tool results make room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "no such value, expected a boolean or a table")]
pub enum ClearToolResults {
    /// As by default, or not at all.
    Switch(bool),
    /// So.
    With(ClearOptions),
}

/// How old tool results make room; `None` leaves the default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClearOptions {
    /// So many newest tool uses are never cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
    /// Results of these tools are never cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_tools: Option<Vec<String>>,
    /// The arguments of the calls are cleared too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear_inputs: Option<bool>,
    /// Nothing is cleared unless it saves so many tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u32>,
    /// All but the kept are cleared above so many input tokens, though the budget is larger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<u32>,
}

impl ContextOptions {
    /// These, and `defaults` where they say nothing.
    #[must_use]
    pub fn or(self, defaults: &Self) -> Self {
        Self {
            strategy: self.strategy.or(defaults.strategy),
            budget: self.budget.or(defaults.budget),
            keep_recent: self.keep_recent.or(defaults.keep_recent),
            clear_tool_results: match (self.clear_tool_results, &defaults.clear_tool_results) {
                (Some(own), Some(default)) => Some(own.or(default)),
                (own, default) => own.or_else(|| default.clone()),
            },
            summarize: self.summarize.or(defaults.summarize),
            low_water: self.low_water.or(defaults.low_water),
        }
    }
}

impl ClearToolResults {
    fn or(self, defaults: &Self) -> Self {
        match (self, defaults) {
            (Self::Switch(true), Self::With(defaults)) => Self::With(defaults.clone()),
            (Self::With(own), Self::With(defaults)) => Self::With(own.or(defaults)),
            (own, _) => own,
        }
    }

    /// What is asked for; `None` when nothing is to be cleared.
    #[must_use]
    pub fn options(self) -> Option<ClearOptions> {
        match self {
            Self::Switch(on) => on.then(ClearOptions::default),
            Self::With(options) => Some(options),
        }
    }
}

impl ClearOptions {
    fn or(self, defaults: &Self) -> Self {
        Self {
            keep: self.keep.or(defaults.keep),
            exclude_tools: self.exclude_tools.or_else(|| defaults.exclude_tools.clone()),
            clear_inputs: self.clear_inputs.or(defaults.clear_inputs),
            at_least: self.at_least.or(defaults.at_least),
            trigger: self.trigger.or(defaults.trigger),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(json: serde_json::Value) -> ContextOptions {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_a_request_leaves_open_its_model_says() {
        let model = options(json!({"budget": 9, "low_water": 0.5, "clear_tool_results": {"keep": 1, "trigger": 7}}));
        let own = options(json!({"budget": 4, "clear_tool_results": {"keep": 2}}));
        let both = options(json!({"budget": 4, "low_water": 0.5, "clear_tool_results": {"keep": 2, "trigger": 7}}));
        assert_eq!(own.or(&model), both);
        assert_eq!(ContextOptions::default().or(&model), model);
    }

    #[test]
    fn clearing_is_switched_on_with_the_defaults_and_off_against_them() {
        let model = options(json!({"clear_tool_results": {"keep": 1}}));
        assert_eq!(options(json!({"clear_tool_results": true})).or(&model), model);
        let off = options(json!({"clear_tool_results": false}));
        assert_eq!(off.clone().or(&model).clear_tool_results.unwrap().options(), None);
        let on = options(json!({"clear_tool_results": {}}));
        assert_eq!(on.or(&off).clear_tool_results.unwrap().options(), Some(ClearOptions::default()));
    }

    #[test]
    fn the_lists_of_fields_are_whole() {
        let clear = json!({"keep": 1, "exclude_tools": [], "clear_inputs": true, "at_least": 1, "trigger": 1});
        let all = json!({
            "strategy": "auto", "budget": 1, "keep_recent": 1, "clear_tool_results": clear, "summarize": true,
            "low_water": 0.5,
        });
        assert_eq!(serde_json::to_value(options(all.clone())).unwrap(), all);
        assert!(all.as_object().unwrap().keys().eq(FIELDS));
        assert!(clear.as_object().unwrap().keys().eq(CLEAR_FIELDS));
    }
}
