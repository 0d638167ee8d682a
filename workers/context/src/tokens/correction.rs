//! How far estimates are off, learnt from what a provider reports: the median ratio of its last answers. It is applied
//! in steps, and only when it has moved by a whole one: each change shifts every count, and with them where a
//! conversation is cut, which costs the provider's prompt cache.

use std::collections::VecDeque;

/// Answers looked back on. Older ones are forgotten.
const WINDOW: usize = 32;
/// Answers needed before a ratio is believed.
const LEAST: usize = 8;
/// Requests of fewer tokens say more of what stands around a text than of the text.
const SMALL: u64 = 200;
/// The step, in hundredths.
const STEP: u32 = 2;
/// The ratios that are believed, in thousandths: beyond them something else is wrong.
const BELIEVED: std::ops::RangeInclusive<u64> = 500..=2000;

/// What estimates are multiplied by, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor(u32);

impl Factor {
    /// No change.
    pub const ONE: Self = Self(100);

    /// `tokens` times this, rounded to the nearest.
    #[must_use]
    pub const fn apply(self, tokens: u64) -> u64 {
        if self.0 == Self::ONE.0 {
            return tokens;
        }
        (tokens.saturating_mul(self.0 as u64).saturating_add(50)) / 100
    }

    /// What was before [`Self::apply`], about.
    #[must_use]
    pub const fn undo(self, tokens: u64) -> u64 {
        tokens.saturating_mul(100) / self.0 as u64
    }

    /// As a number: 1 is no change.
    #[must_use]
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// What one model's provider reported beside what was estimated.
#[derive(Debug, Clone)]
pub struct Correction {
    /// In thousandths, newest last.
    ratios: VecDeque<u64>,
    factor: Factor,
}

impl Default for Correction {
    fn default() -> Self {
        Self { ratios: VecDeque::with_capacity(WINDOW), factor: Factor::ONE }
    }
}

impl Correction {
    /// Takes in one answer: the input that was estimated, uncorrected, and what the provider counted, cached tokens
    /// included.
    pub fn observe(&mut self, estimated: u64, reported: u64) {
        if estimated < SMALL || reported == 0 {
            return;
        }
        let ratio = reported.saturating_mul(1000) / estimated;
        if self.ratios.len() == WINDOW {
            self.ratios.pop_front();
        }
        self.ratios.push_back(ratio.clamp(*BELIEVED.start(), *BELIEVED.end()));
        if self.ratios.len() >= LEAST {
            self.follow();
        }
    }

    /// What estimates are to be multiplied by now.
    #[must_use]
    pub const fn factor(&self) -> Factor {
        self.factor
    }

    fn follow(&mut self) {
        let mut sorted: Vec<u64> = self.ratios.iter().copied().collect();
        sorted.sort_unstable();
        let median = u32::try_from(sorted[sorted.len() / 2]).unwrap_or(Factor::ONE.0 * 10);
        if median.abs_diff(self.factor.0 * 10) >= STEP * 10 {
            self.factor = Factor((median + STEP * 5) / (STEP * 10) * STEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(ratios: impl IntoIterator<Item = u64>) -> Correction {
        let mut correction = Correction::default();
        ratios.into_iter().for_each(|ratio| correction.observe(1000, ratio));
        correction
    }

    #[test]
    fn a_few_answers_change_nothing() {
        assert_eq!(after([1300; LEAST - 1]).factor(), Factor::ONE);
        assert_eq!(after([1300; LEAST]).factor(), Factor(130));
    }

    #[test]
    fn outliers_change_nothing() {
        let mixed = (0..WINDOW as u64).map(|n| if n % 3 == 0 { 90_000 } else { 1100 });
        assert_eq!(after(mixed).factor(), Factor(110));
    }

    #[test]
    fn nonsense_is_clamped_and_small_requests_are_not_heard() {
        assert_eq!(after([u64::MAX; WINDOW]).factor(), Factor(200));
        assert_eq!(after([1; WINDOW]).factor(), Factor(50));
        let mut correction = Correction::default();
        for _ in 0..WINDOW {
            correction.observe(SMALL - 1, 1000);
            correction.observe(1000, 0);
        }
        assert_eq!(correction.factor(), Factor::ONE);
    }

    #[test]
    fn it_moves_by_whole_steps_only() {
        let mut correction = after([1100; WINDOW]);
        for drift in [1095, 1105, 1090, 1115, 1119, 1081] {
            (0..WINDOW).for_each(|_| correction.observe(1000, drift));
            assert_eq!(correction.factor(), Factor(110), "{drift}");
        }
        (0..WINDOW).for_each(|_| correction.observe(1000, 1120));
        assert_eq!(correction.factor(), Factor(112));
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut correction = after([1500; 10 * WINDOW]);
        (0..WINDOW).for_each(|_| correction.observe(1000, 900));
        assert_eq!(correction.factor(), Factor(90));
    }

    proptest! {
        #[test]
        fn a_corrected_estimate_is_within_a_step_of_what_is_reported(ratio in 500_u64..2000, tokens in 1000_u64..100_000) {
            let factor = after([ratio; LEAST]).factor();
            let (corrected, reported) = (factor.apply(tokens), tokens * ratio / 1000);
            prop_assert!(corrected.abs_diff(reported) * 1000 <= tokens * 21, "{corrected} for {reported}");
            prop_assert!(factor.undo(corrected).abs_diff(tokens) <= 2);
        }
    }
}
