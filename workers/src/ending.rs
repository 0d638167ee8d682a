//! How a job ends: the terminal phase and result of an answer, a failure, or a passed deadline.

use broker::Resolution;
use schemas::chat::{ChatResponse, FinishReason};
use schemas::delta::Trace;
use schemas::error::{Category, ErrorCode, Failure};
use schemas::state::{ContextReport, JobResult, Outcome, Phase, Warning};
use schemas::timestamp::Timestamp;

use crate::flight::{Flight, Sent};

/// What a worker does with a job it holds, once it is done with it for now.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It ends.
    Finish {
        /// In this phase.
        phase: Phase,
        /// With this result.
        result: Box<JobResult>,
        /// How its last attempt went.
        last: Option<Resolution>,
    },
    /// It waits.
    Park {
        /// Until then.
        until: Timestamp,
        /// For this reason.
        reason: &'static str,
        /// How its last attempt went.
        last: Option<Resolution>,
    },
}

/// A record has to fit into a message. An answer cut oftener than this is replayed block by block.
const LONGEST_TRACE: usize = 192 * 1024;

/// What is known of a job beside its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    /// What pruning did.
    pub(crate) context: Option<ContextReport>,
    /// What its client should know.
    pub(crate) warnings: Vec<Warning>,
    /// How the answer was streamed.
    pub(crate) trace: Option<Trace>,
}

impl Ending {
    /// A provider answered, at this cost.
    pub(crate) fn answered(provider: &str, response: ChatResponse, cost_micros: Option<u64>, notes: Notes) -> Self {
        let phase = match response.finish {
            FinishReason::Stop | FinishReason::ToolCalls => Phase::Completed,
            FinishReason::Length | FinishReason::ContentFilter => Phase::Incomplete,
        };
        let last = Resolution { outcome: Outcome::Ok, error: None, usage: response.usage, cost_micros };
        let result = JobResult {
            provider: Some(provider.to_owned()),
            model: Some(response.model),
            response_id: response.id,
            output: Some(response.message),
            finish: Some(response.finish),
            usage: response.usage,
            context: notes.context,
            warnings: notes.warnings,
            trace: notes.trace.filter(|trace| trace.size() <= LONGEST_TRACE),
            logprobs: response.logprobs,
            extra: response.extra,
            ..JobResult::default()
        };
        Self::Finish { phase, result: Box::new(result), last: Some(last) }
    }

    /// It failed for good. What is not the client's own error goes to DEAD, replayable.
    pub(crate) fn failed(failure: Failure, last: Option<Resolution>, notes: Notes) -> Self {
        let dead = failure.code.category() != Category::Client;
        let result = JobResult {
            error: Some(failure),
            context: notes.context,
            warnings: notes.warnings,
            dead,
            ..JobResult::default()
        };
        Self::Finish { phase: Phase::Failed, result: Box::new(result), last }
    }

    /// Its deadline passed while it ran; the call was dropped if one was on its way.
    pub(crate) fn expired(flight: &Flight) -> Self {
        let failure = Failure::new(ErrorCode::Expired, "the job's deadline passed before it could be completed");
        let dropped = flight.sent().map(|sent| sent.dropped(Outcome::Cancelled));
        let last = dropped.or_else(|| flight.last()).unwrap_or(Resolution::bare(Outcome::Aborted));
        let result = JobResult { error: Some(failure), ..JobResult::default() };
        Self::Finish { phase: Phase::Expired, result: Box::new(result), last: Some(last) }
    }

    /// This worker stops while a call runs whose end it will not see.
    pub(crate) fn interrupted(sent: &Sent, may_repeat: bool, now: Timestamp) -> Self {
        let last = Some(sent.dropped(Outcome::Ambiguous));
        if may_repeat {
            return Self::Park { until: now, reason: "worker_stopping", last };
        }
        let message = "the worker stopped while it called the provider, and on_ambiguous is \"fail\"";
        Self::failed(Failure::new(ErrorCode::Ambiguous, message), last, Notes::default())
    }
}
