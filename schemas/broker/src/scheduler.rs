//! Which lane is served next when slots are few: smooth weighted round robin, pure. None starves.

/// Lanes with their weights, and what each is owed.
#[derive(Debug, Clone)]
pub struct Scheduler {
    weights: Vec<i64>,
    owed: Vec<i64>,
}

impl Scheduler {
    /// One entry a lane; a weight of 0 counts as 1.
    #[must_use]
    pub fn new(weights: &[u32]) -> Self {
        let weights: Vec<_> = weights.iter().map(|weight| i64::from(*weight).max(1)).collect();
        let owed = vec![0; weights.len()];
        Self { weights, owed }
    }

    /// The lane to serve next among those that are `ready`, or `None` when none is.
    pub fn next(&mut self, ready: &[bool]) -> Option<usize> {
        let lanes = || (0..self.weights.len()).filter(|lane| ready.get(*lane).copied().unwrap_or(false));
        let total: i64 = lanes().map(|lane| self.weights[lane]).sum();
        let chosen = lanes().max_by_key(|lane| (self.owed[*lane] + self.weights[*lane], std::cmp::Reverse(*lane)))?;
        for lane in lanes().collect::<Vec<_>>() {
            self.owed[lane] += self.weights[lane];
        }
        self.owed[chosen] -= total;
        Some(chosen)
    }

    /// How many of `free` slots one fetch for `lane` may take while others are ready too.
    #[must_use]
    pub fn share(&self, lane: usize, free: usize, ready: &[bool]) -> usize {
        let total: i64 = self.weights.iter().zip(ready).filter(|(_, ready)| **ready).map(|(weight, _)| weight).sum();
        let part = free as i64 * self.weights[lane] / total.max(1);
        usize::try_from(part).unwrap_or(1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn full_lanes_are_served_by_weight() {
        let mut scheduler = Scheduler::new(&[8, 4, 1]);
        let mut served = [0; 3];
        for _ in 0..13 * 10 {
            served[scheduler.next(&[true; 3]).unwrap()] += 1;
        }
        assert_eq!(served, [80, 40, 10]);
    }

    proptest! {
        #[test]
        fn none_starves(weights in prop::collection::vec(0_u32..50, 1..5), turns in prop::collection::vec(any::<u8>(), 1..300)) {
            let mut scheduler = Scheduler::new(&weights);
            let total: u32 = weights.iter().map(|weight| (*weight).max(1)).sum();
            let mut waited = vec![0_u32; weights.len()];
            for bits in turns {
                let ready: Vec<_> = (0..weights.len()).map(|lane| bits & (1 << lane) != 0 || lane == 0).collect();
                let chosen = scheduler.next(&ready).unwrap();
                prop_assert!(ready[chosen]);
                for lane in 0..weights.len() {
                    waited[lane] = if lane == chosen { 0 } else { waited[lane] + u32::from(ready[lane]) };
                    prop_assert!(waited[lane] <= 4 * total + 8);
                }
            }
            prop_assert_eq!(scheduler.next(&vec![false; weights.len()]), None);
        }
    }
}
