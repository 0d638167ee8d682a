//! A call whose client waits for its answer, whatever API it speaks: the request becomes a job, and the client reads its
//! end, or its tokens as they are made.

mod style;

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use broker::Watch;
use futures::stream::{self, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue};
use runtime::clock;
use schemas::error::Failure;
use schemas::job::{JobHead, Lane};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::answer;
use crate::app::App;
use crate::auth::Caller;
use crate::body::{Holds, JsonBody, offload};
use crate::error::ApiError;
use crate::lookup;
use crate::rejoin::{self, Again, Entry};
use crate::request_id::RequestId;
use crate::route::{Counted, about};
use crate::stream::answer::{AnswerStream, Input};
use crate::stream::{inputs, sse};
use crate::submit::{self, Identity, Origin, Submission, Submitted, identity};
use crate::waiters::Waiter;

pub(crate) use style::Style;

const JOB_ID: HeaderName = HeaderName::from_static("x-portbroker-job-id");
const LANE: HeaderName = HeaderName::from_static("x-portbroker-lane");
const LANE_PARAM: &str = "x-portbroker-lane";

/// Who asks.
pub(crate) struct Incoming {
    /// The service.
    pub(crate) app: Arc<App>,
    /// Whose key it is.
    pub(crate) caller: Caller,
    /// The HTTP request.
    pub(crate) request_id: RequestId,
    /// Its headers.
    pub(crate) headers: HeaderMap,
}

/// What is asked, in the neutral form, and how the answer is to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// What becomes the job.
    pub(crate) submission: Submission,
    /// How the answer is written.
    pub(crate) style: Style,
}

/// A body that has been taken apart.
pub(crate) struct Body {
    hash: String,
    bytes: usize,
    hold: Holds,
}

impl Body {
    /// More was added to its request, in memory set aside by `hold`: whether it fits into a message has to be found out.
    pub(crate) fn has_grown(&mut self, hold: Holds) {
        self.bytes = usize::MAX;
        self.hold.extend(hold);
    }
}

/// A call while its client waits. The watch is older than the job, so that no end is missed.
struct Call {
    app: Arc<App>,
    identity: Identity,
    style: Style,
    head: JobHead,
    replayed: bool,
    watch: Watch,
    waiter: Waiter,
    again: Again,
    deadline: Instant,
}

/// Takes the body of a call of `route` apart: what it asks, as `decode` understands it, and what is left of it.
pub(crate) async fn read<T: Send + 'static>(
    route: &'static str,
    decode: fn(Map<String, Value>) -> Result<T, Failure>,
    body: JsonBody,
) -> Result<(T, Body), ApiError> {
    let JsonBody { bytes, object, hold } = body;
    let size = bytes.len();
    let work = move || (identity::body_hash(route, &bytes), decode(object));
    let ((hash, asked), hold) = offload(size, hold, work).await?;
    Ok((asked?, Body { hash, bytes: size, hold }))
}

/// Answers with the whole answer or its pieces. The job's id is in `x-portbroker-job-id`, whatever the answer.
pub(crate) async fn answer(incoming: Incoming, asked: Asked, body: Body) -> Result<Response, ApiError> {
    let call = Box::pin(submitted(incoming, asked, body)).await?;
    let (id, again, streams) = (call.identity.id, call.again, call.head.stream);
    let answer = if streams { streamed(call).await } else { whole(call).await };
    let mut response = about(id, answer.map_err(|error| again.unanswered(error)));
    if let Ok(id) = HeaderValue::from_str(&id.job()) {
        response.headers_mut().insert(JOB_ID, id);
    }
    Ok(response)
}

/// Makes a job that nobody waits for. The entry is to be told what the client hears of it.
pub(crate) async fn accept(
    incoming: &Incoming,
    submission: Submission,
    body: Body,
) -> Result<(Submitted, Entry), ApiError> {
    let Incoming { app, caller, request_id, headers } = incoming;
    let identity = Identity::of(&caller.tenant, headers, clock::now(), clock::random_bits())?;
    let submission = Submission { lane: lane(headers, &submission)?, ..submission };
    let entry = rejoin::enter(app, caller, headers, identity, &body.hash, false).await?;
    let origin = Origin { caller, request_id, identity: entry.identity, body_hash: body.hash, body_bytes: body.bytes };
    let submitted = submit::submit(app, origin, submission).await;
    drop(body.hold);
    match submitted {
        Ok(submitted) => Ok((submitted, entry)),
        Err(error) => Err(entry.refused(error)),
    }
}

async fn submitted(incoming: Incoming, asked: Asked, body: Body) -> Result<Call, ApiError> {
    let Incoming { app, caller, request_id, headers } = incoming;
    let identity = Identity::of(&caller.tenant, &headers, clock::now(), clock::random_bits())?;
    let Asked { submission, style } = asked;
    let submission = Submission { lane: lane(&headers, &submission)?, synchronous: true, ..submission };
    let deadline = Instant::now() + app.config.ingress.synchronous_timeout;
    let entry = rejoin::enter(&app, &caller, &headers, identity, &body.hash, true).await?;
    let watch = app.broker.watch(entry.identity.id);
    let (caller, request_id) = (&caller, &request_id);
    let origin = Origin { caller, request_id, identity: entry.identity, body_hash: body.hash, body_bytes: body.bytes };
    let Submitted { job, replayed } = match submit::submit(&app, origin, submission).await {
        Ok(submitted) => submitted,
        Err(error) => return Err(entry.refused(error)),
    };
    drop(body.hold);
    let Entry { identity, waiter, again, .. } = entry;
    waiter.synchronous();
    Ok(Call { app, identity, style, head: job.head, replayed, watch, waiter, again, deadline })
}

async fn whole(call: Call) -> Result<Response, ApiError> {
    let Call { app, identity, style, head, watch, waiter, deadline, replayed, .. } = call;
    let _counted = Counted::new(app.metrics.clients.waiting.with_label_values(&[style.waiting()[0]]));
    let reply = style.reply(identity.id, &head);
    let record = inputs::end(&app, watch, deadline, replayed).await;
    let ended = record.is_ok();
    let response = match record {
        Ok(record) => answer::of_record(&app, &record).await,
        Err(error) => Err(error),
    };
    waiter.told(ended, response.as_ref().is_err_and(ApiError::is_open));
    Ok(Json(reply.encode(&response?)).into_response())
}

async fn streamed(call: Call) -> Result<Response, ApiError> {
    let Call { app, identity, style, head, watch, waiter, deadline, replayed, .. } = call;
    let counted = Counted::new(app.metrics.clients.waiting.with_label_values(&[style.waiting()[1]]));
    let mut frames = app.broker.frames(identity.id).await.map_err(|error| ApiError::from(error).open())?;
    frames.catch_up().await;
    let encoder = style.reply(identity.id, &head).stream();
    let attempt = match replayed {
        true => inputs::attempt_of(&lookup::find(&app, &head.tenant, identity.id).await.map_err(ApiError::open)?),
        false => 0,
    };
    let ending = Arc::clone(&app);
    let end =
        stream::once(async move { Input::End(inputs::end(&ending, watch, deadline, replayed).await.map(Box::new)) });
    let inputs = stream::select(inputs::frames(frames, Arc::default()).map(Input::Frame), end).boxed();
    let answer = AnswerStream { app: Arc::clone(&app), inputs, encoder, attempt, waiter };
    let bytes = Box::pin(answer.open()).await?.inspect(move |_| {
        // Held for as long as the stream is.
        let _ = &counted;
    });
    Ok(sse::response(bytes, app.config.ingress.keepalive))
}

/// How urgent a call is: as its header says, else as its request does.
fn lane(headers: &HeaderMap, submission: &Submission) -> Result<Lane, Failure> {
    match headers.get(LANE) {
        None => Ok(submission.lane),
        Some(value) => submit::parse_lane(LANE_PARAM, value.to_str().unwrap_or_default()),
    }
}
