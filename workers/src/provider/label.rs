//! Models as labels of series: a label is a name from the providers file, never one that a client made up.

use std::collections::HashMap;

use schemas::catalog::{Catalog, Model};

/// A model that no provider of the file has.
const OTHER: &str = "other";

/// The names, by provider.
#[derive(Debug, Default)]
pub(super) struct Labels(HashMap<String, Vec<Name>>);

/// What a model of the file is called at its provider.
#[derive(Debug)]
enum Name {
    Whole(String),
    /// As the client calls it: anything that begins as this pattern does before its `*`.
    Pattern(String),
}

impl Labels {
    /// Those of `catalog`.
    #[must_use]
    pub(super) fn of(catalog: &Catalog) -> Self {
        let names = |models: &[Model]| models.iter().map(Name::of).collect();
        Self(catalog.providers.iter().map(|provider| (provider.name.clone(), names(&provider.models))).collect())
    }

    /// The label of the model that `provider` calls `upstream`: the same, or the pattern that it is served by.
    #[must_use]
    pub(super) fn model<'a>(&'a self, provider: &str, upstream: &'a str) -> &'a str {
        let names = self.0.get(provider).map(Vec::as_slice).unwrap_or_default();
        let whole = names.iter().any(|name| matches!(name, Name::Whole(name) if name == upstream));
        let pattern = names.iter().find_map(|name| match name {
            Name::Pattern(name) => upstream.starts_with(name.trim_end_matches('*')).then_some(name.as_str()),
            Name::Whole(_) => None,
        });
        if whole { upstream } else { pattern.unwrap_or(OTHER) }
    }
}

impl Name {
    fn of(model: &Model) -> Self {
        match &model.upstream {
            Some(upstream) => Self::Whole(upstream.clone()),
            None if model.name.ends_with('*') => Self::Pattern(model.name.clone()),
            None => Self::Whole(model.name.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::catalog_file;

    use super::*;

    const FILE: &str = r#"
        provider = [
            { name = "a", dialect = "echo", model = [{ name = "gpt-4*" }, { name = "gpt-4o" }, { name = "x*", upstream = "y" }] },
            { name = "b", dialect = "echo", model = [{ name = "*" }] },
        ]
    "#;

    #[test]
    fn a_label_is_always_a_name_of_the_file() {
        let labels = Labels::of(&catalog_file::parse(FILE, |_| None).unwrap());
        for (provider, upstream, label) in [
            ("a", "gpt-4o", "gpt-4o"),
            ("a", "gpt-4-made-up", "gpt-4*"),
            ("a", "y", "y"),
            ("a", "x1", "other"),
            ("b", "anything", "*"),
            ("c", "gpt-4o", "other"),
        ] {
            assert_eq!(labels.model(provider, upstream), label, "{provider} {upstream}");
        }
    }
}
