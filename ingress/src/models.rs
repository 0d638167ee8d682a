//! The models that clients may name, as the providers file lists them.

use std::collections::{BTreeMap, BTreeSet};

use schemas::catalog::Catalog;

/// Names shown in an error message.
const SHOWN: usize = 20;

/// Whether anyone serves `name`, itself, by a pattern, or in place of another vendor's model of its size.
pub(crate) fn is_served(catalog: &Catalog, name: &str) -> bool {
    !catalog.candidates(name).is_empty()
}

/// Who serves `name` first.
pub(crate) fn owner(catalog: &Catalog, name: &str) -> Option<String> {
    catalog.candidates(name).first().map(|candidate| candidate.provider.name.clone())
}

/// Every model of a name of its own, with the provider that is tried first.
pub(crate) fn named(catalog: &Catalog) -> BTreeMap<&str, String> {
    names(catalog).filter(|name| !is_pattern(name)).filter_map(|name| Some((name, owner(catalog, name)?))).collect()
}

/// The patterns under which further names are served, such as `gpt-*`.
pub(crate) fn patterns(catalog: &Catalog) -> BTreeSet<&str> {
    names(catalog).filter(|name| is_pattern(name)).collect()
}

/// Some names and patterns, for an error message.
pub(crate) fn summary(catalog: &Catalog) -> String {
    let all: BTreeSet<&str> = names(catalog).collect();
    let shown: Vec<&str> = all.iter().copied().take(SHOWN).collect();
    match all.len().saturating_sub(shown.len()) {
        0 if shown.is_empty() => "none".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn names(catalog: &Catalog) -> impl Iterator<Item = &str> {
    catalog.providers.iter().flat_map(|provider| &provider.models).map(|model| model.name.as_str())
}

fn is_pattern(name: &str) -> bool {
    name.ends_with('*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let text = r#"
            [[provider]]
            name = "second"
            dialect = "openai_chat"
            priority = 200
            model = [{ name = "gpt-4o" }, { name = "gpt-*" }]
            [[provider]]
            name = "first"
            dialect = "openai_chat"
            model = [{ name = "gpt-4o" }]
            tiers = { big = "gpt-4o" }
        "#;
        toml::from_str(text).unwrap()
    }

    #[test]
    fn names_patterns_and_owners() {
        let catalog = catalog();
        assert_eq!(named(&catalog), BTreeMap::from([("gpt-4o", "first".to_owned())]));
        assert_eq!(patterns(&catalog), BTreeSet::from(["gpt-*"]));
        assert_eq!(owner(&catalog, "gpt-5").as_deref(), Some("second"));
        assert_eq!(owner(&catalog, "claude-opus-4").as_deref(), Some("first"));
        assert_eq!(owner(&catalog, "llama"), None);
        assert_eq!(summary(&catalog), "gpt-*, gpt-4o");
        assert_eq!(summary(&Catalog::default()), "none");
    }
}
