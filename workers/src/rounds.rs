//! Asking providers: candidate after candidate, round after round, each request in the ledger before it is sent.

use std::sync::Arc;
use std::time::Duration;

use broker::{Gone, Lease, Plan, Resolution};
use schemas::catalog::{Candidate, Prices};
use schemas::chat::{ChatRequest, Usage};
use schemas::dialect::classify::Class;
use schemas::error::{ErrorCode, Failure};
use schemas::state::{Attempt, Outcome};
use tokio::sync::mpsc;

use crate::emit;
use crate::ending::{Ending, Notes};
use crate::fit::{self, Fitted};
use crate::flight::Flight;
use crate::provider::Admitted;
use crate::provider::call::{Answer, Call, CallError, idempotency_key};
use crate::provider::retry::{Next, Round};
use crate::provider::route::Route;
use crate::waste::Reason;
use crate::worker::Worker;

/// Deltas between the provider's stream and the publisher of frames.
const DELTAS: usize = 256;

/// The first request that a route leads to, if it leads to one now.
pub(crate) fn first_plan(route: &Route<'_>) -> Option<Plan> {
    match route {
        Route::Go(candidates) => candidates.first().map(plan),
        Route::ParkUntil { .. } | Route::Unknown => None,
    }
}

fn plan(candidate: &Candidate<'_>) -> Plan {
    Plan { provider: candidate.provider.name.clone(), model: candidate.upstream.clone() }
}

/// One job's requests.
pub(crate) struct Rounds<'a> {
    worker: &'a Worker,
    lease: &'a Lease,
    /// The request on its way, and how the one before went where the ledger does not have that yet.
    flight: &'a Flight,
    request: Arc<ChatRequest>,
    /// The attempt that stands open in the ledger, not yet sent.
    open: Option<Plan>,
    notes: Notes,
}

/// What asking one candidate came to.
enum Asked {
    Answered(Ending),
    Failed(CallError),
    Held(crate::provider::limit::Held),
    /// The request cannot be made to fit this model; another may have a larger window.
    Unfit(Failure),
}

impl<'a> Rounds<'a> {
    /// Asks until there is an ending: an answer, a failure, or a wait too long for a slot.
    pub(crate) async fn run(
        worker: &'a Worker,
        lease: &'a Lease,
        route: Route<'a>,
        flight: &'a Flight,
    ) -> Result<Ending, Gone> {
        let open = first_plan(&route);
        let notes = Notes { warnings: lease.job.warnings.clone(), ..Notes::default() };
        match fit::load(worker, &lease.job).await {
            Ok(request) => Self { worker, lease, flight, request, open, notes }.ask_all(route).await,
            Err(failure) => {
                let last = open.map(|_| Resolution::bare(Outcome::Aborted));
                Ok(Ending::failed(failure, last, notes))
            }
        }
    }

    async fn ask_all(mut self, mut route: Route<'a>) -> Result<Ending, Gone> {
        let worker = self.worker;
        loop {
            let next = match route {
                Route::Unknown => return Ok(self.fail(unknown_model(&self.request.model, self.pin()))),
                Route::ParkUntil { at, reason } => worker.retries.wait(at, reason, worker.broker.now()),
                Route::Go(candidates) => match self.ask_round(candidates).await? {
                    Ok(ending) => return Ok(ending),
                    Err(next) => next,
                },
            };
            match next {
                Next::Fail(failure) => return Ok(self.fail(failure)),
                Next::Park { until, reason } => {
                    return Ok(Ending::Park { until, reason: reason.into(), last: self.last() });
                }
                Next::Again { after } => self.pause(after).await?,
                Next::NextCandidate => {}
            }
            route = worker.providers.route(&self.request.model, self.pin(), worker.broker.now());
        }
    }

    /// Waits in the slot, what is known of the last attempt safely in the ledger.
    async fn pause(&mut self, after: Duration) -> Result<(), Gone> {
        if self.open.is_none()
            && let Some(last) = self.flight.last()
        {
            self.lease.resolve(&last).await?;
            self.flight.take_last();
        }
        tokio::time::sleep(after).await;
        Ok(())
    }

    /// Asks each candidate once: an ending, or what to do next.
    async fn ask_round(&mut self, candidates: Vec<Candidate<'a>>) -> Result<Result<Ending, Next>, Gone> {
        let mut round = Round::default();
        let mut left = candidates.len();
        for candidate in candidates {
            left -= 1;
            match self.ask(candidate, left).await? {
                Asked::Answered(ending) => return Ok(Ok(ending)),
                Asked::Unfit(failure) => round.fail(&failure, Class::Failover, self.worker.broker.now()),
                Asked::Failed(error) if error.emitted && self.request.stream => {
                    return Ok(Ok(self.fail(error.failure)));
                }
                Asked::Failed(error) => round.fail(&error.failure, error.class, self.worker.broker.now()),
                Asked::Held(held) => round.refuse(held.until, held.reason),
            }
            let ledger = self.ledger().await;
            match self.worker.retries.next(&round, &ledger, left, self.worker.broker.now()) {
                Next::NextCandidate => {}
                next => return Ok(Err(next)),
            }
        }
        Ok(Err(Next::NextCandidate))
    }

    async fn ask(&mut self, candidate: Candidate<'a>, left: usize) -> Result<Asked, Gone> {
        let worker = self.worker;
        let fitted = fit::fit(worker, &self.request, &candidate, &self.lease.job.context).await;
        let Fitted { request, report, warnings } = match fitted {
            Ok(fitted) => fitted,
            Err(failure) => return Ok(Asked::Unfit(failure)),
        };
        let warnings = self.lease.job.warnings.iter().cloned().chain(warnings).collect();
        self.notes = Notes { context: Some(report), warnings, trace: None };
        let plan = plan(&candidate);
        // A busy provider is waited for only when nobody else is left to ask.
        let patience = if left > 0 { Duration::ZERO } else { worker.config.retry.inline_max };
        let admitted = match worker.providers.admit(candidate, patience, worker.broker.now()).await {
            Ok(admitted) => admitted,
            Err(held) => return Ok(Asked::Held(held)),
        };
        self.record(&plan).await?;
        let prices = admitted.candidate.model.prices();
        let outcome = self.send(&plan, admitted, &request).await?;
        self.open = None;
        Ok(self.note(&plan, prices, outcome))
    }

    /// Makes sure that this very request is the open attempt of the stored ledger.
    async fn record(&mut self, plan: &Plan) -> Result<(), Gone> {
        if self.open.as_ref() != Some(plan) {
            let last = self.last();
            self.lease.attempt(plan, last.as_ref()).await?;
            self.flight.take_last();
            self.open = Some(plan.clone());
        }
        Ok(())
    }

    async fn send(
        &mut self,
        plan: &Plan,
        admitted: Admitted<'_>,
        request: &ChatRequest,
    ) -> Result<Result<Answer, CallError>, Gone> {
        let (worker, id) = (self.worker, self.lease.job.id);
        let ledger = self.lease.ledger(None).await;
        let origin = emit::Origin::of(id, &ledger);
        let upstream = admitted.candidate.upstream.clone();
        let call = Call {
            request,
            upstream: &upstream,
            max_output: admitted.candidate.model.max_output,
            job: id,
            attempt: origin.attempt,
            idempotency_key: idempotency_key(id, &admitted.candidate.provider.name, &ledger),
        };
        self.lease.before_call().await?;
        self.flight.send(plan.clone(), admitted.candidate.model.prices());
        let now = || worker.broker.now();
        let outcome = if request.stream {
            let (sink, deltas) = mpsc::channel(DELTAS);
            let frames = emit::emit(&worker.broker, origin, worker.config.worker.coalesce, self.flight, deltas);
            let answer = async {
                let sink = sink;
                worker.providers.call(admitted, &call, Some(&sink), now).await
            };
            let (answer, trace) = tokio::join!(answer, frames);
            self.notes.trace = Some(trace);
            answer
        } else {
            worker.providers.call(admitted, &call, None, now).await
        };
        self.flight.land();
        Ok(outcome)
    }

    /// Notes how a request went, for the ledger and for whoever has to act.
    fn note(&mut self, plan: &Plan, prices: Prices, outcome: Result<Answer, CallError>) -> Asked {
        let cost = |usage: Option<Usage>| usage.and_then(|usage| prices.cost_micros(&usage));
        match outcome {
            Ok(answer) => {
                self.notes.warnings.extend(answer.warnings);
                let notes = std::mem::take(&mut self.notes);
                let cost_micros = cost(answer.response.usage);
                Asked::Answered(Ending::answered(&plan.provider, answer.response, cost_micros, notes))
            }
            Err(error) => {
                tracing::warn!(
                    provider = %plan.provider,
                    upstream = %plan.model,
                    error.code = %error.failure.code,
                    "provider request failed"
                );
                if crate::provider::is_auth_failure(&error) {
                    self.worker.alarm.provider_auth(&plan.provider);
                }
                let failure = Some(error.failure.clone());
                let (usage, cost_micros) = (error.usage, cost(error.usage));
                let end = Resolution { outcome: Outcome::Failed, error: failure, usage, cost_micros };
                if usage.is_some() || error.emitted {
                    self.worker.wasted(Reason::Failed, plan, &end);
                }
                self.flight.ended(end);
                Asked::Failed(error)
            }
        }
    }

    /// The one provider that this job may ask, if it is pinned.
    fn pin(&self) -> Option<&'a str> {
        self.lease.job.head.provider.as_deref()
    }

    fn fail(&mut self, failure: Failure) -> Ending {
        Ending::failed(failure, self.last(), std::mem::take(&mut self.notes))
    }

    /// How the last attempt went: one that stands open was never sent.
    fn last(&self) -> Option<Resolution> {
        self.open.as_ref().map(|_| Resolution::bare(Outcome::Aborted)).or_else(|| self.flight.last())
    }

    /// The ledger, the last attempt's end included.
    async fn ledger(&self) -> Vec<Attempt> {
        self.lease.ledger(self.flight.last().as_ref().filter(|_| self.open.is_none())).await
    }
}

fn unknown_model(model: &str, pin: Option<&str>) -> Failure {
    let nobody =
        pin.map_or_else(|| "no provider serves".to_owned(), |pin| format!("the provider {pin} does not serve"));
    Failure::new(ErrorCode::NotFound, format!("{nobody} the model {model} any more"))
}
