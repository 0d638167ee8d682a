//! Providers: who can be asked, whether now, the asking itself, and what follows a failure. A worker needs [`Providers`]
//! and [`retry::Retries`]; everything else stands behind them.

pub mod breaker;
pub mod breaker_share;
pub mod call;
pub mod echo;
mod http;
mod label;
pub mod latency;
pub mod limit;
mod limit_shared;
mod line;
pub mod metrics;
pub mod order;
pub mod redis_link;
pub mod registry;
pub mod retry;
pub mod route;
pub mod seen;
pub mod transition;
pub mod transport;

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::time::Duration;

use schemas::catalog::Candidate;
use schemas::delta::Delta;
use schemas::dialect::classify::Class;
use schemas::error::ErrorCode;
use schemas::routing::Routing;
use schemas::timestamp::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use breaker::{Ticket, Verdict};
use breaker_share::BreakerShare;
use call::{Answer, Call, CallError};
use label::Labels;
use latency::Latencies;
use limit::{Held, Limits, Permit, Place};
use line::Lines;
use metrics::ProviderMetrics;
use registry::Registry;
use route::{Gate, Route, WaitReason};

/// Every provider with its limits and breakers.
#[derive(Debug)]
pub struct Providers {
    registry: Registry,
    limits: Limits,
    breakers: BreakerShare,
    latencies: Latencies,
    lines: Lines,
    metrics: ProviderMetrics,
}

/// The right to send one request to one candidate.
#[derive(Debug)]
#[must_use = "a place of the provider is held until this is used or dropped"]
pub struct Admitted<'a> {
    /// Who is to be asked.
    pub candidate: Candidate<'a>,
    _permit: Permit,
    ticket: Ticket,
}

impl Providers {
    /// Puts the parts together. Every model with a plain name shows as closed until it is known otherwise.
    #[must_use]
    pub fn new(registry: Registry, limits: Limits, breakers: BreakerShare, metrics: ProviderMetrics) -> Self {
        for provider in &registry.catalog().providers {
            for model in provider.models.iter().filter(|model| !model.name.ends_with('*')) {
                let upstream = model.upstream.as_deref().unwrap_or(&model.name);
                metrics.circuit_breaker.with_label_values(&[provider.name.as_str(), upstream]);
            }
        }
        let breakers = breakers.labelled(Labels::of(registry.catalog()));
        Self { registry, limits, breakers, latencies: Latencies::default(), lines: Lines::default(), metrics }
    }

    /// The providers' data and clients.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The breakers, whose `run` has to be running for them to follow the fleet.
    #[must_use]
    pub const fn breakers(&self) -> &BreakerShare {
        &self.breakers
    }

    /// Who is to be asked for `model` at `now`, by a job that may be pinned to one provider. Asks nobody.
    #[must_use]
    pub fn route(&self, model: &str, pin: Option<&str>, now: Timestamp) -> Route<'_> {
        let candidates = self.registry.catalog().candidates_of(model, pin);
        let strategy = Routing::of(&candidates).strategy;
        let bits = runtime::clock::random_bits() as u64;
        let ordered = order::order(strategy, candidates, |candidate| self.latencies.mean(candidate, now), bits);
        route::route(ordered, |candidate| {
            let provider = &candidate.provider.name;
            match self.breakers.shut_until(provider, &candidate.upstream, now) {
                Some(at) => Gate::Shut { at, reason: WaitReason::BreakerOpen },
                None => self.limits.gate(candidate, now),
            }
        })
    }

    /// Takes a place at the first of `candidates` that has one; it comes first of them then.
    ///
    /// # Errors
    /// When all are full: how long to put the job off.
    pub fn take_place(&self, candidates: &mut [Candidate<'_>], now: Timestamp) -> Result<Place, Duration> {
        for index in 0..candidates.len() {
            if let Some(place) = candidates.get(index).and_then(|candidate| self.limits.place(candidate)) {
                candidates[..=index].rotate_right(1);
                return Ok(place);
            }
        }
        let Some(first) = candidates.first() else { return Err(Duration::ZERO) };
        let provider = first.provider;
        self.metrics.held_back.with_label_values(&[provider.name.as_str(), "concurrency"]).inc();
        let places = NonZeroU32::new(provider.max_concurrency).unwrap_or(NonZeroU32::MIN);
        Err(self.lines.join(&provider.name, places, now, runtime::clock::random_bits() as u64))
    }

    /// Takes the right to send one request, in `place` or waiting up to `patience` for another one. Record the attempt after this and
    /// before [`Self::call`]. Limits come first, so that no probe is claimed that cannot be sent.
    ///
    /// # Errors
    /// When to ask again, and why.
    pub async fn admit<'a>(
        &self,
        candidate: Candidate<'a>,
        place: Option<Place>,
        patience: Duration,
        now: Timestamp,
    ) -> Result<Admitted<'a>, Held> {
        let permit = self.limits.acquire(&candidate, place, patience, now).await?;
        let probe = runtime::clock::random_bits() as u64;
        let admitted = self.breakers.admit(&candidate.provider.name, &candidate.upstream, now, probe).await;
        match admitted {
            Ok(ticket) => Ok(Admitted { candidate, _permit: permit, ticket }),
            Err(until) => {
                self.metrics.held_back.with_label_values(&[candidate.provider.name.as_str(), "breaker"]).inc();
                Err(Held { until, reason: WaitReason::BreakerOpen })
            }
        }
    }

    /// Sends the request and tells breaker, limits and metrics how it went. `now` is asked again when it ended.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn call(
        &self,
        admitted: Admitted<'_>,
        call: &Call<'_>,
        sink: Option<&mpsc::Sender<Delta>>,
        now: impl Fn() -> Timestamp,
    ) -> Result<Answer, CallError> {
        let Admitted { candidate, _permit, ticket } = admitted;
        let flight = self.metrics.in_flight.with_label_values(&[&candidate.provider.name]);
        flight.inc();
        // Also when the future is dropped in mid-call.
        let _landed = Landed(|| flight.dec());
        let (started, sent) = (Instant::now(), now());
        let outcome = self.registry.call(&candidate, call, sink).await;
        let (took, ended) = (started.elapsed(), now());
        self.measure(&candidate, &outcome, took);
        self.latencies.observe(&candidate, &outcome, took, ended);
        let verdict = verdict(&outcome);
        match &outcome {
            Ok(_) => {
                self.limits.lift(&candidate, sent);
                self.lines.answered(&candidate.provider.name, took);
            }
            Err(CallError { class: Class::Retry { after: Some(after) }, .. }) => {
                self.limits.pause(&candidate, ended.after(*after), ended);
            }
            Err(_) => {}
        }
        self.breakers.judge(&candidate.provider.name, &candidate.upstream, ticket, verdict, ended).await;
        outcome
    }

    fn measure(&self, candidate: &Candidate<'_>, outcome: &Result<Answer, CallError>, took: Duration) {
        let provider = candidate.provider.name.as_str();
        let word = outcome.as_ref().map_or_else(|error| error.failure.code.into(), |_| "ok");
        self.metrics.requests.with_label_values(&[provider, candidate.model.name.as_str(), word]).inc();
        self.metrics.duration.with_label_values(&[provider]).observe(took.as_secs_f64());
        if let Ok(answer) = outcome {
            self.metrics.warnings.with_label_values(&[provider]).inc_by(answer.warnings.len() as u64);
            if let Some(first) = answer.first_delta {
                self.metrics.first_delta.with_label_values(&[provider]).observe(first.as_secs_f64());
            }
        }
    }
}

fn verdict(outcome: &Result<Answer, CallError>) -> Verdict {
    outcome.as_ref().map_or_else(|error| Verdict::of(error.failure.code), |_| Verdict::Healthy)
}

/// Whether an operator has to be told that a provider refuses our key.
#[must_use]
pub fn is_auth_failure(error: &CallError) -> bool {
    error.failure.code == ErrorCode::ProviderAuth
}

struct Landed<F: Fn()>(F);

impl<F: Fn()> Drop for Landed<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
