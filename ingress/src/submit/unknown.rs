//! Fields that we do not know, and which one was probably meant.

use schemas::error::Failure;
use serde_json::{Map, Value};

/// Names further apart than this are no typing errors.
const FARTHEST: usize = 3;
/// Bytes of an unknown name beyond which nothing is suggested, and characters of it that an answer shows. The distance
/// takes the product of both lengths, and a name is as long as a body may be.
const LONGEST_NAME: usize = 64;

/// Refuses a field of the object at `path` (the body itself where that is empty) that is not among `names`.
pub(super) fn refuse_unknown<'a>(
    path: &str,
    object: &Map<String, Value>,
    names: impl Iterator<Item = &'a &'a str> + Clone,
) -> Result<(), Failure> {
    let Some(name) = object.keys().find(|name| !names.clone().any(|known| known == name)) else { return Ok(()) };
    let shown: String = name.chars().take(LONGEST_NAME).collect();
    let param = if path.is_empty() { shown } else { format!("{path}.{shown}") };
    Err(Failure::invalid(param, message(name, names)))
}

fn message<'a>(name: &str, names: impl Iterator<Item = &'a &'a str>) -> String {
    let short = name.len() <= LONGEST_NAME;
    let nearest = names.filter(|_| short).map(|known| (strsim::levenshtein(name, known), *known)).min();
    match nearest {
        Some((distance, meant)) if distance <= FARTHEST && distance < meant.len() => {
            format!("unknown field: did you mean {meant}?")
        }
        _ => "unknown field".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_compared_with_nothing() {
        let known = "x".repeat(LONGEST_NAME);
        let said = |name: &str| message(name, [&known.as_str()].into_iter());
        assert_eq!(said(&known[1..]), format!("unknown field: did you mean {known}?"));
        assert_eq!(said(&format!("{known}x")), "unknown field");
    }
}
