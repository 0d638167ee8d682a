//! Leaves out whole oldest turns until a conversation fits. Each step is a function of `Layout`, the conversation as
//! turns with their costs, so that further layers (clearing old tool results, a summary in place of what was dropped,
//! cutting to a low-water mark) go between laying out and dropping.

mod layout;
mod pairs;
#[cfg(test)]
mod properties;
mod refusal;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use schemas::chat::{ChatRequest, Message};
use schemas::job::ContextStrategy;
use schemas::state::{ContextReport, Warning};

use self::layout::{Layout, Turn};
pub use self::refusal::{Fault, Refusal, TooLarge};
use crate::budget::Budget;
use crate::tokens::Meter;

/// A request that fits its budget.
#[derive(Clone, PartialEq)]
pub struct Pruned<'a> {
    /// The request to send: the given one itself when nothing was left out.
    pub request: Cow<'a, ChatRequest>,
    /// What was left out.
    pub report: ContextReport,
    /// Repairs that the client should know of.
    pub warnings: Vec<Warning>,
}

/// Which messages of a request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Their indices, ascending; `None` for all of them.
    pub kept: Option<Vec<usize>>,
    /// What is left out.
    pub report: ContextReport,
    /// Repairs that the client should know of.
    pub warnings: Vec<Warning>,
}

/// Fits `request` into `budget`: [`plan`], carried out.
///
/// # Errors
/// As [`plan`].
pub fn prune<'a>(request: &'a ChatRequest, budget: &Budget, meter: &Meter<'_>) -> Result<Pruned<'a>, Refusal> {
    let plan = plan(request, budget, meter)?;
    Ok(Pruned { request: plan.apply(request), report: plan.report, warnings: plan.warnings })
}

/// Decides what of `request` to send, in time linear in it.
///
/// A turn begins at a user's message and holds everything up to the next one, so that tool calls and their results
/// stay together. With `auto`, what is sent
/// - holds every system and developer message, each in its place, and the newest turn whole;
/// - holds, of the other turns, the newest that fit;
/// - has no tool result without its call, nor a call without its result: an older turn with either is left out whole;
/// - begins, after system messages, with a user's message: what stands before the first one is left out.
///
/// A larger budget never keeps less, and what was pruned once is left alone the next time. With `disabled` all of the
/// request is sent or none.
///
/// # Errors
/// [`Refusal::TooLarge`] when what must be sent does not fit, [`Refusal::Unpaired`] when a tool call or result in it
/// lacks its counterpart, [`Refusal::NoUser`] when there is an answer but no user to have asked.
pub fn plan(request: &ChatRequest, budget: &Budget, meter: &Meter<'_>) -> Result<Plan, Refusal> {
    let costs: Vec<u64> = request.messages.iter().map(|message| meter.message(message)).collect();
    let overhead = meter.overhead(request);
    plan_costs(&request.messages, &costs, overhead, budget)
}

/// [`plan`] with each message's tokens and those of all else in the request already counted.
fn plan_costs(messages: &[Message], costs: &[u64], overhead: u64, budget: &Budget) -> Result<Plan, Refusal> {
    let layout = Layout::of(messages, costs);
    let total = overhead + costs.iter().sum::<u64>();
    let dropped = match budget.strategy {
        ContextStrategy::Auto => drop_oldest(&layout, overhead, budget)?,
        ContextStrategy::Disabled => keep_all(&layout, total, budget)?,
    };
    let tokens_after = total - dropped.iter().map(|turn| turn.cost).sum::<u64>();
    let kept = kept(messages, &dropped);
    Ok(Plan {
        report: ContextReport {
            messages_before: count(messages.len()),
            messages_after: count(kept.as_ref().map_or(messages.len(), Vec::len)),
            tokens_before: total,
            tokens_after,
        },
        warnings: dropped.iter().filter_map(|turn| turn.warning()).collect(),
        kept,
    })
}

/// Everything, or a refusal.
fn keep_all<'a>(layout: &Layout, total: u64, budget: &Budget) -> Result<Vec<&'a Turn>, Refusal> {
    if let Some(fault) = layout.turns().find_map(|turn| turn.fault) {
        return Err(Refusal::Unpaired(fault));
    }
    fits(total, budget)?;
    Ok(Vec::new())
}

/// The turns to leave out: those that cannot be sent, and the oldest of the others until the rest fits.
fn drop_oldest<'a>(layout: &'a Layout, overhead: u64, budget: &Budget) -> Result<Vec<&'a Turn>, Refusal> {
    let Some(newest) = &layout.newest else {
        return match layout.preamble {
            Some(_) => Err(Refusal::NoUser),
            None => fits(overhead + layout.pinned, budget).map(|()| Vec::new()),
        };
    };
    if let Some(fault) = newest.fault {
        return Err(Refusal::Unpaired(fault));
    }
    let mut tokens = overhead + layout.pinned + newest.cost;
    fits(tokens, budget)?;
    let mut full = false;
    let mut dropped: Vec<&Turn> = Vec::new();
    for turn in layout.older.iter().rev() {
        if turn.fault.is_some() {
            dropped.push(turn);
            continue;
        }
        full = full || tokens.saturating_add(turn.cost) > budget.limit();
        if full {
            dropped.push(turn);
        } else {
            tokens += turn.cost;
        }
    }
    dropped.extend(&layout.preamble);
    dropped.reverse();
    Ok(dropped)
}

fn fits(needed: u64, budget: &Budget) -> Result<(), Refusal> {
    if needed <= budget.limit() {
        return Ok(());
    }
    Err(Refusal::TooLarge(TooLarge { needed, budget: *budget }))
}

/// The indices outside of `dropped`, which is in order, and of every system message within it.
fn kept(messages: &[Message], dropped: &[&Turn]) -> Option<Vec<usize>> {
    if dropped.is_empty() {
        return None;
    }
    let mut dropped = dropped.iter().map(|turn| &turn.messages).peekable();
    let mut kept = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        while dropped.next_if(|range| range.end <= index).is_some() {}
        let within = dropped.peek().is_some_and(|range| range.contains(&index));
        if !within || message.role.is_system() {
            kept.push(index);
        }
    }
    Some(kept)
}

fn count(messages: usize) -> u32 {
    u32::try_from(messages).unwrap_or(u32::MAX)
}

impl Plan {
    /// The request to send: `request` itself when nothing is left out. What is left out is never copied.
    #[must_use]
    pub fn apply<'a>(&self, request: &'a ChatRequest) -> Cow<'a, ChatRequest> {
        let Some(kept) = &self.kept else {
            return Cow::Borrowed(request);
        };
        Cow::Owned(ChatRequest {
            model: request.model.clone(),
            messages: kept.iter().filter_map(|index| request.messages.get(*index)).cloned().collect(),
            tools: request.tools.clone(),
            tool_choice: request.tool_choice.clone(),
            parallel_tool_calls: request.parallel_tool_calls,
            sampling: request.sampling.clone(),
            response_format: request.response_format.clone(),
            stream: request.stream,
            user: request.user.clone(),
            extra: request.extra.clone(),
        })
    }
}
