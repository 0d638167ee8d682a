//! Context: how many tokens a conversation takes, and what to leave out when that is too many. Pure: no I/O, no clock,
//! no randomness. Counting is plain computation, about linear in the text: call it off the async threads when large.

pub mod budget;
pub mod prune;
pub mod tokens;

pub use budget::{Budget, Clearing, Room, budget_for};
pub use prune::{Fault, Plan, Pruned, Refusal, Saved, Summary, TooLarge, plan, prune};
pub use tokens::{CacheStats, Correction, Counter, Encoding, Factor, Meter, Tokenizer};
