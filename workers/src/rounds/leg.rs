//! One request on its way.

use std::sync::Arc;

use broker::Plan;
use futures::FutureExt;
use futures::future::BoxFuture;
use schemas::catalog::Prices;
use schemas::chat::ChatRequest;
use schemas::delta::Delta;
use schemas::dialect::classify::Class;
use schemas::id::JobId;
use schemas::state::Attempt;
use tokio::sync::mpsc;

use crate::emit::Origin;
use crate::ending::Notes;
use crate::provider::Admitted;
use crate::provider::call::{Answer, Call, CallError, idempotency_key};
use crate::worker::Worker;

/// Deltas between the provider's stream and the publisher of frames.
const DELTAS: usize = 256;

/// A request that may be sent, once it is on record.
pub(super) struct Ready<'a> {
    pub(super) admitted: Admitted<'a>,
    /// What to send.
    pub(super) request: Arc<ChatRequest>,
    pub(super) notes: Notes,
}

/// A request that is on record, and sent when it is first waited for. Dropping it hangs up.
pub(super) struct Leg<'a> {
    pub(super) plan: Plan,
    pub(super) prices: Prices,
    pub(super) notes: Notes,
    pub(super) origin: Origin,
    pub(super) call: BoxFuture<'a, Result<Answer, CallError>>,
    /// Where the request is streamed. Closed when the call ends.
    pub(super) deltas: Option<mpsc::Receiver<Delta>>,
    stream: bool,
}

/// The first that is heard of a request.
pub(super) enum Sign {
    /// The first piece of its answer.
    Piece(Delta),
    /// Its end. Pieces may wait to be read all the same.
    End(Box<Result<Answer, CallError>>),
}

impl Sign {
    /// Whether it is the whole answer.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::End(outcome) if outcome.is_ok())
    }
}

impl<'a> Leg<'a> {
    /// The request of the last attempt of `ledger`.
    pub(super) fn new(worker: &'a Worker, ready: Ready<'a>, id: JobId, ledger: &[Attempt]) -> Self {
        let Ready { admitted, request, notes } = ready;
        let origin = Origin::of(id, ledger);
        let plan = super::plan(&admitted.candidate);
        let idempotency_key = idempotency_key(id, &plan.provider, ledger);
        let (prices, stream) = (admitted.candidate.model.prices(), request.stream);
        let (sink, deltas) = stream.then(|| mpsc::channel(DELTAS)).unzip();
        let call = async move {
            // Ends with the call, and so do the deltas.
            let sink = sink;
            let upstream = admitted.candidate.upstream.clone();
            let call = Call {
                request: &request,
                upstream: &upstream,
                max_output: admitted.candidate.model.max_output,
                job: id,
                attempt: origin.attempt,
                idempotency_key,
            };
            worker.providers.call(admitted, &call, sink.as_ref(), || worker.broker.now()).await
        };
        Self { plan, prices, notes, origin, call: call.boxed(), deltas, stream }
    }

    /// The number of its attempt.
    pub(super) const fn number(&self) -> u32 {
        self.origin.attempt
    }

    /// Sends it, and waits for what is first heard of it. May be dropped and called again, but not after its end.
    pub(super) async fn sign(&mut self) -> Sign {
        let Some(deltas) = &mut self.deltas else {
            return Sign::End(Box::new((&mut self.call).await));
        };
        tokio::select! {
            biased;
            Some(delta) = deltas.recv() => Sign::Piece(delta),
            outcome = &mut self.call => Sign::End(Box::new(outcome)),
        }
    }

    /// Whether its job fails with it, whatever another provider may say: what the client did wrong is wrong everywhere,
    /// and what was begun to be streamed cannot be taken back.
    pub(super) fn ends_job_by(&self, error: &CallError) -> bool {
        error.class == Class::Fatal || self.stream && error.emitted
    }
}
