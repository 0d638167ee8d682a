//! What tests stand on: real servers as children on free ports, strict fakes of the outside world with ledgers of their
//! own, and the whole of PortBroker as separate processes. Everything is killed and removed on drop.

pub mod alertmanager;
pub mod api;
pub mod child;
pub mod cluster;
pub mod nats;
pub mod paths;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod provider;
pub mod proxy;
pub mod raw_http;
pub mod redis;
pub mod telegram;
pub mod wait;
pub mod webhook;
