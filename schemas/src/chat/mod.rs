//! The provider-neutral conversation: what a client asked and what a model answered, whatever wire API either speaks.
//! What this does not model is carried in `extra` and reaches a provider of the same dialect unchanged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod block;

pub use block::{Block, DocumentSource, ImageSource, Reasoning, ToolCall, ToolResult};

/// Fields that one dialect knows and the neutral form does not, by that dialect's own names.
pub type Extra = Map<String, Value>;

/// One chat request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatRequest {
    /// The model name as the client wrote it.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Tools that the model may call.
    pub tools: Vec<Tool>,
    /// Whether and which tool must be called.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called in one answer.
    pub parallel_tool_calls: Option<bool>,
    /// How to sample.
    pub sampling: Sampling,
    /// The form that the answer must have.
    pub response_format: Option<ResponseFormat>,
    /// The client wants tokens while they are made.
    pub stream: bool,
    /// Who asks the client, by a name that tells the provider nothing else; for its abuse checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Fields outside the neutral form, by the name of their dialect (`openai_chat`, ...).
    pub extra: BTreeMap<String, Extra>,
}

/// How the next tokens are chosen. `None` leaves the provider's default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Randomness, 0 to 2.
    pub temperature: Option<f64>,
    /// Nucleus mass, 0 to 1.
    pub top_p: Option<f64>,
    /// Most tokens of the answer.
    pub max_tokens: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Seed for repeatable answers, where the provider has one.
    pub seed: Option<i64>,
    /// Penalty on tokens already present, -2 to 2.
    pub presence_penalty: Option<f64>,
    /// Penalty by how often a token appeared, -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// How hard to reason: `minimal`, `low`, `medium`, `high`, or the provider's own word.
    pub reasoning_effort: Option<String>,
    /// Most tokens to reason with; 0 asks for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_budget: Option<u32>,
    /// Choose among this many of the likeliest tokens only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Tell the log probability of each token of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// Tell so many of the likeliest tokens at each place, 0 to 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u32>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Standing instructions, named `system` on the wire.
    System,
    /// Standing instructions, named `developer` on the wire.
    Developer,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The outcome of a tool call.
    Tool,
}

impl Role {
    /// Whether this message holds standing instructions.
    #[must_use]
    pub const fn is_system(self) -> bool {
        matches!(self, Self::System | Self::Developer)
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    #[serde(default)]
    pub content: Vec<Block>,
    /// The speaker's name, where the dialect has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Fields outside the neutral form, by their dialect's names.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Extra,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, content: vec![Block::text(text)], name: None, extra: Extra::new() }
    }

    /// All text blocks, joined with nothing between.
    #[must_use]
    pub fn joined_text(&self) -> String {
        self.content.iter().filter_map(Block::as_text).collect()
    }
}

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does and when to call it.
    pub description: Option<String>,
    /// JSON schema of its arguments.
    pub parameters: Option<Value>,
    /// Arguments must follow the schema exactly.
    pub strict: Option<bool>,
    /// Fields outside the neutral form.
    pub extra: Extra,
}

/// Whether and which tool must be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// Some tool.
    Required,
    /// This tool.
    Named(String),
}

/// The form that the answer must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Free text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// What it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The JSON schema.
        schema: Value,
        /// Follow it exactly.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatResponse {
    /// The provider's own id of the answer.
    #[serde(default)]
    pub id: Option<String>,
    /// The model that the provider says it used.
    pub model: String,
    /// The assistant's message.
    pub message: Message,
    /// Why it stopped.
    pub finish: FinishReason,
    /// Tokens, when the provider told them.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// The log probability of each token, in the form that both of OpenAI's APIs share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logprobs: Vec<Value>,
    /// Fields outside the neutral form, by their dialect (`system_fingerprint`, `stop_sequence`, ...).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Extra,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It was done, or met a stop text.
    Stop,
    /// The token limit was reached: the job is `incomplete`.
    Length,
    /// It waits for tool results.
    ToolCalls,
    /// A filter cut it: the job is `incomplete`.
    ContentFilter,
}

/// Tokens of one call, as billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// Of the tokens read, those served from the provider's prompt cache.
    pub cached_tokens: u64,
    /// Of the tokens written, those spent on reasoning.
    pub reasoning_tokens: u64,
    /// Of the tokens read, those written to the provider's prompt cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// Tokens read and written.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}
