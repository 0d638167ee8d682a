//! `POST /v1/chat/completions`: OpenAI's synchronous API over the same pipeline. The request becomes a job; the client
//! waits for its end, or reads its tokens as they are made.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use broker::Watch;
use futures::stream::{self, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue};
use runtime::clock;
use schemas::dialect::openai_chat::{self, ClientOptions, Reply, StreamEncoder};
use schemas::error::Failure;
use schemas::job::{JobHead, Lane};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Counted, about};
use crate::answer;
use crate::app::App;
use crate::auth::Caller;
use crate::body::{JsonBody, offload};
use crate::error::ApiError;
use crate::rejoin::{self, Again, Entry};
use crate::request_id::RequestId;
use crate::stream::chat::{ChatStream, Input};
use crate::stream::{inputs, sse};
use crate::submit::{self, Identity, Origin, Submission, Submitted, identity};
use crate::waiters::Waiter;

const ROUTE: &str = "/v1/chat/completions";
const JOB_ID: HeaderName = HeaderName::from_static("x-portbroker-job-id");
const LANE: HeaderName = HeaderName::from_static("x-portbroker-lane");
const LANE_PARAM: &str = "x-portbroker-lane";

/// A call while its client waits. The watch is older than the job, so that no end is missed.
struct Call {
    app: Arc<App>,
    identity: Identity,
    options: ClientOptions,
    head: JobHead,
    replayed: bool,
    watch: Watch,
    waiter: Waiter,
    again: Again,
    deadline: Instant,
}

/// A chat completion, whole or in pieces. The job's id is in `x-portbroker-job-id`, whatever the answer.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let identity = Identity::of(&caller.tenant, &headers, clock::now(), clock::random_bits())?;
    let lane = lane(&headers)?;
    let call = Box::pin(submitted(app, &caller, &request_id, &headers, identity, lane, body)).await?;
    let (id, again, streams) = (call.identity.id, call.again, call.head.stream);
    let answer = if streams { streamed(call).await } else { whole(call).await };
    let mut response = about(id, answer.map_err(|error| again.unanswered(error)));
    if let Ok(id) = HeaderValue::from_str(&id.job()) {
        response.headers_mut().insert(JOB_ID, id);
    }
    Ok(response)
}

async fn submitted(
    app: Arc<App>,
    caller: &Caller,
    request_id: &RequestId,
    headers: &HeaderMap,
    identity: Identity,
    lane: Option<Lane>,
    body: JsonBody,
) -> Result<Call, ApiError> {
    let JsonBody { bytes, object, hold } = body;
    let body_bytes = bytes.len();
    let work = move || (identity::body_hash(ROUTE, &bytes), decode(object));
    let (body_hash, decoded) = offload(body_bytes, work).await?;
    let (submission, options) = decoded?;
    let lane = lane.or(options.lane).unwrap_or_default();
    let submission = Submission { lane, ..submission };
    let deadline = Instant::now() + app.config.ingress.synchronous_timeout;
    let entry = rejoin::enter(&app, caller, headers, identity, &body_hash).await?;
    let watch = app.broker.watch(entry.identity.id);
    let origin = Origin { caller, request_id, identity: entry.identity, body_hash, body_bytes };
    let Submitted { job, replayed } = match submit::submit(&app, origin, submission).await {
        Ok(submitted) => submitted,
        Err(error) => return Err(entry.refused(error)),
    };
    drop(hold);
    let Entry { identity, waiter, again, .. } = entry;
    waiter.synchronous();
    Ok(Call { app, identity, options, head: job.head, replayed, watch, waiter, again, deadline })
}

fn decode(object: Map<String, Value>) -> Result<(Submission, ClientOptions), Failure> {
    let decoded = openai_chat::decode_request(Value::Object(object))?;
    let submission =
        Submission { request: decoded.request, warnings: decoded.warnings, synchronous: true, ..Submission::default() };
    Ok((submission, decoded.options))
}

async fn whole(call: Call) -> Result<Response, ApiError> {
    let app = Arc::clone(&call.app);
    let _counted = Counted::new(app.metrics.clients.waiting.with_label_values(&["chat"]));
    let reply = call.reply();
    let Call { watch, waiter, deadline, replayed, .. } = call;
    let record = inputs::end(&app, watch, deadline, replayed).await;
    let ended = record.is_ok();
    let response = match record {
        Ok(record) => answer::of_record(&app, &record).await,
        Err(error) => Err(error),
    };
    waiter.told(ended, response.as_ref().is_err_and(ApiError::is_open));
    Ok(Json(openai_chat::encode_response(&response?, &reply)).into_response())
}

async fn streamed(call: Call) -> Result<Response, ApiError> {
    let app = Arc::clone(&call.app);
    let counted = Counted::new(app.metrics.clients.waiting.with_label_values(&["chat_stream"]));
    let mut frames = app.broker.frames(call.identity.id).await.map_err(|error| ApiError::from(error).open())?;
    frames.catch_up().await;
    let encoder = StreamEncoder::new(call.reply());
    let Call { watch, waiter, deadline, replayed, .. } = call;
    let ending = Arc::clone(&app);
    let end =
        stream::once(async move { Input::End(inputs::end(&ending, watch, deadline, replayed).await.map(Box::new)) });
    let inputs = stream::select(inputs::frames(frames, Arc::default()).map(Input::Frame), end).boxed();
    let chat = ChatStream { app: Arc::clone(&app), inputs, encoder, waiter };
    let bytes = Box::pin(chat.open()).await?.inspect(move |_| {
        // Held for as long as the stream is.
        let _ = &counted;
    });
    Ok(sse::response(bytes, app.config.ingress.keepalive))
}

impl Call {
    fn reply(&self) -> Reply {
        Reply {
            id: self.identity.id.prefixed("chatcmpl-"),
            created: self.head.created_at.as_secs(),
            model: self.head.model.clone(),
            options: self.options,
        }
    }
}

/// How urgent its header says that a synchronous call is. Without one, its `service_tier` may say it.
fn lane(headers: &HeaderMap) -> Result<Option<Lane>, Failure> {
    let named = headers.get(LANE).map(|value| value.to_str().unwrap_or_default());
    named.map(|name| submit::parse_lane(LANE_PARAM, name)).transpose()
}
