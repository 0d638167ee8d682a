//! A row of bars: how a measured value went lately, in as many characters as there are values. Pure.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One bar for each value, the lowest and the highest of them at the ends of the scale. Nothing for fewer than two, since
/// one says nothing of its course; what is no number has no bar.
pub(crate) fn bars(values: impl Iterator<Item = f64>) -> Option<String> {
    let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (values.len() > 1).then(|| values.iter().map(|value| bar(*value, low, high)).collect())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share from 0 to 1 of 7, and `as` saturates"
)]
fn bar(value: f64, low: f64, high: f64) -> char {
    // Halved, so that the span of any two numbers is a number.
    let span = high / 2.0 - low / 2.0;
    let share = if span > 0.0 { (value / 2.0 - low / 2.0) / span } else { 0.5 };
    BARS[((share * 7.0).round() as usize).min(7)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_course_of_a_value_is_seen() {
        assert_eq!(bars([1.0, 2.0, 3.0, 8.0, 8.0, 1.0].into_iter()).as_deref(), Some("▁▂▃██▁"));
        assert_eq!(bars([5.0, 5.0].into_iter()).as_deref(), Some("▅▅"));
        assert_eq!(bars([5.0].into_iter()), None);
        assert_eq!(bars([f64::NAN, 1.0, f64::INFINITY, 2.0].into_iter()).as_deref(), Some("▁█"));
    }

    proptest! {
        #[test]
        fn any_values_have_bars(values in prop::collection::vec(prop::num::f64::NORMAL, 2..40)) {
            let bars = bars(values.iter().copied()).unwrap();
            prop_assert_eq!(bars.chars().count(), values.len());
            let highest = values.iter().position(|value| values.iter().all(|other| other <= value)).unwrap();
            prop_assert!(values.iter().all(|value| *value == values[0]) || bars.chars().nth(highest) == Some('█'));
        }
    }
}
