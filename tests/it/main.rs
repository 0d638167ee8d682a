//! The whole of PortBroker on real servers: every promise of the README has its test here.

mod alerts;
mod chaos;
mod chat;
mod clients;
mod cluster;
mod dead;
mod delays;
mod events;
mod fakes;
mod idempotency;
mod janitor;
mod kill_worker;
mod listing;
mod malformed;
mod midstream;
mod outages;
mod parking;
mod pipeline;
mod queue_status;
mod records;
mod retention;
mod retries;
mod roles;
mod secrets;
mod shutdown;
mod single_process;
