//! The attempt ledger: every write copies the attempts of the record it replaces, and nothing in it is ever hidden.

use schemas::chat::Usage;
use schemas::error::Failure;
use schemas::state::{Attempt, Nonce, Outcome, deliveries};
use schemas::timestamp::Timestamp;

/// A provider request about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The provider's configured name.
    pub provider: String,
    /// The model's name there.
    pub model: String,
}

/// How a call went, for the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolution {
    /// Which attempt it was; `None` is the newest that stands open.
    pub number: Option<u32>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed.
    pub error: Option<Failure>,
    /// Tokens it cost.
    pub usage: Option<Usage>,
    /// What they cost, in millionths of a US dollar.
    pub cost_micros: Option<u64>,
}

impl Resolution {
    /// An end of which nothing more is known.
    #[must_use]
    pub const fn bare(outcome: Outcome) -> Self {
        Self { number: None, outcome, error: None, usage: None, cost_micros: None }
    }
}

/// Whether nobody knows what became of this attempt.
#[must_use]
pub const fn is_unresolved(attempt: &Attempt) -> bool {
    matches!(attempt.outcome, None | Some(Outcome::Ambiguous))
}

/// How many runs nobody knows the end of: they count towards poison; failures and parks do not. A call and its hedge are
/// lost with one worker, and count once.
#[must_use]
pub fn unresolved(attempts: &[Attempt]) -> usize {
    deliveries(attempts.iter().filter(|attempt| is_unresolved(attempt)))
}

/// `attempts` with open ones of `nonce` closed as `ends` tell, in their order. An end of what is not open is ignored.
#[must_use]
pub fn resolved(attempts: &[Attempt], nonce: &Nonce, ends: &[Resolution], now: Timestamp) -> Vec<Attempt> {
    let mut attempts = attempts.to_vec();
    for end in ends {
        let open = |attempt: &&mut Attempt| attempt.nonce == *nonce && attempt.outcome.is_none();
        let meant = |attempt: &&mut Attempt| end.number.is_none_or(|number| attempt.number == number);
        let Some(attempt) = attempts.iter_mut().rev().filter(open).find(meant) else { continue };
        attempt.outcome = Some(end.outcome);
        attempt.ended_at = Some(now);
        attempt.error.clone_from(&end.error);
        attempt.usage = end.usage;
        attempt.cost_micros = end.cost_micros;
    }
    attempts
}

/// Closes what is still open with `outcome`: its holder is gone, or the job has ended under it.
#[must_use]
pub fn closed(attempts: &[Attempt], outcome: Outcome, now: Timestamp) -> Vec<Attempt> {
    let close = |attempt: &Attempt| match attempt.outcome {
        Some(_) => attempt.clone(),
        None => Attempt { outcome: Some(outcome), ended_at: Some(now), ..attempt.clone() },
    };
    attempts.iter().map(close).collect()
}

/// `attempts` and one more, open.
#[must_use]
pub fn opened(mut attempts: Vec<Attempt>, nonce: &Nonce, plan: &Plan, now: Timestamp) -> Vec<Attempt> {
    let number = u32::try_from(attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
    attempts.push(Attempt {
        number,
        nonce: nonce.clone(),
        provider: plan.provider.clone(),
        model: plan.model.clone(),
        started_at: now,
        ended_at: None,
        outcome: None,
        error: None,
        usage: None,
        cost_micros: None,
        hedge: false,
    });
    attempts
}

/// `attempts` and one more beside the one that runs.
#[must_use]
pub fn hedged(attempts: Vec<Attempt>, nonce: &Nonce, plan: &Plan, now: Timestamp) -> Vec<Attempt> {
    let mut attempts = opened(attempts, nonce, plan, now);
    if let Some(hedge) = attempts.last_mut() {
        hedge.hedge = true;
    }
    attempts
}

/// The ledger of `theirs` with what `mine` knows better: my own attempts as I saw them end, whatever else they have kept.
/// One of `nonce`, mine, that I do not know was recorded by a write whose answer I did not wait for: it was never sent.
/// What then is still open belongs to somebody who will never tell: it is ambiguous.
#[must_use]
pub fn merged(theirs: &[Attempt], mine: &[Attempt], nonce: &Nonce, now: Timestamp) -> Vec<Attempt> {
    let same = |a: &Attempt, b: &Attempt| a.nonce == b.nonce && a.number == b.number;
    let aborted = |attempt: &Attempt| Attempt {
        outcome: attempt.outcome.or(Some(Outcome::Aborted)),
        ended_at: attempt.ended_at.or(Some(now)),
        ..attempt.clone()
    };
    let known = |attempt: &Attempt| match mine.iter().find(|known| same(known, attempt)) {
        Some(known) => known.clone(),
        None if attempt.nonce == *nonce => aborted(attempt),
        None => attempt.clone(),
    };
    let mut ledger: Vec<_> = theirs.iter().map(known).collect();
    let missing = mine.iter().filter(|known| !theirs.iter().any(|attempt| same(known, attempt)));
    ledger.extend(missing.cloned());
    closed(&ledger, Outcome::Ambiguous, now)
}
