//! The leader's desk, a loop of one thing at a time: fold a batch of events, do what operators order, keep what changed,
//! acknowledge, call Telegram when the pace allows, take in what came of it. Nothing is told before it is kept, and
//! nothing acknowledged; no call is made before it is on record.

mod events;
mod next;
mod operators;
mod outcome;
mod review;
mod run;
mod state;
mod surface;

pub(crate) use state::{Desk, Work};
pub(crate) use surface::Surface;
