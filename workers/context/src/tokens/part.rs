//! What there is to count, piece by piece.

use super::tokenizer::Tokenizer;

/// A part of what is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    /// Text that the tokenizer must read.
    Text(&'a str),
    /// A cost that is known already.
    Tokens(u64),
}

impl Part<'_> {
    /// What it costs.
    pub(super) fn tokens(self, tokenizer: &Tokenizer) -> u64 {
        match self {
            Self::Text(text) => tokenizer.text(text),
            Self::Tokens(tokens) => tokens,
        }
    }
}
