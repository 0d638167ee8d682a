//! What providers report beside what was estimated, by provider and model: later estimates are corrected by it. Known to
//! this process alone, and learnt anew by the next.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use broker::Plan;
use context::{Correction, Factor};

/// Most models that are remembered. Where clients name any model of a provider, the longest unused one makes room.
const MOST: usize = 1024;

/// The corrections of all models.
#[derive(Debug, Default)]
pub(crate) struct Estimates(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    models: HashMap<(String, String), Entry>,
    answers: u64,
}

#[derive(Debug, Default)]
struct Entry {
    correction: Correction,
    /// The number of the answer that was heard last.
    heard: u64,
}

impl Estimates {
    /// What estimates for this model at this provider are to be multiplied by.
    pub(crate) fn factor(&self, provider: &str, model: &str) -> Factor {
        let known = self.lock();
        let entry = known.models.get(&(provider.to_owned(), model.to_owned()));
        entry.map_or(Factor::ONE, |entry| entry.correction.factor())
    }

    /// Takes in what was estimated for one request, uncorrected, and what its provider counted; what follows from it.
    pub(crate) fn observe(&self, plan: &Plan, estimated: u64, reported: u64) -> Factor {
        let mut known = self.lock();
        let known = &mut *known;
        let key = (plan.provider.clone(), plan.model.clone());
        if known.models.len() >= MOST && !known.models.contains_key(&key) {
            known.forget_one();
        }
        known.answers += 1;
        let entry = known.models.entry(key).or_default();
        entry.heard = known.answers;
        entry.correction.observe(estimated, reported);
        entry.correction.factor()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget_one(&mut self) {
        let oldest = self.models.iter().min_by_key(|(_, entry)| entry.heard).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.models.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(model: &str) -> Plan {
        Plan { provider: "p".to_owned(), model: model.to_owned() }
    }

    #[test]
    fn each_model_has_its_own_correction() {
        let estimates = Estimates::default();
        for _ in 0..10 {
            estimates.observe(&plan("a"), 1000, 1300);
            estimates.observe(&plan("b"), 1000, 900);
        }
        let ratios = ["a", "b", "c"].map(|model| estimates.factor("p", model).ratio());
        assert_eq!(ratios, [1.3, 0.9, 1.0]);
        assert_eq!(estimates.factor("q", "a"), Factor::ONE, "another provider may count otherwise");
    }

    #[test]
    fn the_longest_unused_model_makes_room() {
        let estimates = Estimates::default();
        for model in ["kept", "gone"].repeat(8) {
            estimates.observe(&plan(model), 1000, 1300);
        }
        for n in 0..MOST {
            estimates.observe(&plan("kept"), 1000, 1300);
            estimates.observe(&plan(&format!("other-{n}")), 1000, 1000);
            assert!(estimates.lock().models.len() <= MOST);
        }
        assert_eq!(estimates.factor("p", "kept").ratio(), 1.3);
        assert_eq!(estimates.factor("p", "gone"), Factor::ONE);
    }
}
