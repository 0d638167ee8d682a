//! The broker: the NATS connection, its streams, the publisher, and the job protocol as functions. The decisions are
//! pure and lie in [`protocol`]; everything else here carries them out.

mod alerts;
mod broker;
mod cancel;
mod clock;
mod connect;
mod dead;
mod delivery;
mod depth;
mod drive;
mod error;
mod find;
mod frames;
mod hints;
mod intake;
mod janitor;
mod lease;
mod metrics;
pub mod protocol;
mod publisher;
mod recorder;
mod rpc;
pub mod scheduler;
mod settle;
mod store;
mod streams;
mod submit;
mod sweeper;
mod watch;

pub use alerts::{AlertDelivery, AlertFeed, StatsFeed};
pub use broker::Broker;
pub use dead::DeadJob;
pub use delivery::{Claimed, Delivery};
pub use error::BrokerError;
pub use find::Sighting;
pub use frames::Frames;
pub use intake::{Intake, Work};
pub use lease::Lease;
pub use protocol::Record;
pub use protocol::cancelling::Cancelled;
pub use protocol::holding::Gone;
pub use protocol::ledger::{Plan, Resolution};
pub use recorder::{Folded, Receipt, RecordFeed};
pub use submit::{Accepted, Repeat, SubmitError};
pub use watch::Watch;
