//! The language everyone speaks: jobs, chat, errors, alerts, subjects and wire dialects. Pure: no I/O, no clock, no
//! randomness of its own; time and random bits are arguments.

pub mod alert;
pub mod breaker;
pub mod broken;
pub mod catalog;
pub mod catalog_file;
pub mod chat;
pub mod context;
pub mod delta;
pub mod dialect;
pub mod envelope;
pub mod error;
pub mod id;
pub mod job;
pub mod json;
pub mod matcher;
pub mod routing;
pub mod session;
pub mod state;
pub mod stats;
pub mod strategy;
pub mod subject;
pub mod timestamp;
pub mod view;
pub mod warning;
