//! One provider request from the worker's side: what goes in, what comes out, and how far it got.

use std::time::Duration;

use schemas::chat::{ChatRequest, ChatResponse, Usage};
use schemas::delta::{Assembly, Delta, pieces};
use schemas::dialect::classify::{Class, Classified};
use schemas::error::{ErrorCode, Failure};
use schemas::id::JobId;
use schemas::state::{Attempt, Outcome};
use schemas::warning::Warning;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// One request to one provider.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// What is asked, pruned.
    pub request: &'a ChatRequest,
    /// The model's name at the provider.
    pub upstream: &'a str,
    /// Most tokens that the model can answer with, where the catalogue says.
    pub max_output: Option<u32>,
    /// Whose request it is.
    pub job: JobId,
    /// The attempt's number in the job's ledger, where it stands already.
    pub attempt: u32,
    /// For providers that honour one: see [`idempotency_key`].
    pub idempotency_key: String,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What the model said.
    pub response: ChatResponse,
    /// What of the request the provider did not see.
    pub warnings: Vec<Warning>,
    /// How long the first piece took, where the answer was streamed.
    pub first_delta: Option<Duration>,
}

/// A request that brought no whole answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{failure}")]
pub struct CallError {
    /// What to tell the client when nothing else helps. Shows no secret.
    pub failure: Failure,
    /// What may be tried before.
    pub class: Class,
    /// The request may have reached the provider. False is certain.
    pub sent: bool,
    /// Pieces of an answer went to the sink already.
    pub emitted: bool,
    /// Tokens that it cost, when the provider told them.
    pub usage: Option<Usage>,
}

/// The key of the request that follows `ledger` at `provider`: equal when the earlier one's fate is unknown, so that the
/// provider does not carry it out twice, and another after a failure that was recorded.
#[must_use]
pub fn idempotency_key(job: JobId, provider: &str, ledger: &[Attempt]) -> String {
    let failed = |attempt: &&Attempt| attempt.provider == provider && attempt.outcome == Some(Outcome::Failed);
    format!("{job}-{}", ledger.iter().filter(failed).count())
}

/// How far a request got. It outlives the request's future, so that a timeout can tell.
#[derive(Debug)]
pub(super) struct Progress<'a> {
    sink: Option<&'a mpsc::Sender<Delta>>,
    started: Instant,
    assembly: Assembly,
    first_delta: Option<Duration>,
    /// The request may have reached the provider.
    pub(super) sent: bool,
    /// Tokens told so far.
    pub(super) usage: Option<Usage>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(sink: Option<&'a mpsc::Sender<Delta>>) -> Self {
        Self {
            sink,
            started: Instant::now(),
            assembly: Assembly::default(),
            first_delta: None,
            sent: false,
            usage: None,
        }
    }

    /// Takes pieces of the answer in, and passes them on at the sink's pace. A sink that nobody reads is left.
    pub(super) async fn push(&mut self, deltas: Vec<Delta>) {
        for delta in deltas {
            self.assembly.push(&delta);
            if let Delta::Usage { usage } = &delta {
                self.usage = Some(*usage);
            }
            self.first_delta.get_or_insert_with(|| self.started.elapsed());
            if let Some(sink) = self.sink
                && sink.send(delta).await.is_err()
            {
                self.sink = None;
            }
        }
    }

    /// Takes a whole answer in: whoever listens hears it in one go.
    pub(super) async fn whole(&mut self, response: ChatResponse) -> ChatResponse {
        if self.sink.is_some() {
            self.push(pieces(&response)).await;
        }
        response
    }

    /// The answer that the pieces added up to.
    pub(super) fn assembled(&mut self) -> Result<ChatResponse, Classified> {
        let unfinished = || broken(ErrorCode::ProviderInvalidResponse, "the stream ended without a finish reason");
        std::mem::take(&mut self.assembly).into_response().ok_or_else(unfinished)
    }

    pub(super) fn answer(&self, response: ChatResponse, warnings: Vec<Warning>) -> Answer {
        Answer { response, warnings, first_delta: self.first_delta }
    }

    pub(super) fn error(&self, classified: Classified) -> CallError {
        let Classified { failure, class } = classified;
        CallError { failure, class, sent: self.sent, emitted: self.first_delta.is_some(), usage: self.usage }
    }
}

/// A failure that came without an error answer of the provider.
pub(super) fn broken(code: ErrorCode, message: impl Into<String>) -> Classified {
    Classified { failure: Failure::new(code, message), class: Class::of(code) }
}

#[cfg(test)]
mod tests {
    use schemas::state::Nonce;
    use schemas::timestamp::Timestamp;

    use super::*;

    #[test]
    fn a_key_changes_only_after_a_recorded_failure_there() {
        let job = JobId::new(Timestamp::from_millis(1), 1);
        let attempt = |provider: &str, outcome| Attempt {
            number: 1,
            nonce: Nonce::new(1),
            provider: provider.to_owned(),
            model: "m".to_owned(),
            started_at: Timestamp::from_millis(1),
            ended_at: None,
            outcome,
            error: None,
            usage: None,
            cost_micros: None,
            hedge: false,
        };
        let first = idempotency_key(job, "a", &[]);
        let unknown = [attempt("a", Some(Outcome::Ambiguous)), attempt("b", Some(Outcome::Failed)), attempt("a", None)];
        assert_eq!(idempotency_key(job, "a", &unknown), first);
        assert_ne!(idempotency_key(job, "a", &[attempt("a", Some(Outcome::Failed))]), first);
    }
}
