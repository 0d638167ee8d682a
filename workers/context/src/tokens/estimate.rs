//! Estimates of a tokenizer that is not compiled in, from how another one cuts the text.

use super::encoding::Encoding;
use super::features::COLUMNS;

/// An estimate: features of a text's tokens by `encoding`, each times its coefficient in millionths.
pub(super) struct Estimate {
    pub(super) encoding: Encoding,
    pub(super) coefficients: [u32; COLUMNS],
}

impl Estimate {
    /// Tokens of `text`, about.
    pub(super) fn count(&self, text: &str) -> u64 {
        self.encoding.features(text).weigh(&self.coefficients)
    }
}
