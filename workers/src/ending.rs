//! How a job ends: the terminal phase and result of an answer, a failure, or a passed deadline.

use broker::Resolution;
use schemas::chat::{ChatResponse, FinishReason};
use schemas::delta::Trace;
use schemas::error::{Category, ErrorCode, Failure};
use schemas::state::{ContextReport, JobResult, Outcome, Phase};
use schemas::timestamp::Timestamp;
use schemas::warning::Warning;

use crate::flight::Flight;

/// What a worker does with a job it holds, once it is done with it for now.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It ends.
    Finish {
        /// In this phase.
        phase: Phase,
        /// With this result.
        result: Box<JobResult>,
        /// How its attempts went, as far as the ledger does not have it.
        ends: Vec<Resolution>,
    },
    /// It waits.
    Park {
        /// Until then.
        until: Timestamp,
        /// For this reason.
        reason: &'static str,
        /// How its attempts went, as far as the ledger does not have it.
        ends: Vec<Resolution>,
    },
}

/// A record has to fit into a message. An answer cut oftener than this is replayed block by block.
const LONGEST_TRACE: usize = 192 * 1024;

/// What is known of a job beside its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    /// What pruning did.
    pub(crate) context: Option<ContextReport>,
    /// The summary in the prompt covers its session's turns up to this one.
    pub(crate) summary_turns: Option<u64>,
    /// What its client should know.
    pub(crate) warnings: Vec<Warning>,
    /// How the answer was streamed.
    pub(crate) trace: Option<Trace>,
    /// Input tokens as estimated, uncorrected, where the provider's figure can better the next estimate.
    pub(crate) estimated: Option<u64>,
}

impl Ending {
    /// A provider answered.
    /// `ends` are those of the job's attempts, this answer's among them.
    pub(crate) fn answered(provider: &str, response: ChatResponse, ends: Vec<Resolution>, notes: Notes) -> Self {
        let phase = match response.finish {
            FinishReason::Stop | FinishReason::ToolCalls => Phase::Completed,
            FinishReason::Length | FinishReason::ContentFilter => Phase::Incomplete,
        };
        let result = JobResult {
            provider: Some(provider.to_owned()),
            model: Some(response.model),
            response_id: response.id,
            output: Some(response.message),
            finish: Some(response.finish),
            usage: response.usage,
            context: notes.context,
            summary_turns: notes.summary_turns,
            warnings: notes.warnings,
            trace: notes.trace.filter(|trace| trace.size() <= LONGEST_TRACE),
            logprobs: response.logprobs,
            extra: response.extra,
            ..JobResult::default()
        };
        Self::Finish { phase, result: Box::new(result), ends }
    }

    /// It failed for good. What is not the client's own error goes to DEAD, replayable.
    pub(crate) fn failed(failure: Failure, ends: Vec<Resolution>, notes: Notes) -> Self {
        let dead = failure.code.category() != Category::Client;
        let result = JobResult {
            error: Some(failure),
            context: notes.context,
            warnings: notes.warnings,
            dead,
            ..JobResult::default()
        };
        Self::Finish { phase: Phase::Failed, result: Box::new(result), ends }
    }

    /// Answered, it is the turn of this number in its session.
    pub(crate) fn of_turn(mut self, number: Option<u64>) -> Self {
        if let Self::Finish { phase: Phase::Completed | Phase::Incomplete, result, .. } = &mut self {
            result.turn = number;
        }
        self
    }

    /// Its deadline passed while it ran; what was on its way was dropped.
    pub(crate) fn expired(flight: &Flight) -> Self {
        let failure = Failure::new(ErrorCode::Expired, "the job's deadline passed before it could be completed");
        let result = JobResult { error: Some(failure), ..JobResult::default() };
        Self::Finish { phase: Phase::Expired, result: Box::new(result), ends: flight.all_ends(Outcome::Cancelled) }
    }

    /// This worker stops while a call runs whose end it will not see.
    pub(crate) fn interrupted(flight: &Flight, may_repeat: bool, now: Timestamp) -> Self {
        let ends = flight.all_ends(Outcome::Ambiguous);
        if may_repeat {
            return Self::Park { until: now, reason: "worker_stopping", ends };
        }
        let message = "the worker stopped while it called the provider, and on_ambiguous is \"fail\"";
        Self::failed(Failure::new(ErrorCode::Ambiguous, message), ends, Notes::default())
    }
}
