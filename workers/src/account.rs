//! What calls cost that gave their job no answer: counted, and told where no record can hold it any more.

use broker::{Lease, Plan, Resolution};
use schemas::id::JobId;
use schemas::state::{Attempt, Outcome};
use schemas::timestamp::Timestamp;

use crate::flight::Flight;
use crate::waste::Reason;
use crate::worker::Worker;

/// Counts the calls whose fate became ambiguous by a claim that began at `began`: their workers are lost.
pub(crate) async fn taken_over(worker: &Worker, lease: &Lease, began: Timestamp) {
    for attempt in closed_since(&lease.ledger(&[]).await, began) {
        let plan = Plan { provider: attempt.provider.clone(), model: attempt.model.clone() };
        let usage = attempt.usage;
        let end = Resolution { usage, cost_micros: attempt.cost_micros, ..Resolution::bare(Outcome::Ambiguous) };
        worker.wasted(Reason::Ambiguous, &plan, &end);
    }
}

/// Counts the calls that are dropped now, if any are on their way.
pub(crate) fn dropped(worker: &Worker, flight: &Flight, reason: Reason) {
    for sent in flight.sent() {
        worker.wasted(reason, &sent.plan, &sent.dropped(Outcome::Cancelled));
    }
}

/// Tells what the calls cost that are dropped now because its job has ended elsewhere.
pub(crate) fn ended_elsewhere(worker: &Worker, id: JobId, tenant: &str, flight: &Flight) {
    dropped(worker, flight, Reason::Cancelled);
    for sent in flight.sent() {
        tell(id, tenant, &sent.plan, &sent.dropped(Outcome::Cancelled));
    }
}

/// Counts, and tells, an answer that found its job ended.
pub(crate) fn lost_result(worker: &Worker, id: JobId, tenant: &str, plan: &Plan, end: &Resolution) {
    worker.wasted(Reason::LostResult, plan, end);
    tell(id, tenant, plan, end);
}

/// The usage event of a call whose cost is in no record: an ended one is never replaced.
fn tell(id: JobId, tenant: &str, plan: &Plan, end: &Resolution) {
    let Some(usage) = end.usage else { return };
    tracing::warn!(
        event = "usage_without_record",
        job_id = %id.job(),
        tenant,
        provider = plan.provider,
        upstream = plan.model,
        outcome = <&str>::from(end.outcome),
        input_tokens = usage.input_tokens,
        output_tokens = usage.output_tokens,
        cost_micros = end.cost_micros,
        "tokens were spent that no job's record holds"
    );
}

fn closed_since(ledger: &[Attempt], began: Timestamp) -> impl Iterator<Item = &Attempt> {
    let ambiguous = |attempt: &&Attempt| attempt.outcome == Some(Outcome::Ambiguous);
    ledger.iter().filter(ambiguous).filter(move |attempt| attempt.ended_at.is_some_and(|ended| ended >= began))
}

#[cfg(test)]
mod tests {
    use schemas::state::Nonce;

    use super::*;

    #[test]
    fn each_take_over_counts_what_it_closed() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let attempt = |number: u32, ended: Option<i64>, outcome| Attempt {
            number,
            nonce: Nonce::new(number.into()),
            provider: "p".to_owned(),
            model: "m".to_owned(),
            started_at: at(0),
            ended_at: ended.map(at),
            outcome,
            error: None,
            usage: None,
            cost_micros: None,
            hedge: false,
        };
        let ledger = [
            attempt(1, Some(10), Some(Outcome::Ambiguous)),
            attempt(2, Some(50), Some(Outcome::Failed)),
            attempt(3, Some(50), Some(Outcome::Ambiguous)),
            attempt(4, None, None),
        ];
        let closed = |began| closed_since(&ledger, at(began)).map(|attempt| attempt.number).collect::<Vec<_>>();
        assert_eq!((closed(5), closed(50), closed(51)), (vec![1, 3], vec![3], vec![]));
    }
}
