//! Settings by dotted path, as trees of JSON values.

use std::collections::BTreeMap;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use serde_json::{Map, Value};

use super::error::ConfigError;

/// The embedded defaults, which are the reference manual too.
pub const DEFAULT: &str = include_str!("default.toml");

/// Below this likeness a name is another name, not a misspelt one.
const ALIKE: f64 = 0.4;

/// One setting that someone made.
pub(super) struct Setting {
    /// Dotted.
    pub(super) path: String,
    pub(super) value: Value,
}

/// The embedded defaults.
pub(super) struct Known {
    /// As a tree, to walk beside another.
    pub(super) tree: Value,
    /// By dotted path.
    pub(super) settings: BTreeMap<String, Value>,
    /// As the bottom layer.
    pub(super) layer: Figment,
}

impl Known {
    pub(super) fn embedded() -> Result<Self, ConfigError> {
        let layer = Figment::from(Toml::string(DEFAULT));
        let tree: Value = layer.extract().map_err(|error| ConfigError::Embedded(Box::new(error)))?;
        Ok(Self { settings: leaves(&tree), tree, layer })
    }

    /// The defaults with `settings` over them.
    pub(super) fn with<'a>(&self, settings: impl IntoIterator<Item = &'a Setting>) -> Figment {
        let mut tree = Value::Object(Map::new());
        for setting in settings {
            insert(&mut tree, &setting.path, setting.value.clone());
        }
        self.layer.clone().merge(Serialized::defaults(tree))
    }
}

/// The settings of a tree: all that is no table, by dotted path.
pub(super) fn leaves(tree: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    walk("", tree, &mut |path, value| {
        found.insert(path.to_owned(), value.clone());
    });
    found
}

fn walk(path: &str, value: &Value, found: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(table) => table.iter().for_each(|(name, value)| walk(&join(path, name), value, found)),
        leaf => found(path, leaf),
    }
}

fn insert(tree: &mut Value, path: &str, value: Value) {
    let mut place = tree;
    for name in path.split('.') {
        place = &mut place[name];
    }
    *place = value;
}

/// `section` and `field` as `section.field`.
pub(super) fn join(section: &str, field: &str) -> String {
    if section.is_empty() { field.to_owned() } else { format!("{section}.{field}") }
}

/// The candidate most like `name`, if any is like it.
pub(super) fn nearest(name: &str, candidates: impl IntoIterator<Item = String>) -> Option<String> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, &candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}
