//! What a model cannot take, whatever its API: clamped or left out, and told.

use super::carry::Notes;
use crate::catalog::Quirks;
use crate::chat::Sampling;

/// The limit of the answer to send for the one that is asked for.
pub(super) fn max_tokens(sampling: &Sampling, quirks: &Quirks, notes: &mut Notes) -> Option<u32> {
    let asked = sampling.max_tokens?;
    let most = quirks.max_output.unwrap_or(u32::MAX);
    if asked > most {
        notes.warn("clamped_field", "max_tokens", format!("the model's most is {most}: sent instead"));
    }
    Some(asked.min(most))
}

/// Whether the model takes an effort of reasoning. If not, a request that asks for some is told.
pub(super) fn takes_effort(sampling: &Sampling, quirks: &Quirks, notes: &mut Notes) -> bool {
    let asked = [
        ("reasoning_effort", sampling.reasoning_effort.as_deref().is_some_and(|effort| effort != "none")),
        ("reasoning_budget", sampling.reasoning_budget.is_some_and(|budget| budget > 0)),
    ];
    for (name, _) in asked.iter().filter(|(_, is_asked)| quirks.no_reasoning_effort && *is_asked) {
        notes.unsupported(*name, "the model takes no effort of reasoning: not sent");
    }
    !quirks.no_reasoning_effort
}
