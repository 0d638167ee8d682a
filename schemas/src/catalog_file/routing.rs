//! Whether all entries of one model agree on how its providers are put in order.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use crate::catalog::{Candidate, Catalog, Model};
use crate::routing::Routing;
use crate::strategy::Strategy;

/// A fault for every name whose entries do not make sense together. Entries overlap through `*` and tiers, so it is
/// looked at by the names that clients may send: each name of the file, something behind each `*`, and each tier.
pub(super) fn faults(catalog: &Catalog) -> Vec<String> {
    let names = catalog.providers.iter().flat_map(|provider| &provider.models).map(|model| model.name.as_str());
    let names: BTreeSet<_> = names.chain(["*opus*", "*sonnet*", "*haiku*"]).collect();
    let faults = |name: &&str| -> Vec<String> {
        // No file's name holds this character, so that it lies behind the `*` alone.
        let candidates = catalog.candidates(&name.replace('*', "\u{1}"));
        of_name(&candidates).into_iter().map(|fault| format!("model {name}: {fault}")).collect()
    };
    names.iter().flat_map(faults).collect()
}

fn of_name(candidates: &[Candidate<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    faults.extend(differing(candidates, "strategy", |model| model.strategy));
    faults.extend(differing(candidates, "hedge_after", |model| model.hedge_after.map(Shown)));
    let strategy = Routing::of(candidates).strategy;
    let names = |told: fn(&Model) -> bool| candidates.iter().any(|candidate| told(candidate.model));
    let hedged = names(|model| model.hedge_after.is_some());
    if hedged != (strategy == Strategy::Race) {
        faults.push("`hedge_after` and the strategy race go together".to_owned());
    }
    if names(|model| model.hedge_after.is_some_and(|after| after.is_zero())) {
        faults.push("`hedge_after` must be above 0".to_owned());
    }
    if strategy != Strategy::Weighted && names(|model| model.weight.is_some()) {
        faults.push("`weight` says something under the strategy weighted only".to_owned());
    }
    faults
}

/// The first two entries that name different values.
fn differing<T: PartialEq + Display>(
    candidates: &[Candidate<'_>],
    field: &str,
    value: impl Fn(&Model) -> Option<T>,
) -> Option<String> {
    let mut named = candidates.iter().filter_map(|one| Some((one.provider.name.as_str(), value(one.model)?)));
    let (first, wanted) = named.next()?;
    let (second, other) = named.find(|(_, other)| *other != wanted)?;
    Some(format!("`{field}` is {wanted} at provider {first} and {other} at provider {second}"))
}

/// A duration as an operator reads it.
#[derive(PartialEq)]
struct Shown(Duration);

impl Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    fn told(models: [&str; 2]) -> Vec<String> {
        let [one, two] = models;
        let file = format!(
            r#"
            [[provider]]
            name = "one"
            dialect = "echo"
            model = [{one}]
            [[provider]]
            name = "two"
            dialect = "echo"
            model = [{two}]
            "#
        );
        parse(&file, |_| None).err().unwrap_or_default()
    }

    #[test]
    fn entries_that_disagree_are_refused_by_name() {
        let faults = told([r#"{name = "m", strategy = "weighted"}"#, r#"{name = "m", strategy = "cheapest"}"#]);
        assert_eq!(faults, ["model m: `strategy` is weighted at provider one and cheapest at provider two"]);
        let faults = told([r#"{name = "m-1*", strategy = "weighted"}"#, r#"{name = "m-*", strategy = "cheapest"}"#]);
        assert_eq!(faults, ["model m-1*: `strategy` is weighted at provider one and cheapest at provider two"]);
        let race = |after: &str| format!(r#"{{name = "m", strategy = "race", hedge_after = "{after}"}}"#);
        let faults = told([&race("2s"), &race("1s 500ms")]);
        assert_eq!(faults, ["model m: `hedge_after` is 2s at provider one and 1.5s at provider two"]);
        assert_eq!(told([&race("0s"), r#"{name = "m"}"#]), ["model m: `hedge_after` must be above 0"]);
    }

    #[test]
    fn entries_that_another_hides_do_not_matter() {
        let one = r#"{name = "m", strategy = "weighted", weight = 3}, {name = "*", strategy = "priority"}"#;
        assert_eq!(told([one, r#"{name = "m", weight = 0}"#]), [""; 0]);
    }

    #[test]
    fn what_the_strategy_has_no_use_for_is_refused() {
        let faults = told([r#"{name = "m", weight = 2}"#, r#"{name = "n", strategy = "race"}"#]);
        insta::assert_snapshot!(faults.join("\n"), @r"
        model m: `weight` says something under the strategy weighted only
        model n: `hedge_after` and the strategy race go together
        ");
    }

    #[test]
    fn tiers_are_models_too() {
        let file = r#"
            provider = [
                { name = "a", dialect = "echo", tiers = { big = "m" }, model = [{ name = "m", strategy = "weighted" }] },
                { name = "b", dialect = "echo", tiers = { big = "n" }, model = [{ name = "n", strategy = "cheapest" }] },
            ]
        "#;
        let faults = parse(file, |_| None).unwrap_err();
        assert_eq!(faults, ["model *opus*: `strategy` is weighted at provider a and cheapest at provider b"]);
    }
}
