//! `/v1/responses`: OpenAI's Responses API. A response is a job; in the background nobody needs to wait for it.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use broker::Cancelled;
use http::HeaderMap;
use schemas::dialect::openai_responses;
use schemas::error::Failure;
use schemas::job::{ContextOptions, ContextStrategy, Lane};
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use url::form_urlencoded;

use super::{about, conversations};
use crate::app::App;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::call::{self, Asked, Body, Incoming, Style};
use crate::error::ApiError;
use crate::lookup::Found;
use crate::request_id::RequestId;
use crate::responses::kept::{self, Options};
use crate::responses::{self, Known, chain, references, shown, stream};
use crate::submit::{Submission, Submitted};

const ROUTE: &str = "/v1/responses";

/// A response: whole, in events, or queued in the background.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    mut body: JsonBody,
) -> Result<Response, ApiError> {
    let named = references::resolve(&app, &caller, &mut body.object).await?;
    let ((mut submission, options), mut body) = call::read(ROUTE, decode, body).await?;
    if let Some(conversation) = &options.conversation {
        conversations::known(&app, &caller, conversation).await?;
    }
    submission.surface = Some(kept::surface(&options)?);
    let history = chain::extend(&app, &caller, &options, &mut submission.request).await?;
    named.into_iter().chain(history).for_each(|hold| body.has_grown(hold));
    let incoming = Incoming { app, caller, request_id, headers };
    if options.background {
        return background(incoming, submission, body, options).await;
    }
    call::answer(incoming, Asked { submission, style: Style::Responses(Box::new(options)) }, body).await
}

/// `GET`: the response as it is, or its events behind `starting_after`.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let Query { stream, after } = Query::parse(query.as_deref().unwrap_or_default())?;
    let known = responses::find(&app, &caller, path).await?;
    if stream {
        return stream::events(&app, known, after).await;
    }
    let id = known.id;
    Ok(about(id, Json(shown::shown(&app, known).await?)))
}

/// `POST .../cancel`: the response as it ended, by this call or before it.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
) -> Result<Response, ApiError> {
    let Known { id, found, options } = responses::find(&app, &caller, path).await?;
    if !options.background {
        return Err(Failure::invalid(
            "background",
            "only a response that was created with `background: true` can be cancelled",
        )
        .into());
    }
    let found = if found.is_terminal() { found } else { cancelled(&app, id).await? };
    Ok(about(id, Json(shown::shown(&app, Known { id, found, options }).await?)))
}

/// `DELETE`: no client sees the response any more. One that runs is cancelled.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
) -> Result<Response, ApiError> {
    let Known { id, found, .. } = responses::find(&app, &caller, path).await?;
    if !found.is_terminal() {
        cancelled(&app, id).await?;
    }
    app.broker.hide(id).await?;
    Ok(about(id, Json(json!({"id": id.prefixed("resp_"), "object": "response", "deleted": true}))))
}

async fn background(
    incoming: Incoming,
    submission: Submission,
    body: Body,
    options: Options,
) -> Result<Response, ApiError> {
    let (submitted, entry) = call::accept(&incoming, submission, body).await?;
    entry.accepted(Box::pin(accepted(&incoming, submitted, options)).await)
}

async fn accepted(incoming: &Incoming, submitted: Submitted, options: Options) -> Result<Response, ApiError> {
    let Submitted { job, replayed } = submitted;
    let (id, app) = (job.id, &incoming.app);
    if job.head.stream {
        let found = Found::Waiting { job: Box::new(job), delayed: false };
        return stream::events(app, Known { id, found, options }, None).await;
    }
    if replayed {
        let known = responses::known(app, &incoming.caller, id).await?;
        return Ok(about(id, Json(shown::shown(app, known).await?)));
    }
    Ok(about(id, Json(shown::queued(id, &job.head, options)).into_response()))
}

async fn cancelled(app: &App, id: schemas::id::JobId) -> Result<Found, ApiError> {
    let cancelled = timeout(app.config.ingress.submit_timeout, app.broker.cancel(id)).await;
    match cancelled.map_err(|_| ApiError::unavailable("the broker does not answer; try again"))?? {
        Cancelled::Now(record) | Cancelled::Already(record) => Ok(Found::Recorded(Box::new(record))),
        Cancelled::Absent => Err(ApiError::not_found("no such response")),
    }
}

fn decode(object: Map<String, Value>) -> Result<(Submission, Options), Failure> {
    let decoded = openai_responses::decode_request(Value::Object(object))?;
    let options = decoded.options;
    if options.background && !options.store {
        return Err(Failure::invalid(
            "store",
            "a background response must be stored: leave `store` out or set it to true",
        ));
    }
    let strategy = if options.truncate { ContextStrategy::Auto } else { ContextStrategy::Disabled };
    let submission = Submission {
        lane: options.lane().unwrap_or(Lane::Normal),
        metadata: options.metadata.clone(),
        session: options.conversation.clone(),
        context: ContextOptions { strategy: Some(strategy), ..ContextOptions::default() },
        request: decoded.request,
        warnings: decoded.warnings,
        ..Submission::default()
    };
    Ok((submission, options))
}

/// What a look at a response may ask for. The API has more parameters; they change nothing here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    stream: bool,
    after: Option<u64>,
}

impl Query {
    fn parse(query: &str) -> Result<Self, Failure> {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "stream" => parsed.stream = flag(&value)?,
                "starting_after" => parsed.after = Some(number(&value)?),
                _ => {}
            }
        }
        Ok(parsed)
    }
}

fn flag(text: &str) -> Result<bool, Failure> {
    text.parse().map_err(|_| Failure::invalid("stream", "expected true or false"))
}

fn number(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::invalid("starting_after", "expected the sequence number of an event"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: Value) -> Option<String> {
        let Value::Object(object) = body else { panic!("not an object") };
        decode(object).unwrap_err().param
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_name() {
        let body = |more: Value| {
            let mut body = json!({"model": "m", "input": "hi"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        assert_eq!(refused(body(json!({"background": true, "store": false}))).as_deref(), Some("store"));
        let both = body(json!({"conversation": "conv_1", "previous_response_id": "resp_1"}));
        assert_eq!(refused(both).as_deref(), Some("conversation"));
    }

    #[test]
    fn a_look_names_where_it_goes_on() {
        assert_eq!(Query::parse("stream=true&starting_after=7&include=x"), Ok(Query { stream: true, after: Some(7) }));
        assert_eq!(Query::parse("starting_after=-1").unwrap_err().param.as_deref(), Some("starting_after"));
        assert_eq!(Query::parse("stream=1").unwrap_err().param.as_deref(), Some("stream"));
    }
}
