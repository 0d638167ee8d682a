//! Where the parts of a job go: into its message, or into the object store when the message would be too large.

use bytes::Bytes;
use schemas::chat::ChatRequest;
use schemas::envelope;
use schemas::error::ErrorCode;
use schemas::id::JobId;
use schemas::job::{JobHead, Payload, Surface};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

use crate::app::App;
use crate::error::{ApiError, chain};

/// The neutral form may be this many times as large as the JSON it came from: keys are longer, numbers are shorter.
const GROWTH: usize = 4;
/// This part of what a message may have is the most that an echo takes of it: the job's record carries it too, beside the
/// answer.
const ECHO_SHARE: usize = 16;

/// What decides where the parts of one job go.
pub(super) struct Parts<'a> {
    app: &'a App,
    head: &'a JobHead,
    /// Named after id and body, so that a repeat overwrites it with the same bytes and a conflicting submit never touches
    /// it.
    object: String,
    /// How large the body was, `usize::MAX` where nobody knows.
    body_bytes: usize,
}

impl<'a> Parts<'a> {
    pub(super) fn new(app: &'a App, id: JobId, head: &'a JobHead, body_bytes: usize) -> Self {
        let object = format!("{id}-{}", head.body_hash.get(..16).unwrap_or(&head.body_hash));
        Self { app, head, object, body_bytes }
    }

    /// What is shown of the request: its echo here, or where it is.
    pub(super) async fn surface(&self, surface: Option<Surface>) -> Result<Option<Surface>, ApiError> {
        let Some(mut surface) = surface else { return Ok(None) };
        let limit = self.app.config.ingress.inline_max_bytes / ECHO_SHARE;
        if self.body_bytes.saturating_mul(GROWTH) > limit {
            let echo = encoded(&surface.echo)?;
            if echo.len() > limit {
                let name = format!("{}.echo", self.object);
                self.store(&name, echo).await?;
                (surface.echo, surface.stored_echo) = (Value::Null, Some(name));
            }
        }
        Ok(Some(surface))
    }

    /// The request itself, or where it is.
    pub(super) async fn request(&self, request: ChatRequest, surface: Option<&Surface>) -> Result<Payload, ApiError> {
        let limit = self.app.config.ingress.inline_max_bytes;
        // An echo says the same once more.
        let copies = 1 + usize::from(surface.is_some());
        if self.body_bytes.saturating_mul(GROWTH * copies) <= limit {
            return Ok(Payload::Inline(Box::new(request)));
        }
        let bytes = encoded(&request)?;
        if bytes.len() + beside(self.head, surface)? <= limit {
            return Ok(Payload::Inline(Box::new(request)));
        }
        drop(request);
        let (object, size) = (self.object.clone(), bytes.len() as u64);
        self.store(&object, bytes).await?;
        Ok(Payload::Stored { object, bytes: size })
    }

    async fn store(&self, object: &str, bytes: Bytes) -> Result<(), ApiError> {
        let stored = timeout(self.app.config.ingress.body_timeout, self.app.broker.put_body(object, bytes)).await;
        stored.map_err(|_| ApiError::unavailable("the object store does not answer; try again"))??;
        self.app.metrics.submit.stored_bodies.inc();
        Ok(())
    }
}

/// Bytes of a message beside the request. The head is in it twice: a header repeats it.
fn beside(head: &JobHead, surface: Option<&Surface>) -> Result<usize, ApiError> {
    Ok(2 * encoded(head)?.len() + encoded(&surface)?.len())
}

fn encoded(value: &impl Serialize) -> Result<Bytes, ApiError> {
    envelope::encode(value).map_err(|error| {
        tracing::error!(error = chain(&error), "request cannot be encoded");
        ApiError::new(ErrorCode::Internal, "the request could not be stored")
    })
}
