//! What of a request to send: the steps of pruning put together.

use std::borrow::Cow;

use schemas::chat::{ChatRequest, Extra, Message};
use schemas::context::ContextStrategy;
use schemas::state::ContextReport;
use schemas::warning::Warning;

use super::layout::Layout;
use super::marks;
use super::refusal::{Refusal, TooLarge};
use super::replay::{self, Aims, Cut};
use super::summary::{StandIn, Summary};
use super::turn::Turn;
use crate::budget::Budget;
use crate::tokens::Meter;

/// What of a request to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The indices of the messages, ascending; `None` for all of them.
    pub kept: Option<Vec<usize>>,
    /// Those of them, ascending, that are sent with tool results cleared, as they are then.
    pub cleared: Vec<(usize, Message)>,
    /// The message that stands in for dropped turns, behind the leading system messages.
    pub summary: Option<Message>,
    /// The last mark of a prompt cache in all of the messages, system messages aside.
    pub mark: Option<Extra>,
    /// What is left out.
    pub report: ContextReport,
    /// What each layer saves.
    pub saved: Saved,
    /// Repairs that the client should know of.
    pub warnings: Vec<Warning>,
}

/// Tokens that each layer of pruning saves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Saved {
    /// Cleared tool results.
    pub cleared: u64,
    /// Turns that are left out.
    pub dropped: u64,
    /// What a summary in their place costs.
    pub summary: u64,
}

/// Decides what of `request` to send, in time linear in it.
///
/// A turn begins at a user's message and holds everything up to the next one, so that tool calls and their results
/// stay together. With `auto`, what is sent
/// - is never more than the budget, to the token, and holds every system and developer message, each in its place, and
///   the newest turn whole;
/// - has no tool result without its call, nor a call without its result: an older turn with either is left out whole;
/// - begins, after system messages, with a user's message: what stands before the first one is left out.
///
/// What does not fit is cut to the low-water mark: the oldest tool results are cleared, but for the newest tool uses,
/// then the oldest turns dropped. The cut is the one that the conversation comes to when every point of it at which a
/// request may end is taken for one, from the first message on, and it stays until the budget is full again. So it needs
/// no memory, and requests that follow each other begin alike; one with another budget or other tools may come to
/// another cut. What is cut leaves at least the low-water mark, unless the youngest thing left out would not have fitted
/// beside the rest. With `low_water` 1 a larger budget never keeps a message less, where neither `keep_recent` nor a
/// bound of clearing changes the order in which things make room. What was pruned once is left alone the next time.
/// With `disabled` all of the request is sent or none.
///
/// # Errors
/// [`Refusal::TooLarge`] when what must be sent does not fit, [`Refusal::Unpaired`] when a tool call or result in it
/// lacks its counterpart, [`Refusal::NoUser`] when there is an answer but no user to have asked.
pub fn plan(
    request: &ChatRequest,
    budget: &Budget,
    meter: &Meter<'_>,
    summary: Option<&Summary>,
) -> Result<Plan, Refusal> {
    let costs = meter.messages(&request.messages);
    let summary = summary.filter(|summary| budget.summarize && summary.is_of_use()).map(Summary::stand_in);
    let costs = Costs {
        messages: &costs,
        overhead: meter.overhead(request),
        cleared: &|_, message| meter.message(message),
        summary: summary.as_ref().map_or(0, |summary| meter.message(&summary.message)),
    };
    plan_costs(&request.messages, &costs, budget, summary)
}

/// What everything costs.
pub(super) struct Costs<'a> {
    /// Each message.
    pub(super) messages: &'a [u64],
    /// What is no message's.
    pub(super) overhead: u64,
    /// The message at an index, cleared.
    pub(super) cleared: &'a dyn Fn(usize, &Message) -> u64,
    /// The summary.
    pub(super) summary: u64,
}

/// [`plan`] with the tokens counted.
pub(super) fn plan_costs(
    messages: &[Message],
    costs: &Costs<'_>,
    budget: &Budget,
    summary: Option<StandIn>,
) -> Result<Plan, Refusal> {
    let total = costs.overhead + costs.messages.iter().sum::<u64>();
    let threshold = budget.clear.as_ref().and_then(|clear| clear.trigger).unwrap_or(u64::MAX).min(budget.limit());
    // What always fitted was never cleared.
    let clearing = budget.clear.as_ref().filter(|_| total > threshold);
    let layout = Layout::of(messages, costs.messages, clearing, costs.cleared);
    let draft = Draft { messages, layout, total };
    match budget.room.strategy {
        ContextStrategy::Auto => draft.cut(costs, budget, summary),
        ContextStrategy::Disabled => draft.keep_all(budget),
    }
}

/// A conversation of which nothing is decided.
struct Draft<'a> {
    messages: &'a [Message],
    layout: Layout,
    total: u64,
}

impl Draft<'_> {
    /// Everything, or a refusal.
    fn keep_all(self, budget: &Budget) -> Result<Plan, Refusal> {
        if let Some(fault) = self.layout.turns.iter().find_map(|turn| turn.fault) {
            return Err(Refusal::Unpaired(fault));
        }
        fits(self.total, budget)?;
        let messages = count(self.messages.len());
        let report = ContextReport {
            messages_before: messages,
            messages_after: messages,
            tokens_before: self.total,
            tokens_after: self.total,
            prefix_stable: true,
            ..ContextReport::default()
        };
        let saved = Saved::default();
        Ok(Plan { kept: None, cleared: Vec::new(), summary: None, mark: None, report, saved, warnings: Vec::new() })
    }

    /// What is left when it is cut.
    fn cut(self, costs: &Costs<'_>, budget: &Budget, summary: Option<StandIn>) -> Result<Plan, Refusal> {
        match self.layout.newest() {
            Some(Turn { fault: Some(fault), .. }) => return Err(Refusal::Unpaired(*fault)),
            None if !self.layout.turns.is_empty() => return Err(Refusal::NoUser),
            _ => {}
        }
        let cut_with = |aims| replay::cut(&self.layout, costs.overhead, aims);
        if let Some(StandIn { message, always }) = summary {
            let cut = cut_with(Aims { always, ..Aims::of(budget, costs.summary) });
            if cut.is_dropped && cut.tokens <= budget.limit() {
                return Ok(self.carry_out(cut, costs.summary, Some(message)));
            }
        }
        let cut = cut_with(Aims::of(budget, 0));
        fits(cut.tokens, budget)?;
        Ok(self.carry_out(cut, 0, None))
    }

    /// `summary` stands in for what the cut drops and costs so much.
    fn carry_out(self, cut: Cut, cost: u64, summary: Option<Message>) -> Plan {
        let Layout { steps, turns, marked } = self.layout;
        let is_sent = |turn: usize| turn >= cut.turns && turns[turn].is_sound();
        let warnings = turns.iter().filter_map(Turn::warning).collect();
        let mut kept = Vec::with_capacity(steps.len());
        let mut cleared = Vec::new();
        let (mut saved, mut results) = (Saved { summary: cost, ..Saved::default() }, 0);
        for (index, step) in steps.into_iter().enumerate() {
            if !step.turn.is_none_or(is_sent) {
                saved.dropped += step.cost;
                continue;
            }
            kept.push(index);
            if let Some(copy) = step.cleared.filter(|_| index < cut.cleared) {
                saved.cleared += step.cost - copy.cost;
                results += copy.results;
                cleared.extend(self.messages.get(index).map(|message| (index, copy.of(message))));
            }
        }
        let report = ContextReport {
            messages_before: count(self.messages.len()),
            messages_after: count(kept.len() + usize::from(summary.is_some())),
            tokens_before: self.total,
            tokens_after: cut.tokens,
            tool_results_cleared: results,
            tokens_cleared: saved.cleared,
            summary_used: summary.is_some(),
            prefix_stable: cut.is_stable,
        };
        let kept = Some(kept).filter(|kept| kept.len() < self.messages.len());
        let mark = marked.and_then(|index| marks::last(&self.messages[..=index]));
        Plan { kept, cleared, summary, mark, report, saved, warnings }
    }
}

fn fits(needed: u64, budget: &Budget) -> Result<(), Refusal> {
    if needed <= budget.limit() {
        return Ok(());
    }
    Err(Refusal::TooLarge(TooLarge { needed, room: budget.room }))
}

fn count(messages: usize) -> u32 {
    u32::try_from(messages).unwrap_or(u32::MAX)
}

impl Plan {
    /// Whether all of the request is sent as it is.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.kept.is_none() && self.cleared.is_empty() && self.summary.is_none()
    }

    /// The request to send: `request` itself when nothing is left out. What is left out is never copied.
    #[must_use]
    pub fn apply<'a>(&self, request: &'a ChatRequest) -> Cow<'a, ChatRequest> {
        if self.is_whole() {
            return Cow::Borrowed(request);
        }
        Cow::Owned(ChatRequest {
            model: request.model.clone(),
            messages: self.messages(&request.messages),
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

    /// What is sent of `messages`.
    fn messages(&self, messages: &[Message]) -> Vec<Message> {
        let mut cleared = self.cleared.iter().peekable();
        let mut pick = |index: usize| match cleared.next_if(|(at, _)| *at == index) {
            Some((_, copy)) => Some(copy.clone()),
            None => messages.get(index).cloned(),
        };
        let mut sent: Vec<Message> = match &self.kept {
            Some(kept) => kept.iter().filter_map(|index| pick(*index)).collect(),
            None => (0..messages.len()).filter_map(pick).collect(),
        };
        if let Some(summary) = &self.summary {
            let leading = messages.iter().take_while(|message| message.role.is_system()).count();
            sent.insert(leading, summary.clone());
        }
        if let Some(mark) = &self.mark {
            marks::rescue(mark, &mut sent);
        }
        sent
    }
}
