//! What holds of all dialects: the tables of their fields as documentation, and every pair of them together.

mod bounds;
mod document;
pub(super) mod jumble;
mod matrix;
pub(super) mod mutate;
pub(super) mod paths;
pub(super) mod streams;
