//! The alerts that need the whole picture: what every process says of itself and how the queue, the brokers and the
//! credentials do, looked at every few seconds by the leader, and published as events like anybody else's.

mod cost;
mod engine;
mod evaluate;
mod expiry;
mod facts;
mod hold;
mod ledger;
mod live;
mod look;
mod reading;
pub(crate) mod reload;
pub mod replay;
mod roster;
mod window;

pub(crate) use evaluate::KINDS;
pub(crate) use live::{Pulse, Rules, Term};
pub(crate) use reading::Concern;
