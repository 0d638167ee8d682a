//! The queue as a whole, as every role may show it: the broker's counts and what every process says of itself, added up.
//! Pure.

mod fleet;
mod status;

pub use fleet::Fleet;
pub use status::{LaneCounts, QueueState, QueueStatus};
