//! JSON of a dialect's own names and words, put together in any way.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

/// Values whose fields have these `names` and whose texts are these `words`, among others.
pub(in crate::dialect) fn jumble(names: Vec<&'static str>, words: Vec<&'static str>) -> impl Strategy<Value = Value> {
    let name = prop::sample::select(names);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_u8..3).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(words).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name.clone(), inner), 0..6)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

/// Puts `new` in the place number `at` of `value`, counted depth first; gives it back when there are fewer places.
pub(in crate::dialect) fn replace(value: &mut Value, at: &mut usize, new: Value) -> Option<Value> {
    if *at == 0 {
        *value = new;
        return None;
    }
    *at -= 1;
    let inner: Vec<_> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => Vec::new(),
    };
    inner.into_iter().try_fold(new, |new, place| replace(place, at, new))
}
