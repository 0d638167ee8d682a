//! What a client asked for that concerns its answer's form and the state that we keep, and not the model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::settings::ENCRYPTED;
use crate::job::Lane;

/// What a client asked for beyond the neutral request. Kept with the job, so that every later look at the answer tells
/// the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientOptions {
    /// Answer at once that it is queued; the client polls or resumes.
    pub background: bool,
    /// Keep the answer and its input for later requests. On unless said otherwise.
    pub store: bool,
    /// The answer that this request goes on from.
    pub previous_response_id: Option<String>,
    /// The id of the conversation that this request belongs to.
    pub conversation: Option<String>,
    /// `truncation: auto`: cut the conversation to fit, where the default is to refuse it.
    pub truncate: bool,
    /// What else the answer is to include.
    pub include: Vec<String>,
    /// The client's own labels.
    pub metadata: BTreeMap<String, String>,
    /// The request's instructions, which are its first message; a later request does not take them over.
    pub instructions: Option<String>,
    /// `service_tier` as the client wrote it.
    pub service_tier: Option<String>,
    /// The fields of the request that every answer repeats.
    pub echo: Map<String, Value>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            background: false,
            store: true,
            previous_response_id: None,
            conversation: None,
            truncate: false,
            include: Vec::new(),
            metadata: BTreeMap::new(),
            instructions: None,
            service_tier: None,
            echo: Map::new(),
        }
    }
}

/// Fields of a request that its answers repeat as they came, where they are not told otherwise below.
const ECHOED: [&str; 20] = [
    "access_programs",
    "context_management",
    "image",
    "max_output_tokens",
    "max_tool_calls",
    "moderation",
    "parallel_tool_calls",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
];

impl ClientOptions {
    /// What a request's `service_tier` says of its urgency; `None` leaves the client's default.
    #[must_use]
    pub fn lane(&self) -> Option<Lane> {
        match self.service_tier.as_deref()? {
            "priority" | "fast" | "ultrafast" => Some(Lane::High),
            "flex" => Some(Lane::Low),
            _ => None,
        }
    }

    /// Whether the client reads proofs of reasoning: it asked for them, or has nothing else to go on from.
    #[must_use]
    pub fn shows_proofs(&self) -> bool {
        !self.store || self.include.iter().any(|word| word == ENCRYPTED)
    }

    /// What every answer repeats of `body`, a client's request.
    pub(super) fn echo_of(body: &Value) -> Map<String, Value> {
        let told = |name: &&str| Some(((*name).to_owned(), body.get(*name).filter(|value| !value.is_null())?.clone()));
        let mut echo: Map<_, _> = ECHOED.iter().filter_map(told).collect();
        for tool in echo.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(tool) = tool.as_object_mut().filter(|tool| tool.get("type").is_some_and(|it| it == "function"))
            {
                tool.entry("description").or_insert(Value::Null);
                tool.entry("strict").or_insert(Value::Bool(true));
            }
        }
        for (name, inner, default) in
            [("text", "format", json!({"type": "text"})), ("reasoning", "effort", Value::Null)]
        {
            if let Some(object) = echo.get_mut(name).and_then(Value::as_object_mut) {
                object.entry(inner).or_insert(default);
            }
        }
        if let Some(reasoning) = echo.get_mut("reasoning").and_then(Value::as_object_mut) {
            reasoning.entry("summary").or_insert(Value::Null);
        }
        echo
    }

    /// The names of the tools that take free text.
    pub(super) fn custom_tools(&self) -> impl Iterator<Item = &str> {
        let tools = self.echo.get("tools").and_then(Value::as_array).into_iter().flatten();
        let custom = tools.filter(|tool| tool.get("type").is_some_and(|kind| kind == "custom"));
        custom.filter_map(|tool| tool.get("name")?.as_str())
    }

    /// All fields of an answer that repeat the request or its defaults.
    pub(super) fn repeated(&self) -> Map<String, Value> {
        let told = json!({
            "background": self.background,
            "instructions": self.instructions,
            "max_output_tokens": null,
            "max_tool_calls": null,
            "parallel_tool_calls": true,
            "previous_response_id": self.previous_response_id,
            "prompt_cache_key": null,
            "reasoning": {"effort": null, "summary": null},
            "safety_identifier": null,
            "service_tier": self.service_tier,
            "store": self.store,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": 0,
            "top_p": 1.0,
            "truncation": if self.truncate { "auto" } else { "disabled" },
            "user": null,
            "metadata": self.metadata,
        });
        let mut fields = if let Value::Object(fields) = told { fields } else { Map::new() };
        fields.extend(self.echo.clone());
        fields.extend(self.conversation.as_ref().map(|id| ("conversation".to_owned(), json!({"id": id}))));
        fields
    }
}
