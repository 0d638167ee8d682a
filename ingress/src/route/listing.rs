//! Pages of lists: how long one is, and how it is written.

use schemas::error::Failure;
use serde::Serialize;

/// Entries of a page when nobody says how many.
pub(super) const LIMIT: u32 = 20;
const HIGHEST_LIMIT: u32 = 100;

/// One page. It may be short, or even empty, while there are more.
#[derive(Debug, Serialize)]
pub(crate) struct Listing<T> {
    object: &'static str,
    data: Vec<T>,
    has_more: bool,
    next_cursor: Option<String>,
}

impl<T> Listing<T> {
    /// The page of `data`, behind which `next_cursor` leads on if there are more.
    pub(super) const fn new(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { object: "list", data, has_more: next_cursor.is_some(), next_cursor }
    }
}

/// How many entries a page is to have.
pub(super) fn limit(text: &str) -> Result<u32, Failure> {
    let limit = text.parse().ok().filter(|limit| (1..=HIGHEST_LIMIT).contains(limit));
    limit.ok_or_else(|| Failure::invalid("limit", format!("expected a number from 1 to {HIGHEST_LIMIT}")))
}
