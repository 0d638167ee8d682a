//! How a model's providers are put in order, as the entries of the providers file say it together.

use std::time::Duration;

use crate::catalog::{Candidate, Catalog, Model};
use crate::strategy::Strategy;

/// What the entries of one model say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Routing {
    /// The order of those of equal priority.
    pub strategy: Strategy,
    /// How long one may be silent before another is asked beside it; `None` is never.
    pub hedge_after: Option<Duration>,
}

impl Routing {
    /// What `candidates`, all that serve one model, agree on: those that say nothing follow those that do.
    #[must_use]
    pub fn of(candidates: &[Candidate<'_>]) -> Self {
        let mut models = candidates.iter().map(|candidate| candidate.model);
        let strategy = models.clone().find_map(|model| model.strategy).unwrap_or_default();
        let hedge_after = models.find_map(|model| model.hedge_after).filter(|_| strategy == Strategy::Race);
        Self { strategy, hedge_after }
    }
}

impl Catalog {
    /// How those are routed who serve `name`.
    #[must_use]
    pub fn routing(&self, name: &str) -> Routing {
        Routing::of(&self.candidates(name))
    }
}

impl Model {
    /// Its share under [`Strategy::Weighted`]; 1 when unset.
    #[must_use]
    pub fn share(&self) -> u32 {
        self.weight.unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog_file;

    #[test]
    fn entries_that_say_nothing_follow_those_that_do() {
        let file = r#"
            provider = [
                { name = "a", dialect = "echo", model = [{ name = "m" }, { name = "n*" }] },
                { name = "b", dialect = "echo", model = [{ name = "m", strategy = "race", hedge_after = "1500ms" }] },
            ]
        "#;
        let catalog = catalog_file::parse(file, |_| None).unwrap();
        let race = Routing { strategy: Strategy::Race, hedge_after: Some(Duration::from_millis(1500)) };
        assert_eq!((catalog.routing("m"), catalog.routing("next")), (race, Routing::default()));
        assert_eq!(catalog.routing("nobody"), Routing::default());
    }
}
