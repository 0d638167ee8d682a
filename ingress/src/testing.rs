//! Values for this crate's tests.

use schemas::id::JobId;
use schemas::job::{ContextOptions, Job, JobHead, Payload};
use serde_json::json;

/// A job accepted at the epoch, with nothing set that need not be.
pub(crate) fn job(id: JobId) -> Job {
    let head = json!({"tenant": "t", "model": "m", "created_at": 0, "body_hash": ""});
    let head: JobHead = serde_json::from_value(head).unwrap();
    let (context, request) = (ContextOptions::default(), Payload::Inline(Box::default()));
    Job { id, head, context, request, warnings: Vec::new(), surface: None }
}
