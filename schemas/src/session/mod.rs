//! Sessions: what is kept of a conversation, and the line in which its turns wait for each other. Types and decisions
//! alone; whoever stores them replaces a value by the revision it read.

mod history;
mod key;
mod queue;
mod turn;

pub use history::{Appended, Bounds, History, Statistics, Summary};
pub use key::SessionKey;
pub use queue::{Place, TurnQueue, patience};
pub use turn::{RoleCounts, Turn, TurnFault, prompt, said};

#[cfg(test)]
mod tests;
