//! Ids of items: made of the answer's id and the item's place, so that whoever writes the same answer names them alike.

use crate::id::JobId;

/// What the ids of an answer share: `resp_X` and its items are of the suffix `X`.
pub(super) fn suffix(response_id: &str) -> &str {
    response_id.strip_prefix("resp_").unwrap_or(response_id)
}

/// The id of the item in place `index` of an answer's output.
pub(super) fn of_output(prefix: &str, suffix: &str, index: usize) -> String {
    format!("{prefix}_{suffix}_{index}")
}

/// The id of the item in place `index` of a request's input; never that of an output item.
pub(super) fn of_input(prefix: &str, suffix: &str, index: usize) -> String {
    format!("{prefix}_{suffix}_i{index}")
}

/// `id` if a provider gave it; our own say nothing to a provider.
pub(super) fn foreign(id: String) -> Option<String> {
    Some(id).filter(|id| !id.is_empty() && !is_ours(id))
}

/// Whether we made `id` for an item.
pub(super) fn is_ours(id: &str) -> bool {
    response_of_item(id).is_some()
}

/// The response whose input or output has the item `id`, if we made that id.
#[must_use]
pub fn response_of_item(id: &str) -> Option<JobId> {
    let rest = id.split_once('_').map_or(id, |(_, rest)| rest);
    rest.split_once('_').and_then(|(suffix, _)| suffix.parse().ok())
}

/// Whether the item `id`, which we made, is of a response's input.
#[must_use]
pub fn is_input_item(id: &str) -> bool {
    id.rsplit_once('_').is_some_and(|(_, place)| place.starts_with('i'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_ids_are_told_from_a_providers() {
        let suffix = suffix("resp_01KAG2W8F3VQ9XTR5M7N4C6B0E");
        for id in [of_output("rs", suffix, 0), of_input("msg", suffix, 12)] {
            assert_eq!(response_of_item(&id), suffix.parse().ok());
            assert_eq!(is_input_item(&id), id.starts_with("msg"));
            assert_eq!(foreign(id), None);
        }
        let provider = "rs_68af4030baa48193b0b43b4c2a176a1a0e6967589f080e78";
        assert_eq!(foreign(provider.to_owned()).as_deref(), Some(provider));
        assert_eq!(foreign(String::new()), None);
    }
}
