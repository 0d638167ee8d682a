//! A response's events from any point on, while it runs and long after: whoever comes back with the number of the last
//! event it saw is sent the rest, by any ingress.

use std::sync::Arc;

use axum::response::Response;
use futures::stream::{self, BoxStream, StreamExt};
use schemas::dialect::openai_responses::{Status, StreamEncoder};
use tokio::time::Instant;

use super::{Known, shown};
use crate::app::App;
use crate::error::ApiError;
use crate::lookup::Found;
use crate::route::{Counted, about};
use crate::stream::answer::{AnswerStream, Input};
use crate::stream::encoder::Encoder;
use crate::stream::{inputs, sse};

/// The events of a response behind the one with the number `after`. Leaving the stream changes nothing for the response.
pub(crate) async fn events(app: &Arc<App>, known: Known, after: Option<u64>) -> Result<Response, ApiError> {
    let counted = Counted::new(app.metrics.clients.waiting.with_label_values(&["responses_stream"]));
    let Known { id, found, options } = known;
    let reply = shown::reply(id, found.head(), options, Status::InProgress);
    let mut encoder = Encoder::Responses(Box::new(StreamEncoder::new(reply, after)));
    if let Found::Recorded(record) = &found {
        encoder.generation(inputs::generation_of(&record.state));
    }
    let attempt = inputs::attempt_of(&found);
    let frames = match found.is_terminal() {
        // The record has it all, cut as it was.
        true => stream::empty().boxed(),
        false => frames(app, id).await?,
    };
    let (watch, ending) = (app.broker.watch(id), Arc::clone(app));
    // It ends by itself within the retention, or is expired by then.
    let deadline = Instant::now() + app.config.streams.retention;
    let end = stream::once(async move { Input::End(inputs::end(&ending, watch, deadline, true).await.map(Box::new)) });
    let inputs = stream::select(frames, end).boxed();
    let answer = AnswerStream { app: Arc::clone(app), inputs, encoder, attempt, waiter: app.waiters.join(id) };
    let bytes = answer.begin().inspect(move |_| {
        // Held for as long as the stream is.
        let _ = &counted;
    });
    Ok(about(id, sse::response(bytes, app.config.ingress.keepalive)))
}

async fn frames(app: &App, id: schemas::id::JobId) -> Result<BoxStream<'static, Input>, ApiError> {
    let mut frames = app.broker.frames(id).await?;
    frames.catch_up().await;
    Ok(inputs::frames(frames, Arc::default()).map(Input::Frame).boxed())
}
