//! Reading a job's request and fitting it to a model's window. Counting is plain computation: a large conversation is
//! counted off the async threads.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use broker::BrokerError;
use bytes::Bytes;
use context::{Budget, Factor, Meter, Pruned, Saved, Tokenizer, budget_for};
use schemas::catalog::Candidate;
use schemas::chat::{Block, ChatRequest};
use schemas::envelope;
use schemas::error::{ErrorCode, Failure};
use schemas::job::{ContextOptions, Job, Payload};
use schemas::state::ContextReport;
use schemas::warning::Warning;
use tokio::time::timeout;

use crate::told::Told;
use crate::weight::is_large;
use crate::worker::Worker;

/// Between two looks for a stored request.
const READ_AGAIN: Duration = Duration::from_millis(500);
/// So often a stored request is looked for that is not there.
const LOOKS: u32 = 10;

/// A request that fits a model.
pub(crate) struct Fitted {
    /// What to send.
    pub(crate) request: Arc<ChatRequest>,
    /// What was cut.
    pub(crate) report: ContextReport,
    /// What each layer of pruning saved.
    saved: Saved,
    /// The summary in it covers its session's turns up to this one.
    pub(crate) summary_turns: Option<u64>,
    /// What the client should know of it.
    pub(crate) warnings: Vec<Warning>,
    /// Input tokens as estimated, uncorrected, where the provider's figure can better the next estimate.
    pub(crate) estimated: Option<u64>,
}

/// The job's request, wherever it lies.
pub(crate) async fn load(worker: &Worker, job: &Job) -> Result<Arc<ChatRequest>, Failure> {
    let object = match &job.request {
        Payload::Inline(request) => return Ok(Arc::new((**request).clone())),
        Payload::Stored { object, .. } => object,
    };
    // As MessagePack a request is smaller than as the JSON that was let in.
    let most = worker.config.ingress.max_body_bytes.saturating_mul(2);
    let unreadable = |error: &(dyn std::error::Error + 'static)| {
        tracing::error!(error, "a stored request cannot be read");
        Failure::new(ErrorCode::Internal, "the stored request cannot be read")
    };
    match read(worker, object, most).await {
        Ok(Some(body)) => envelope::decode(&body).map(Arc::new).map_err(|error| unreadable(&error)),
        Ok(None) => Err(Failure::new(ErrorCode::Internal, "the stored request is past its retention")),
        Err(error) => Err(unreadable(&error)),
    }
}

/// A stored body, asked for until there is an answer: the lease and the deadline bound it. What is not there is looked
/// for again, since a copy of the store that lags behind may not have it yet.
async fn read(worker: &Worker, object: &str, most: usize) -> Result<Option<Bytes>, BrokerError> {
    let mut looks = 0;
    loop {
        match timeout(worker.config.ingress.body_timeout, worker.broker.body(object, most)).await {
            Ok(Ok(None)) if looks < LOOKS => looks += 1,
            Ok(Err(error)) if error.may_pass() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a stored request cannot be read yet");
            }
            Err(_) => tracing::warn!("a stored request takes too long to read"),
            Ok(read) => return read,
        }
        tokio::time::sleep(READ_AGAIN).await;
    }
}

/// Fits `request` to the candidate's model. What is `told` may stand in for its beginning.
pub(crate) async fn fit(
    worker: &Worker,
    request: &Arc<ChatRequest>,
    told: &Arc<Told>,
    candidate: &Candidate<'_>,
    options: &ContextOptions,
) -> Result<Fitted, Failure> {
    let tokenizer = Tokenizer::of_model(candidate.model, &candidate.upstream);
    let mut budget = budget_for(candidate.model, request, options);
    budget.room = budget.room.with_margin(tokenizer.margin());
    let factor = worker.estimates.factor(&candidate.provider.name, &candidate.upstream);
    let (request, told, counter) = (Arc::clone(request), Arc::clone(told), worker.counter.clone());
    let large = is_large(&request);
    let work = move || prune_shared(&request, &told, &budget, &counter.meter(tokenizer).corrected(factor));
    let mut fitted = if large {
        let counted = tokio::task::spawn_blocking(work).await;
        counted.map_err(|_| Failure::new(ErrorCode::Internal, "the conversation could not be counted"))??
    } else {
        work()?
    };
    fitted.estimated = estimated(&tokenizer, factor, &fitted);
    if fitted.saved != Saved::default() {
        worker.metrics.context.pruned(fitted.saved, fitted.report.prefix_stable);
    }
    Ok(fitted)
}

fn prune_shared(
    request: &Arc<ChatRequest>,
    told: &Told,
    budget: &Budget,
    meter: &Meter<'_>,
) -> Result<Fitted, Failure> {
    let (Pruned { request: pruned, report, saved, warnings }, summary_turns) = told.prune(request, budget, meter)?;
    let request = match pruned {
        Cow::Borrowed(_) => Arc::clone(request),
        Cow::Owned(shorter) => Arc::new(shorter),
    };
    Ok(Fitted { request, report, saved, summary_turns, warnings, estimated: None })
}

/// What was estimated of a request of nothing but text: the cost of anything else is a rule's, and would blame the text.
fn estimated(tokenizer: &Tokenizer, factor: Factor, fitted: &Fitted) -> Option<u64> {
    let mut messages = fitted.request.messages.iter();
    let plain = !tokenizer.is_exact() && messages.all(|message| message.content.iter().all(is_text));
    plain.then(|| factor.undo(fitted.report.tokens_after))
}

fn is_text(block: &Block) -> bool {
    match block {
        Block::Text { .. } | Block::ToolCall(_) | Block::Refusal { .. } => true,
        Block::ToolResult(result) => result.content.iter().all(is_text),
        // What a provider makes of earlier reasoning, it does not say.
        Block::Reasoning(_) | Block::Image { .. } | Block::Document { .. } | Block::Opaque { .. } => false,
    }
}
