//! What is cheap to know of a text once it is cut into tokens: how many there are of each kind, how long and how rare
//! they are. A calibrated estimate of another tokenizer's count is a sum of these, each times a coefficient.

use super::kind::{KINDS, Kind};

/// Tokens of a lower number are common. Numbers are given in the order in which tokens were found worth having, so that
/// one far above this is likely to be two or three for a smaller vocabulary.
const COMMON: f64 = 16_384.0;
/// Rarity is counted in sixteenths of a doubling of the number.
const RARITY: f64 = 16.0;

/// How many numbers describe a text.
pub const COLUMNS: usize = 3 * KINDS;

/// Tokens of each kind in a text, then characters in them, then their rarity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features(pub [u64; COLUMNS]);

impl Default for Features {
    fn default() -> Self {
        Self([0; COLUMNS])
    }
}

impl Features {
    /// Adds tokens that stand side by side.
    pub(super) fn extend<'a>(&mut self, tokens: impl Iterator<Item = &'a Shape>) {
        let mut before = Kind::Blank;
        for Shape { kind, length, rarity } in tokens {
            let kind = if (before, *kind) == (Kind::Digits, Kind::Digits) { Kind::MoreDigits } else { *kind };
            before = if kind == Kind::MoreDigits { Kind::Digits } else { kind };
            let column = kind as usize;
            self.0[column] += 1;
            self.0[KINDS + column] += u64::from(*length);
            self.0[2 * KINDS + column] += u64::from(*rarity);
        }
    }

    /// Adds `tokens` of no kind in particular.
    pub(super) const fn add(&mut self, tokens: u64) {
        self.0[Kind::Sign as usize] += tokens;
        self.0[KINDS + Kind::Sign as usize] += tokens;
    }

    /// The sum of these, each times its coefficient in millionths; rounded, and no less than one for a text.
    pub(super) fn weigh(&self, coefficients: &[u32; COLUMNS]) -> u64 {
        let weighed = self.0.iter().zip(coefficients).map(|(count, by)| count.saturating_mul(u64::from(*by)));
        let sum = weighed.fold(0, u64::saturating_add);
        let least = u64::from(self.0.iter().any(|count| *count > 0));
        (sum.saturating_add(500_000) / 1_000_000).max(least)
    }
}

/// A token's kind, characters and rarity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    kind: Kind,
    length: u8,
    rarity: u8,
}

impl Shape {
    /// That of the token with this number.
    pub(super) fn of(number: u32, token: &[u8]) -> Self {
        let (kind, length) = Kind::of(token);
        let rarity = ((f64::from(number) + 1.0) / COMMON).log2() * RARITY;
        // A conversion from float saturates: what is common has no rarity.
        Self { kind, length: u8::try_from(length).unwrap_or(u8::MAX), rarity: rarity.round() as u8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Encoding;

    #[test]
    fn further_digits_of_a_number_are_a_kind_of_their_own() {
        let features = Encoding::O200kBase.features("1234567 1");
        assert_eq!((features.0[Kind::Digits as usize], features.0[Kind::MoreDigits as usize]), (2, 2));
        assert_eq!(features.0[KINDS + Kind::MoreDigits as usize], 4);
    }

    #[test]
    fn a_text_weighs_at_least_one() {
        assert_eq!(Encoding::O200kBase.features("a").weigh(&[0; COLUMNS]), 1);
        assert_eq!(Features::default().weigh(&[u32::MAX; COLUMNS]), 0);
        assert_eq!(Features([u64::MAX; COLUMNS]).weigh(&[u32::MAX; COLUMNS]), u64::MAX / 1_000_000);
    }
}
