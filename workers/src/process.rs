//! One job's way through a worker, in a straight line: route, claim, run, settle.

use std::time::Duration;

use broker::{Claimed, Delivery, Gone, Lease, Plan, Resolution};
use schemas::chat::Usage;
use schemas::error::{Category, ErrorCode};
use schemas::job::OnAmbiguous;
use schemas::state::{Attempt, JobResult, Outcome, Phase};
use schemas::timestamp::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;

use crate::account;
use crate::ending::Ending;
use crate::flight::Flight;
use crate::provider::limit::Place;
use crate::provider::route::Route;
use crate::rounds::{Rounds, first_plan};
use crate::session;
use crate::waste::Reason;
use crate::worker::Worker;

/// Runs a delivered job as far as it goes now. Every outcome is settled with the broker; nothing is returned.
pub(crate) async fn process(worker: &Worker, delivery: Delivery) {
    let head = &delivery.job.head;
    let span = tracing::info_span!(
        "job",
        job_id = %delivery.job.id.job(),
        trace_id = %head.trace_id,
        session_id = head.session.as_deref().unwrap_or_default(),
        model = %head.model,
    );
    Box::pin(claim_and_run(worker, delivery)).instrument(span).await;
}

async fn claim_and_run(worker: &Worker, delivery: Delivery) {
    let started = Instant::now();
    if let Some(wait) = session::held_back(worker, &delivery.job).await {
        return delivery.put_off(wait).await;
    }
    let (id, head) = (delivery.job.id, delivery.job.head.clone());
    let mut route = worker.providers.route(&head.model, head.provider.as_deref(), worker.broker.now());
    let place = match take_place(worker, &mut route, head.deadline) {
        Ok(place) => place,
        Err(wait) => return delivery.put_off(wait).await,
    };
    let plan = first_plan(&route);
    let repeated = worker.seen.seen(delivery.job.id).await == Some(true);
    let began = worker.broker.now();
    match delivery.claim(plan.as_ref(), repeated).await {
        Ok(Claimed::Won(lease)) => {
            account::taken_over(worker, &lease, began).await;
            Box::pin(run(worker, *lease, (route, place), started)).await;
        }
        Ok(Claimed::Settled(outcome)) => tracing::debug!(outcome, "delivery settled without a claim"),
        Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "job not claimed"),
    }
    session::settle(worker, id, &head).await;
}

/// A place for the first request of `route`, before anything is written for it: a job that finds all of its providers
/// full would wait in a slot that others need. Past its deadline, its claim ends it.
///
/// # Errors
/// How long to put it off.
fn take_place(worker: &Worker, route: &mut Route<'_>, deadline: Option<Timestamp>) -> Result<Option<Place>, Duration> {
    let (Route::Go(candidates), now) = (route, worker.broker.now()) else { return Ok(None) };
    let left = deadline.map_or(Duration::MAX, |deadline| deadline.since(now));
    if left.is_zero() {
        return Ok(None);
    }
    worker.providers.take_place(candidates, now).map(Some).map_err(|wait| wait.min(left))
}

async fn run(worker: &Worker, lease: Lease, way: (Route<'_>, Option<Place>), started: Instant) {
    let _running = Running::enter(worker);
    observe_wait(worker, &lease);
    let flight = Flight::default();
    let outcome = tokio::select! {
        outcome = Rounds::run(worker, &lease, way, &flight) => outcome,
        gone = lease.keep() => Err(gone),
        () = until(worker, lease.job.head.deadline) => {
            account::dropped(worker, &flight, Reason::Cancelled);
            Ok(Ending::expired(&flight))
        }
        () = worker.give_up.cancelled() => match interrupted(worker, &lease, &flight) {
            Some(ending) => Ok(ending),
            None => return release(worker, lease).await,
        },
    };
    match outcome {
        Ok(ending) => settle(worker, lease, ending, started).await,
        Err(Gone::Finished) => {
            worker.metrics.interrupted.with_label_values(&["ended_elsewhere"]).inc();
            account::ended_elsewhere(worker, lease.job.id, &lease.job.head.tenant, &flight);
            tracing::info!("job ended elsewhere: its call was dropped");
            lease.finished_elsewhere().await;
        }
        Err(Gone::Lost) => {
            worker.metrics.interrupted.with_label_values(&["lease_lost"]).inc();
            tracing::warn!("lease lost: the job's call was dropped");
        }
    }
}

async fn settle(worker: &Worker, lease: Lease, ending: Ending, started: Instant) {
    match ending {
        Ending::Park { until, reason, ends } => {
            worker.metrics.parked.with_label_values(&[reason]).inc();
            let until = lease.job.head.deadline.map_or(until, |deadline| deadline.min(until));
            tracing::info!(reason, until = %until, "job parked");
            if let Err(error) = lease.park(until, reason, &ends).await {
                tracing::error!(error = &error as &dyn std::error::Error, "job not parked: its lease will lapse");
            }
        }
        Ending::Finish { phase, mut result, ends } => {
            let (id, head) = (lease.job.id, lease.job.head.clone());
            // Nobody would replay a summary.
            result.dead &= head.summarizes.is_none();
            let ledger = lease.ledger(&ends).await;
            let summary = Summary::of(phase, &result, ledger.len(), started.elapsed());
            // Who answered; nobody did where the job ends otherwise.
            let answered = result.provider.as_ref().and_then(|_| answered(&ledger, &ends));
            let since = worker.broker.now().since(head.created_at);
            match lease.finish(phase, *result, &ends).await {
                Ok(true) => summary.record(worker, &head, since),
                Ok(false) => {
                    worker.metrics.discarded.inc();
                    if let Some((plan, end)) = answered {
                        account::lost_result(worker, id, &head.tenant, &plan, &end);
                    }
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "result not stored: the job runs again");
                    if let Some((plan, end)) = answered {
                        account::lost_result(worker, id, &head.tenant, &plan, &end);
                    }
                }
            }
        }
    }
}

/// How a job is given back by a worker that stops. `None` when nothing has been sent of it yet.
fn interrupted(worker: &Worker, lease: &Lease, flight: &Flight) -> Option<Ending> {
    let now = worker.broker.now();
    if !flight.sent().is_empty() {
        account::dropped(worker, flight, Reason::Ambiguous);
        return Some(Ending::interrupted(flight, lease.job.head.on_ambiguous == OnAmbiguous::Retry, now));
    }
    let ends = Some(flight.all_ends(Outcome::Aborted)).filter(|_| !flight.ends().is_empty());
    ends.map(|ends| Ending::Park { until: now, reason: "worker_stopping", ends })
}

/// The attempt that answered, and how it ended.
fn answered(ledger: &[Attempt], ends: &[Resolution]) -> Option<(Plan, Resolution)> {
    let attempt = ledger.iter().rfind(|attempt| attempt.outcome == Some(Outcome::Ok))?;
    let plan = Plan { provider: attempt.provider.clone(), model: attempt.model.clone() };
    Some((plan, ends.iter().find(|end| end.outcome == Outcome::Ok)?.clone()))
}

async fn release(worker: &Worker, lease: Lease) {
    worker.metrics.interrupted.with_label_values(&["worker_stopping"]).inc();
    if let Err(error) = lease.release().await {
        tracing::error!(error = &error as &dyn std::error::Error, "job not given back: its lease will lapse");
    }
}

async fn until(worker: &Worker, deadline: Option<Timestamp>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.since(worker.broker.now())).await,
        None => std::future::pending().await,
    }
}

fn observe_wait(worker: &Worker, lease: &Lease) {
    let head = &lease.job.head;
    let ready = head.not_before.map_or(head.created_at, |moment| moment.max(head.created_at));
    let waited = worker.broker.now().since(ready);
    worker.metrics.queue_seconds.with_label_values(&[<&str>::from(head.lane)]).observe(waited.as_secs_f64());
}

/// What is counted and logged of a job that ended here: all but its output, which may be large.
struct Summary {
    phase: Phase,
    provider: Option<String>,
    model: Option<String>,
    usage: Option<Usage>,
    code: Option<ErrorCode>,
    dead: bool,
    attempts: usize,
    took: Duration,
}

impl Summary {
    fn of(phase: Phase, result: &JobResult, attempts: usize, took: Duration) -> Self {
        Self {
            phase,
            provider: result.provider.clone(),
            model: result.model.clone(),
            usage: result.usage,
            code: result.error.as_ref().map(|failure| failure.code),
            dead: result.dead,
            attempts,
            took,
        }
    }

    fn record(self, worker: &Worker, head: &schemas::job::JobHead, since: Duration) {
        let code = self.code;
        let fault = code.is_some_and(|code| code.category() != Category::Client);
        let (status, metrics): (&str, _) = (self.phase.into(), &worker.metrics);
        metrics.finished.with_label_values(&[status, head.lane.into()]).inc();
        metrics.run_seconds.observe(self.took.as_secs_f64());
        metrics.attempts.observe(self.attempts as f64);
        worker.totals.ended(!fault, since);
        let outcome = if code.is_none() { "success" } else { "error" };
        worker.chat.requests_total.with_label_values(&[outcome]).inc();
        worker.chat.request_duration_seconds.with_label_values(&["job"]).observe(since.as_secs_f64());
        self.record_tokens(worker);
        if let Some(code) = code {
            metrics.errors.with_label_values(&[<&str>::from(code)]).inc();
        }
        if self.dead {
            metrics.dead.inc();
            worker.totals.died();
            worker.alarm.dead_letter(&head.model, code.map_or("none", Into::into));
        }
        tracing::info!(
            status,
            outcome,
            attempts = self.attempts,
            provider = self.provider.as_deref().unwrap_or_default(),
            error.code = code.map_or("", Into::into),
            duration_ms = self.took.as_millis() as u64,
            "job ended"
        );
    }

    fn record_tokens(&self, worker: &Worker) {
        let Some((usage, model)) = self.usage.zip(self.model.as_deref()) else { return };
        let model = worker.known_model(self.provider.as_deref(), model);
        let counts = [
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cached", usage.cached_tokens),
            ("reasoning", usage.reasoning_tokens),
        ];
        for (kind, count) in counts {
            worker.chat.tokens_total.with_label_values(&[model, kind]).inc_by(count);
        }
    }
}

/// Counts a job as running for as long as it lives.
struct Running<'a>(&'a Worker);

impl<'a> Running<'a> {
    fn enter(worker: &'a Worker) -> Self {
        worker.chat.concurrent_sessions.inc();
        worker.totals.began();
        Self(worker)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.chat.concurrent_sessions.dec();
        self.0.totals.stopped();
    }
}
