//! The Bot API: what goes out, or to the log when no token is configured, and what people press and write.

mod bot;
mod client;
mod listener;
mod outlet;
mod refusal;
mod update;

pub(crate) use client::Client;
pub(crate) use listener::{ListenError, Listener};
pub(crate) use outlet::{Ended, LOG, Outlet, call};
pub(crate) use refusal::Refusal;
pub(crate) use update::{Deed, Person, Received, Spot};
