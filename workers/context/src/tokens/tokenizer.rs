//! How one model counts: its encoding, or the nearest there is, and the costs around the text.

use super::calibration::Calibration;
use super::encoding::Encoding;

/// How a model's tokens are counted. A value, cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tokenizer {
    /// What text costs.
    pub text: TextRule,
    /// Tokens around one message, its role included.
    pub frame: u32,
    /// Tokens around one tool call in an assistant's message, beside its name and arguments.
    pub tool_call: u32,
    /// What tools cost.
    pub tools: ToolRule,
    /// What a picture costs.
    pub images: ImageRule,
}

/// What text costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextRule {
    /// The tokens of the model's own encoding.
    Exact(Encoding),
    /// An estimate fitted to the tokenizer of a family.
    Calibrated {
        /// The family.
        by: Calibration,
        /// Tokens of the model for each hundred of that tokenizer: 100, unless the model is a later one of the family.
        percent: u32,
    },
    /// The tokens of the nearest encoding, times a factor: a guess, where no tokenizer could be had.
    Scaled {
        /// The nearest encoding.
        encoding: Encoding,
        /// Tokens of the model for each hundred of it.
        percent: u32,
    },
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
    /// Whether text counts exactly; else what providers report can make the count better.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        matches!(self.text, TextRule::Exact(_))
    }

    /// How far a count may be too low, in hundredths: what to keep free of a window so that what is said to fit does.
    /// Guesses err upwards already.
    #[must_use]
    pub const fn margin(&self) -> u32 {
        match self.text {
            TextRule::Exact(_) | TextRule::Scaled { .. } => 0,
            TextRule::Calibrated { .. } => 5,
        }
    }

    /// Tokens of `text`.
    #[must_use]
    pub fn text(&self, text: &str) -> u64 {
        match self.text {
            TextRule::Exact(encoding) => encoding.count(text),
            TextRule::Calibrated { by, percent } => scale(by.count(text), percent),
            TextRule::Scaled { encoding, percent } => scale(encoding.count(text), percent),
        }
    }
}

/// Rounded up.
fn scale(tokens: u64, percent: u32) -> u64 {
    tokens.saturating_mul(u64::from(percent)).div_ceil(100)
}
