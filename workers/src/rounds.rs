//! Asking providers: candidate after candidate, round after round, each request in the ledger before it is sent.

mod leg;
mod race;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use broker::{Gone, Lease, Plan, Resolution};
use schemas::catalog::{Candidate, Prices};
use schemas::chat::{ChatRequest, Usage};
use schemas::dialect::classify::Class;
use schemas::error::{ErrorCode, Failure};
use schemas::state::{Attempt, Outcome};

use crate::ending::{Ending, Notes};
use crate::fit::{self, Fitted};
use crate::flight::Flight;
use crate::provider::call::CallError;
use crate::provider::limit::{Held, Place};
use crate::provider::retry::{Next, Round};
use crate::provider::route::Route;
use crate::session::{self, Loaded};
use crate::told::Told;
use crate::waste::Reason;
use crate::worker::Worker;
use leg::{Leg, Ready};
use race::Landing;

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
    /// What is on its way, and how those before went where the ledger does not have that yet.
    flight: &'a Flight,
    request: Arc<ChatRequest>,
    told: Arc<Told>,
    /// The attempt that stands open in the ledger, not yet sent.
    open: Option<Plan>,
    /// Taken before the claim, for the first request.
    place: Option<Place>,
    notes: Notes,
    /// How long a request may be silent before another is sent beside it.
    hedge_after: Option<Duration>,
}

/// What asking one candidate came to.
enum Asked {
    Answered(Ending),
    /// Each request that failed: one, or one and its hedge.
    Failed(Vec<CallError>),
    Unready(Unready),
}

/// Why a candidate was not asked.
enum Unready {
    Held(Held),
    /// The request cannot be made to fit this model; another may have a larger window.
    Unfit(Failure),
}

impl<'a> Rounds<'a> {
    /// Asks until there is an ending: an answer, a failure, or a wait too long for a slot.
    pub(crate) async fn run(
        worker: &'a Worker,
        lease: &'a Lease,
        (route, place): (Route<'a>, Option<Place>),
        flight: &'a Flight,
    ) -> Result<Ending, Gone> {
        let open = first_plan(&route);
        let notes = Notes { warnings: lease.job.warnings.clone(), ..Notes::default() };
        match session::load(worker, &lease.job).await {
            Ok(Loaded { request, told, turn }) => {
                let hedge_after = worker.providers.registry().catalog().routing(&request.model).hedge_after;
                let rounds = Self { worker, lease, flight, request, told, open, place, notes, hedge_after };
                Ok(rounds.ask_all(route).await?.of_turn(turn))
            }
            Err(failure) => Ok(Ending::failed(failure, flight.all_ends(Outcome::Aborted), notes)),
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
                    return Ok(Ending::Park { until, reason: reason.into(), ends: self.ends() });
                }
                Next::Again { after } => self.pause(after).await?,
                Next::NextCandidate => {}
            }
            route = worker.providers.route(&self.request.model, self.pin(), worker.broker.now());
        }
    }

    /// Waits in the slot, what is known of the last attempts safely in the ledger.
    async fn pause(&mut self, after: Duration) -> Result<(), Gone> {
        let ends = self.flight.ends();
        if !ends.is_empty() {
            self.lease.resolve(&ends).await?;
            self.flight.written();
        }
        tokio::time::sleep(after).await;
        Ok(())
    }

    /// Asks each candidate once: an ending, or what to do next.
    async fn ask_round(&mut self, candidates: Vec<Candidate<'a>>) -> Result<Result<Ending, Next>, Gone> {
        let mut round = Round::default();
        let mut left = VecDeque::from(candidates);
        while let Some(candidate) = left.pop_front() {
            match self.ask(candidate, &mut left).await? {
                Asked::Answered(ending) => return Ok(Ok(ending)),
                Asked::Failed(errors) => {
                    for error in errors {
                        if error.emitted && self.request.stream {
                            return Ok(Ok(self.fail(error.failure)));
                        }
                        round.fail(&error.failure, error.class, self.worker.broker.now());
                    }
                }
                Asked::Unready(Unready::Unfit(failure)) => {
                    round.fail(&failure, Class::Failover, self.worker.broker.now());
                }
                Asked::Unready(Unready::Held(held)) => round.refuse(held.until, held.reason),
            }
            let ledger = self.lease.ledger(&self.flight.ends()).await;
            match self.worker.retries.next(&round, &ledger, left.len(), self.worker.broker.now()) {
                Next::NextCandidate => {}
                next => return Ok(Err(next)),
            }
        }
        Ok(Err(Next::NextCandidate))
    }

    /// Asks `candidate`, and perhaps one of `left` beside it.
    async fn ask(&mut self, candidate: Candidate<'a>, left: &mut VecDeque<Candidate<'a>>) -> Result<Asked, Gone> {
        let plan = plan(&candidate);
        // A busy provider is waited for only when nobody else is left to ask.
        let patience = if left.is_empty() { self.worker.config.retry.inline_max } else { Duration::ZERO };
        let place = self.place.take();
        let ready = match self.ready(candidate, place, patience).await {
            Ok(ready) => ready,
            Err(unready) => return Ok(Asked::Unready(unready)),
        };
        self.notes = ready.notes.clone();
        self.record(&plan).await?;
        let ledger = self.lease.ledger(&[]).await;
        self.lease.before_call().await?;
        let leg = self.launch(ready, &ledger);
        self.open = None;
        let landing = Box::pin(self.fly(leg, left)).await?;
        Ok(self.note(landing))
    }

    /// Fits the request to `candidate`'s model and takes the right to send it.
    async fn ready(
        &self,
        candidate: Candidate<'a>,
        place: Option<Place>,
        patience: Duration,
    ) -> Result<Ready<'a>, Unready> {
        let worker = self.worker;
        let fitted = fit::fit(worker, &self.request, &self.told, &candidate, &self.lease.job.context).await;
        let Fitted { request, report, summary_turns, warnings, estimated, .. } = fitted.map_err(Unready::Unfit)?;
        let warnings = self.lease.job.warnings.iter().cloned().chain(warnings).collect();
        let notes = Notes { context: Some(report), summary_turns, warnings, trace: None, estimated };
        let admitted = worker.providers.admit(candidate, place, patience, worker.broker.now()).await;
        Ok(Ready { admitted: admitted.map_err(Unready::Held)?, request, notes })
    }

    /// Makes sure that this very request is the open attempt of the stored ledger.
    async fn record(&mut self, plan: &Plan) -> Result<(), Gone> {
        if self.open.as_ref() != Some(plan) {
            self.lease.attempt(plan, &self.ends()).await?;
            self.flight.written();
            self.open = Some(plan.clone());
        }
        Ok(())
    }

    /// The request of the last attempt of `ledger`, which counts as sent from here on.
    fn launch(&self, ready: Ready<'a>, ledger: &[Attempt]) -> Leg<'a> {
        let leg = Leg::new(self.worker, ready, self.lease.job.id, ledger);
        self.flight.send(leg.number(), leg.plan.clone(), leg.prices);
        leg
    }

    /// Notes how a request went, for the ledger and for whoever has to act.
    fn note(&mut self, landing: Landing) -> Asked {
        let Landing { number, plan, prices, outcome, earlier } = landing;
        match outcome {
            Ok(answer) => {
                self.notes.warnings.extend(answer.warnings);
                let notes = std::mem::take(&mut self.notes);
                let usage = answer.response.usage;
                if let (Some(estimated), Some(usage)) = (notes.estimated, usage) {
                    self.worker.learn(&plan, estimated, usage);
                }
                let cost_micros = cost(prices, usage);
                self.worker.totals.answered(&plan.provider);
                self.worker.paid(&plan, cost_micros);
                let end = Resolution { number: Some(number), outcome: Outcome::Ok, error: None, usage, cost_micros };
                let ends = std::iter::once(end).chain(self.ends()).collect();
                Asked::Answered(Ending::answered(&plan.provider, answer.response, ends, notes))
            }
            Err(error) => {
                self.note_failure(number, &plan, prices, &error);
                Asked::Failed(earlier.into_iter().chain([error]).collect())
            }
        }
    }

    fn note_failure(&self, number: u32, plan: &Plan, prices: Prices, error: &CallError) {
        tracing::warn!(
            provider = %plan.provider,
            upstream = %plan.model,
            error.code = %error.failure.code,
            "provider request failed"
        );
        let unauthorized = crate::provider::is_auth_failure(error);
        self.worker.totals.refused(&plan.provider, unauthorized);
        if unauthorized {
            self.worker.alarm.provider_auth(&plan.provider);
        }
        let end = Resolution {
            number: Some(number),
            outcome: Outcome::Failed,
            error: Some(error.failure.clone()),
            usage: error.usage,
            cost_micros: cost(prices, error.usage),
        };
        if error.usage.is_some() || error.emitted {
            self.worker.wasted(Reason::Failed, plan, &end);
        }
        self.flight.ended(end);
    }

    /// The one provider that this job may ask, if it is pinned.
    fn pin(&self) -> Option<&'a str> {
        self.lease.job.head.provider.as_deref()
    }

    fn fail(&mut self, failure: Failure) -> Ending {
        Ending::failed(failure, self.ends(), std::mem::take(&mut self.notes))
    }

    /// How all attempts went: nothing is on its way, and one that stands open was never sent.
    fn ends(&self) -> Vec<Resolution> {
        self.flight.all_ends(Outcome::Cancelled)
    }
}

fn cost(prices: Prices, usage: Option<Usage>) -> Option<u64> {
    usage.and_then(|usage| prices.cost_micros(&usage))
}

fn unknown_model(model: &str, pin: Option<&str>) -> Failure {
    let nobody =
        pin.map_or_else(|| "no provider serves".to_owned(), |pin| format!("the provider {pin} does not serve"));
    Failure::new(ErrorCode::NotFound, format!("{nobody} the model {model} any more"))
}
