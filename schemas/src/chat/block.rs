//! What a message is made of: text, pictures, documents, tool calls and their results, reasoning.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Extra;

/// One piece of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Plain text.
    Text {
        /// The text.
        text: String,
        /// Fields outside the neutral form.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        extra: Extra,
    },
    /// A picture.
    Image {
        /// Where it is.
        source: ImageSource,
        /// How closely to look: `low`, `high`, `auto`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// Fields outside the neutral form.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        extra: Extra,
    },
    /// A document: a PDF, a text.
    Document {
        /// Where it is.
        source: DocumentSource,
        /// Its title or file name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// Fields outside the neutral form.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        extra: Extra,
    },
    /// The model asks for a tool. Only in assistant messages.
    ToolCall(ToolCall),
    /// What a tool answered. Only in tool messages.
    ToolResult(ToolResult),
    /// The model's reasoning. Only in assistant messages.
    Reasoning(Reasoning),
    /// The model declines to answer.
    Refusal {
        /// Why.
        text: String,
    },
    /// A block that only `dialect` knows (audio, a file), carried unchanged.
    Opaque {
        /// The dialect it came from.
        dialect: String,
        /// The block as it came.
        value: Value,
    },
}

impl Block {
    /// A text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), extra: Extra::new() }
    }

    /// The text, when it is a text block.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// What the model thought before it spoke.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reasoning {
    /// What it says, empty where the provider hides it.
    pub text: String,
    /// The provider's proof that it is unchanged (a signature, or its encrypted form), sent back as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The dialect of the provider that can read the proof. Another one is never sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// The provider's own id of it, where its dialect has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The provider hides all of it: the proof is all there is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
    /// Fields outside the neutral form.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Extra,
}

impl Reasoning {
    /// Reasoning without any proof.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// Where a document is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DocumentSource {
    /// The provider fetches it.
    Url {
        /// An http or https address.
        url: String,
    },
    /// It travels with the request.
    Base64 {
        /// For example `application/pdf`.
        media_type: String,
        /// Standard base64.
        data: String,
    },
    /// Plain text that travels with the request.
    Text {
        /// The text.
        text: String,
    },
}

/// Where a picture is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ImageSource {
    /// The provider fetches it.
    Url {
        /// An http or https address.
        url: String,
    },
    /// It travels with the request.
    Base64 {
        /// For example `image/png`.
        media_type: String,
        /// Standard base64.
        data: String,
    },
}

/// The model asks for a tool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ToolCall {
    /// Names this call in its result.
    pub id: String,
    /// The tool.
    pub name: String,
    /// JSON text as the model wrote it; not promised to be valid.
    pub arguments: String,
    /// Fields outside the neutral form.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Extra,
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The call that this answers.
    pub tool_call_id: String,
    /// The answer: text, and images where the dialect allows.
    pub content: Vec<Block>,
    /// The tool failed.
    #[serde(default)]
    pub is_error: bool,
    /// Fields outside the neutral form.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Extra,
}
