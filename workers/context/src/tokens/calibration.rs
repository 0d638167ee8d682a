//! Families of models whose tokenizer could be had, though not as one to be compiled in: their counts are estimated from
//! the features of a text by coefficients that `tests/bench/calibrate.py` fitted.

use super::coefficients as fitted;
use super::estimate::Estimate;

/// Whose tokenizer an estimate was fitted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Calibration {
    /// Claude's, as the Python SDK had it up to 0.38.0.
    Claude,
    /// Mistral's first, with 32,768 tokens (`mistral-common`, v3).
    MistralV3,
    /// Mistral's second, "tekken", with 131,072 tokens.
    MistralTekken,
    /// That of Llama 3.
    Llama3,
    /// That of Llama 4.
    Llama4,
    /// Qwen's.
    Qwen,
    /// DeepSeek's, of V3 and R1.
    DeepSeek,
}

impl Calibration {
    /// Tokens of `text`, about.
    pub(super) fn count(self, text: &str) -> u64 {
        self.estimate().count(text)
    }

    const fn estimate(self) -> &'static Estimate {
        match self {
            Self::Claude => &fitted::CLAUDE,
            Self::MistralV3 => &fitted::MISTRAL_V3,
            Self::MistralTekken => &fitted::MISTRAL_TEKKEN,
            Self::Llama3 => &fitted::LLAMA_3,
            Self::Llama4 => &fitted::LLAMA_4,
            Self::Qwen => &fitted::QWEN,
            Self::DeepSeek => &fitted::DEEPSEEK,
        }
    }
}
