//! Makes a conversation fit: old tool results are cleared, whole oldest turns dropped, and a summary put in their place,
//! so that its beginning stays the same for as many requests as can be. [`plan`] decides, [`Plan::apply`] carries out.

#[cfg(test)]
mod accepted;
mod clear;
mod layout;
mod marks;
mod pairs;
mod plan;
#[cfg(test)]
mod properties;
mod refusal;
mod replay;
mod summary;
#[cfg(test)]
mod tests;
mod turn;

use std::borrow::Cow;

use schemas::chat::ChatRequest;
use schemas::state::ContextReport;
use schemas::warning::Warning;

pub use self::plan::{Plan, Saved, plan};
pub use self::refusal::{Fault, Refusal, TooLarge};
pub use self::summary::Summary;
use crate::budget::Budget;
use crate::tokens::Meter;

/// A request that fits its budget.
#[derive(Clone, PartialEq)]
pub struct Pruned<'a> {
    /// The request to send: the given one itself when nothing was left out.
    pub request: Cow<'a, ChatRequest>,
    /// What was left out.
    pub report: ContextReport,
    /// What each layer saved.
    pub saved: Saved,
    /// Repairs that the client should know of.
    pub warnings: Vec<Warning>,
}

/// Fits `request` into `budget`: [`plan`], carried out. `summary` is that of the conversation's beginning, if its session
/// has one.
///
/// # Errors
/// As [`plan`].
pub fn prune<'a>(
    request: &'a ChatRequest,
    budget: &Budget,
    meter: &Meter<'_>,
    summary: Option<&Summary>,
) -> Result<Pruned<'a>, Refusal> {
    let plan = plan(request, budget, meter, summary)?;
    let (report, saved) = (plan.report, plan.saved);
    let pruned = plan.apply(request);
    Ok(Pruned { request: pruned, report, saved, warnings: plan.warnings })
}
