//! Answers while they are made: a job's tokens and changes of status as one sequence, what of an answer a client has
//! had, and event streams.

pub(crate) mod answer;
mod emitted;
pub(crate) mod encoder;
pub(crate) mod follow;
pub(crate) mod inputs;
mod relay;
pub(crate) mod sse;
