//! How one model counts: its encoding and the costs around the text.

use schemas::catalog::Model;

use super::encoding::Encoding;
use super::families;

/// How a model's tokens are counted. A value, cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tokenizer {
    /// The encoding of text, or the nearest there is.
    pub encoding: Encoding,
    /// Tokens for each hundred of that encoding; 100 where the encoding is the model's own.
    pub percent: u32,
    /// Tokens around one message, its role included.
    pub frame: u32,
    /// Tokens around one tool call in an assistant's message, beside its name and arguments.
    pub tool_call: u32,
    /// What tools cost.
    pub tools: ToolRule,
    /// What a picture costs.
    pub images: ImageRule,
}

/// What the tools of a request cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ToolRule {
    /// The formula of OpenAI's cookbook, with its cost of opening one function.
    Cookbook {
        /// 7 from GPT-4o on, 10 before.
        function: u32,
    },
    /// Their JSON text, as chat templates render it.
    Json {
        /// Tokens of the instructions that come with tools.
        base: u32,
    },
}

/// What a picture costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageRule {
    /// OpenAI's larger models: a base, and a cost for each square of 512 pixels after scaling.
    Tiles {
        /// The base; all that low detail costs.
        base: u32,
        /// Each square.
        tile: u32,
    },
    /// OpenAI's smaller models: squares of 32 pixels, 1536 at most, times a factor.
    Patches {
        /// Tokens for a hundred squares.
        percent: u32,
    },
    /// Anthropic's: one token for 750 pixels, up to a limit.
    Area {
        /// Most tokens of a picture.
        most: u32,
    },
    /// The same for every picture.
    Flat {
        /// Tokens of a picture.
        tokens: u32,
    },
}

impl Tokenizer {
    /// How `model` counts under its name `upstream` at its provider. `Model.encoding` overrules what the name says of
    /// the text and makes it exact.
    #[must_use]
    pub fn of_model(model: &Model, upstream: &str) -> Self {
        let family = families::of_name(upstream);
        match model.encoding.as_deref().and_then(Encoding::by_name) {
            Some(encoding) => Self { encoding, percent: 100, ..family },
            None => family,
        }
    }

    /// How a model counts, by its name alone.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        families::of_name(name)
    }

    /// Tokens of `text`.
    #[must_use]
    pub fn text(&self, text: &str) -> u64 {
        self.scale(self.encoding.count(text))
    }

    /// From tokens of the encoding to tokens of the model, rounded up.
    pub(super) fn scale(&self, tokens: u64) -> u64 {
        tokens.saturating_mul(u64::from(self.percent)).div_ceil(100)
    }
}
