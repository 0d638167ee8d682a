//! Sessions: what is kept of a conversation, and the line in which its turns wait for each other. Types and decisions
//! alone; whoever stores them replaces a value by the revision it read.

mod condense;
mod due;
mod history;
mod key;
mod queue;
mod summary;
mod turn;

pub use due::{Due, SummaryRules, TurnNote};
pub use history::{Appended, Bounds, History, Statistics};
pub use key::SessionKey;
pub use queue::{Place, TurnQueue, patience};
pub use summary::{Asked, Summary, SummaryRange};
pub use turn::{RoleCounts, Turn, TurnFault, prompt, said};

#[cfg(test)]
mod summary_tests;
#[cfg(test)]
mod tests;
