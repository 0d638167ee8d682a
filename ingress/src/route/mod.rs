//! One file for each family of routes.

pub(crate) mod alertmanager;
pub(crate) mod alerts;
pub(crate) mod chat_completions;
pub(crate) mod conversation_items;
pub(crate) mod conversations;
pub(crate) mod dead;
pub(crate) mod dead_list;
pub(crate) mod fallback;
pub(crate) mod job_events;
pub(crate) mod job_list;
pub(crate) mod jobs;
mod listing;
pub(crate) mod messages;
pub(crate) mod models;
pub(crate) mod openapi;
pub(crate) mod queue_status;
pub(crate) mod response_items;
pub(crate) mod responses;
pub(crate) mod sessions;

use axum::response::{IntoResponse, Response};
use prometheus::IntGauge;
use schemas::id::JobId;

/// The job that an answer is about, for the access log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About(pub(crate) JobId);

/// `answer`, marked as being about a job.
pub(crate) fn about(id: JobId, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.extensions_mut().insert(About(id));
    response
}

/// Counts itself in a gauge while it lives.
#[derive(Debug)]
pub(crate) struct Counted(IntGauge);

impl Counted {
    /// One more.
    pub(crate) fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
