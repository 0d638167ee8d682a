//! A request and its hedge: when the first is slow to speak, a second one is sent beside it. Whichever speaks first goes
//! on, and the other is hung up on. Both are in the ledger before they are sent; there are never more than two.

use std::collections::VecDeque;
use std::pin::pin;

use broker::{Gone, Plan, Resolution};
use schemas::catalog::{Candidate, Prices};
use schemas::state::Outcome;

use super::leg::{Leg, Ready, Sign};
use super::{Rounds, plan};
use crate::emit;
use crate::provider::call::{Answer, CallError};
use crate::waste::Reason;

/// How a request, or a request and its hedge, ended.
pub(super) struct Landing {
    /// The one that went on.
    pub(super) number: u32,
    pub(super) plan: Plan,
    pub(super) prices: Prices,
    pub(super) outcome: Result<Answer, CallError>,
    /// The failure of the other, if it failed before; it is noted already.
    pub(super) earlier: Option<CallError>,
}

impl<'a> Rounds<'a> {
    /// Sends `first`, and one of `left` beside it if it is silent for too long.
    pub(super) async fn fly(
        &mut self,
        mut first: Leg<'a>,
        left: &mut VecDeque<Candidate<'a>>,
    ) -> Result<Landing, Gone> {
        let Some(patience) = self.hedge_after.filter(|_| !left.is_empty()) else {
            return Ok(self.follow(first, None).await);
        };
        if let Ok(sign) = tokio::time::timeout(patience, first.sign()).await {
            return Ok(self.follow(first, Some(sign)).await);
        }
        let ready = tokio::select! {
            biased;
            sign = first.sign() => return Ok(self.follow(first, Some(sign)).await),
            ready = self.ready_beside(left) => ready,
        };
        let Some(ready) = ready else {
            return Ok(self.follow(first, None).await);
        };
        match self.record_beside(&mut first, ready).await? {
            Ok(second) => Ok(self.race(first, second).await),
            Err(sign) => Ok(self.follow(first, Some(sign)).await),
        }
    }

    /// The first of `left` that can be asked at once; it is no longer left then.
    async fn ready_beside(&self, left: &mut VecDeque<Candidate<'a>>) -> Option<Ready<'a>> {
        for index in 0..left.len() {
            let candidate = left.get(index)?.clone();
            if let Ok(ready) = self.ready(candidate, None, std::time::Duration::ZERO).await {
                left.remove(index);
                return Some(ready);
            }
        }
        None
    }

    /// Puts the hedge on record while `first` goes on: it, about to be sent, or what `first` said meanwhile.
    async fn record_beside(&self, first: &mut Leg<'a>, ready: Ready<'a>) -> Result<Result<Leg<'a>, Sign>, Gone> {
        let plan = plan(&ready.admitted.candidate);
        let said = {
            let mut record = pin!(self.lease.hedge(&plan));
            tokio::select! {
                biased;
                sign = first.sign() => {
                    // A write that nobody waited for would leave the ledger unknown to us.
                    match record.await {
                        Ok(()) => Some(sign),
                        // An answer outlives its lease: finishing it finds out whose result counts.
                        Err(Gone::Lost) if sign.is_answer() => return Ok(Err(sign)),
                        Err(gone) => return Err(gone),
                    }
                }
                stored = &mut record => stored.map(|()| None)?,
            }
        };
        let ledger = self.lease.ledger(&[]).await;
        if let Some(sign) = said {
            let number = ledger.last().map(|attempt| attempt.number);
            self.flight.ended(Resolution { number, ..Resolution::bare(Outcome::Aborted) });
            return Ok(Err(sign));
        }
        self.lease.before_call().await?;
        Ok(Ok(self.launch(ready, &ledger)))
    }

    /// Both are sent: whichever decides the matter goes on.
    async fn race(&mut self, mut first: Leg<'a>, mut second: Leg<'a>) -> Landing {
        let (sign, one, other) = tokio::select! {
            biased;
            sign = first.sign() => (sign, first, second),
            sign = second.sign() => (sign, second, first),
        };
        if let Sign::End(outcome) = &sign
            && let Err(error) = outcome.as_ref()
            && !one.ends_job_by(error)
        {
            self.flight.land(one.number());
            self.note_failure(one.number(), &one.plan, one.prices, error);
            let landing = self.follow(other, None).await;
            return Landing { earlier: Some(error.clone()), ..landing };
        }
        self.hang_up(other);
        self.follow(one, Some(sign)).await
    }

    fn hang_up(&self, leg: Leg<'a>) {
        let sent = self.flight.land(leg.number());
        drop(leg);
        if let Some(sent) = sent {
            let end = sent.dropped(Outcome::Cancelled);
            tracing::info!(provider = %sent.plan.provider, upstream = %sent.plan.model, "hedged request dropped");
            self.worker.wasted(Reason::HedgeLost, &sent.plan, &end);
            self.flight.ended(end);
        }
    }

    /// Goes on with `leg` to its end, after `sign` of it. What it says is published.
    async fn follow(&mut self, leg: Leg<'a>, sign: Option<Sign>) -> Landing {
        let Leg { plan, prices, notes, origin, call, deltas, .. } = leg;
        self.notes = notes;
        let (first, ended) = match sign {
            None => (None, None),
            Some(Sign::Piece(delta)) => (Some(delta), None),
            Some(Sign::End(outcome)) => (None, Some(*outcome)),
        };
        let end = async {
            match ended {
                Some(outcome) => outcome,
                None => call.await,
            }
        };
        let outcome = if let Some(deltas) = deltas {
            let (broker, coalesce) = (&self.worker.broker, self.worker.config.worker.coalesce);
            let frames = emit::emit(broker, origin, coalesce, self.flight, first, deltas);
            let (outcome, trace) = tokio::join!(end, frames);
            self.notes.trace = Some(trace);
            outcome
        } else {
            end.await
        };
        self.flight.land(origin.attempt);
        Landing { number: origin.attempt, plan, prices, outcome, earlier: None }
    }
}
