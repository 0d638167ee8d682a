//! Alerts as they stand: what happened to each, what people have been told of it, and what keeps it quiet. Pure: events,
//! operators' orders, time and what became of calls come in; keys of what changed, to be kept, come out.

mod book;
mod episode;
mod fold;
mod incident;
mod inhibition;
mod mute;
mod operate;
mod prune;
mod review;
mod settle;
mod silence;
mod tally;

pub(crate) use book::{Book, Policy};
pub(crate) use episode::{Cause, Episode, Posted};
pub(crate) use fold::{Folded, Placed};
#[cfg(test)]
pub(crate) use incident::{Acknowledged, Silenced};
pub(crate) use incident::{Incident, MORE, Standing};
pub(crate) use inhibition::Inhibition;
pub(crate) use operate::{Operation, Refused};
pub(crate) use settle::Settled;
pub(crate) use silence::{SILENCE_PREFIX, Silence};
pub(crate) use tally::{Tally, count};
