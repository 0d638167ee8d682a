//! The order in which a model's providers are asked, by its strategy. Pure: what was observed, and chance, are arguments.

use std::time::Duration;

use schemas::catalog::{Candidate, Prices};
use schemas::strategy::Strategy;

/// Tokens read for one written, in the mix by which prices are compared: most requests read several times what they write.
const READ_FOR_WRITTEN: f64 = 3.0;

/// Puts `candidates`, which come by priority, in the order of `strategy`: it decides among those of equal priority.
/// `latency` is how long one took lately until it spoke, where that is known; `bits` are random.
#[must_use]
pub fn order<'a>(
    strategy: Strategy,
    candidates: Vec<Candidate<'a>>,
    latency: impl Fn(&Candidate<'a>) -> Option<Duration>,
    bits: u64,
) -> Vec<Candidate<'a>> {
    match strategy {
        Strategy::Priority | Strategy::Race => candidates,
        Strategy::Weighted => {
            let mut draws = Draws(bits);
            by(candidates, |candidate| turn(candidate.model.share(), draws.next()))
        }
        Strategy::LeastLatency => {
            by(candidates, |candidate| latency(candidate).map_or(-1.0, |latency| latency.as_secs_f64()))
        }
        Strategy::Cheapest => by(candidates, |candidate| mixed(candidate.model.prices()).unwrap_or(f64::INFINITY)),
    }
}

/// Least `key` first, among those of equal priority; those that are equal stay as they are.
fn by<'a>(candidates: Vec<Candidate<'a>>, mut key: impl FnMut(&Candidate<'a>) -> f64) -> Vec<Candidate<'a>> {
    let mut keyed: Vec<_> = candidates.into_iter().map(|candidate| (key(&candidate), candidate)).collect();
    keyed.sort_by(|(a, one), (b, other)| one.provider.priority.cmp(&other.provider.priority).then(a.total_cmp(b)));
    keyed.into_iter().map(|(_, candidate)| candidate).collect()
}

/// When a candidate of this weight comes, as the first event of a Poisson process: each comes first as often as its share
/// of the weights says, and so does each of the rest among the rest (Efraimidis and Spirakis, 2006).
fn turn(weight: u32, draw: f64) -> f64 {
    if weight == 0 { f64::INFINITY } else { -draw.ln() / f64::from(weight) }
}

/// The price of a typical request's million tokens; `None` without prices, which is not free.
fn mixed(prices: Prices) -> Option<f64> {
    let known = prices.input > 0.0 || prices.output > 0.0;
    known.then(|| prices.input.mul_add(READ_FOR_WRITTEN, prices.output) / (READ_FOR_WRITTEN + 1.0))
}

/// Numbers above 0 and up to 1, all from the same bits (SplitMix64).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The upper 53 bits are as many as a float holds.
        ((mixed >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use proptest::strategy::Strategy as Generator;
    use schemas::catalog::Catalog;
    use schemas::catalog_file;

    use super::*;

    const STRATEGIES: [Strategy; 5] =
        [Strategy::Priority, Strategy::Weighted, Strategy::LeastLatency, Strategy::Cheapest, Strategy::Race];

    /// Latencies in milliseconds, by provider.
    #[derive(Debug, Default)]
    struct Seen(HashMap<String, u64>);

    impl Seen {
        fn latency(&self, candidate: &Candidate<'_>) -> Option<Duration> {
            self.0.get(&candidate.provider.name).copied().map(Duration::from_millis)
        }
    }

    /// One provider: its priority, weight and prices, and its latency.
    type Sketch = (u32, u32, (f64, f64), Option<u64>);

    fn build(sketches: &[Sketch]) -> (Catalog, Seen) {
        let provider = |(index, (priority, weight, (input, output), _)): (usize, &Sketch)| {
            let model = format!("name = \"m\", strategy = \"weighted\", weight = {weight}");
            let prices = format!("input_price = {input:.3}, output_price = {output:.3}");
            format!(
                "[[provider]]\nname = \"p{index}\"\ndialect = \"echo\"\npriority = {priority}\nmodel = [{{ {model}, {prices} }}]\n"
            )
        };
        let file: String = sketches.iter().enumerate().map(provider).collect();
        let seen = sketches.iter().enumerate();
        let seen = seen.filter_map(|(index, (.., latency))| Some((format!("p{index}"), (*latency)?))).collect();
        (catalog_file::parse(&file, |_| None).unwrap(), Seen(seen))
    }

    fn ordered(strategy: Strategy, sketches: &[Sketch], bits: u64) -> Vec<String> {
        let (catalog, seen) = build(sketches);
        let found = order(strategy, catalog.candidates("m"), |candidate| seen.latency(candidate), bits);
        found.iter().map(|candidate| candidate.provider.name.clone()).collect()
    }

    fn sketch() -> impl Generator<Value = Sketch> {
        let price = prop_oneof![Just(0.0), 0.1..20.0_f64];
        (0..3_u32, 0..5_u32, (price.clone(), price), prop::option::of(1..5_000_u64))
    }

    #[test]
    fn the_cheapest_comes_first_and_the_unpriced_last() {
        let sketches =
            [(1, 1, (0.0, 0.0), None), (1, 1, (1.0, 9.0), None), (1, 1, (2.0, 5.0), None), (1, 1, (0.0, 0.4), None)];
        assert_eq!(ordered(Strategy::Cheapest, &sketches, 0), ["p3", "p2", "p1", "p0"]);
    }

    #[test]
    fn the_fastest_comes_first_once_all_are_measured() {
        let at = |latency| (1, 1, (0.0, 0.0), latency);
        let sketches = [at(Some(900)), at(Some(20)), at(None), at(Some(300))];
        assert_eq!(ordered(Strategy::LeastLatency, &sketches, 0), ["p2", "p1", "p3", "p0"]);
    }

    #[test]
    fn a_weight_of_zero_comes_last() {
        let at = |weight| (1, weight, (0.0, 0.0), None);
        for bits in 0..200 {
            assert_eq!(ordered(Strategy::Weighted, &[at(0), at(1), at(5)], bits)[2], "p0");
        }
    }

    #[test]
    fn each_comes_first_as_often_as_its_weight_says() {
        let at = |weight| (1, weight, (0.0, 0.0), None);
        let (catalog, seen) = build(&[at(6), at(3), at(1)]);
        let (mut first, mut second) = (HashMap::new(), HashMap::new());
        // Neighbouring seeds: the worst that a generator can be given.
        for bits in 0..20_000 {
            let found = order(Strategy::Weighted, catalog.candidates("m"), |candidate| seen.latency(candidate), bits);
            *first.entry(found[0].provider.name.clone()).or_insert(0_i32) += 1;
            if found[0].provider.name == "p0" {
                *second.entry(found[1].provider.name.clone()).or_insert(0_i32) += 1;
            }
        }
        // Five standard deviations are 350 and 240.
        for (counts, name, expected) in
            [(&first, "p0", 12_000), (&first, "p1", 6_000), (&first, "p2", 2_000), (&second, "p1", 9_000)]
        {
            assert!((counts[name] - expected).abs() < 350, "{name}: {counts:?}");
        }
    }

    proptest! {
        #[test]
        fn nobody_is_lost_or_added_and_priorities_hold(
            sketches in prop::collection::vec(sketch(), 1..8),
            bits in any::<u64>(),
        ) {
            let (catalog, seen) = build(&sketches);
            for strategy in STRATEGIES {
                let found = order(strategy, catalog.candidates("m"), |candidate| seen.latency(candidate), bits);
                prop_assert!(found.is_sorted_by_key(|candidate| candidate.provider.priority), "{strategy}");
                let mut names: Vec<_> = found.iter().map(|candidate| candidate.provider.name.as_str()).collect();
                names.sort_unstable();
                let mut all: Vec<_> = catalog.providers.iter().map(|provider| provider.name.as_str()).collect();
                all.sort_unstable();
                prop_assert_eq!(names, all);
            }
        }

        #[test]
        fn the_same_bits_give_the_same_order(sketches in prop::collection::vec(sketch(), 1..8), bits in any::<u64>()) {
            for strategy in STRATEGIES {
                prop_assert_eq!(ordered(strategy, &sketches, bits), ordered(strategy, &sketches, bits));
            }
        }
    }
}
