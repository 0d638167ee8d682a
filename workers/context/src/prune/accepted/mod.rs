//! Two hundred turns with tools, request by request: what is sent of them is taken by providers, and begins as it did the
//! turn before.

mod anthropic;
mod openai;
mod talk;

use std::cell::RefCell;
use std::collections::HashMap;

use schemas::catalog::Quirks;
use schemas::chat::{ChatRequest, Message, Role, Sampling, Tool};
use schemas::context::ContextStrategy;
use schemas::dialect::{anthropic as messages_api, openai_chat};
use serde_json::{Value, json};

use super::plan::{Costs, plan_costs};
use super::*;
use crate::budget::Room;
use crate::tokens::{Counter, Tokenizer};

const TURNS: usize = 200;
const AGENT: talk::Shape = talk::Shape { asked: (5, 60), answered: (20, 160), told: (10, 120), told_long: (300, 900) };

/// A conversation with its tokens counted.
struct History {
    messages: Vec<Message>,
    costs: Vec<u64>,
    counter: Counter,
    cleared: RefCell<HashMap<usize, u64>>,
}

impl History {
    fn new(seed: u64) -> Self {
        let messages = talk::talk(seed, TURNS, &AGENT);
        let counter = Counter::new(0);
        let meter = counter.meter(Tokenizer::of_name("gpt-4o"));
        let costs = meter.messages(&messages);
        Self { messages, costs, counter, cleared: RefCell::default() }
    }

    fn total(&self) -> u64 {
        self.costs.iter().sum()
    }

    /// The points at which a provider is called: before each answer.
    fn calls(&self) -> impl Iterator<Item = usize> {
        (1..self.messages.len()).filter(|end| self.messages[*end].role == Role::Assistant)
    }

    fn plan(&self, end: usize, budget: &Budget) -> Plan {
        let meter = self.counter.meter(Tokenizer::of_name("gpt-4o"));
        let count = |index: usize, copy: &Message| {
            *self.cleared.borrow_mut().entry(index).or_insert_with(|| meter.message(copy))
        };
        let costs = Costs { messages: &self.costs[..end], overhead: 3, cleared: &count, summary: 0 };
        plan_costs(&self.messages[..end], &costs, budget, None).unwrap()
    }

    fn request(&self, end: usize, plan: &Plan) -> ChatRequest {
        let messages = self.messages[..end].to_vec();
        let tool =
            |name: &str| Tool { name: name.to_owned(), parameters: Some(json!({"type": "object"})), ..Tool::default() };
        let tools = ["search", "read_file", "run_query", "memory"].map(tool).to_vec();
        let sampling = Sampling { max_tokens: Some(8192), reasoning_budget: Some(2048), ..Sampling::default() };
        plan.apply(&ChatRequest { messages, tools, sampling, ..ChatRequest::default() }).into_owned()
    }
}

fn default_budget(limit: u64) -> Budget {
    let window = u32::try_from(limit).unwrap();
    Budget::of(Room { window, reserve_output: 0, cap: None, strategy: ContextStrategy::Auto })
}

/// The bodies that providers are sent.
fn bodies(request: &ChatRequest) -> [Value; 2] {
    [openai_chat::encode_request, messages_api::encode_request]
        .map(|encode| encode(request, "upstream", &Quirks::default()).0)
}

fn lines(body: &Value) -> Vec<String> {
    body["messages"].as_array().unwrap().iter().map(Value::to_string).collect()
}

#[test]
fn every_request_of_a_long_conversation_is_taken_by_both_apis() {
    for (seed, budgets) in [(1, 5), (2, 16)] {
        let history = History::new(seed);
        let budget = default_budget(history.total() / budgets);
        let mut pruned = 0;
        for end in history.calls() {
            let plan = history.plan(end, &budget);
            assert!(plan.report.tokens_after <= budget.limit());
            pruned += usize::from(!plan.is_whole());
            let [chat, messages] = bodies(&history.request(end, &plan));
            assert_eq!(openai::complaint(&chat), None, "seed {seed}, {end} messages");
            assert_eq!(anthropic::complaint(&messages), None, "seed {seed}, {end} messages");
        }
        assert!(pruned > 200, "{pruned} requests were pruned");
    }
}

/// How many of the requests that open a turn begin with what opened the turn before, from the first cut on.
fn steady(history: &History, sent: impl Fn(usize) -> Option<Vec<String>>) -> (usize, usize) {
    let opens = |end: &usize| history.messages[*end - 1].role == Role::User;
    let (mut kept, mut all) = (0, 0);
    let mut before: Option<Vec<String>> = None;
    for end in history.calls().filter(opens) {
        let now = sent(end);
        if let (Some(before), Some(now)) = (&before, &now) {
            all += 1;
            kept += usize::from(now.starts_with(before));
        }
        before = now;
    }
    (kept, all)
}

/// What is sent, once something was cut.
fn pruned(history: &History, end: usize, budget: &Budget) -> Option<Vec<String>> {
    let plan = history.plan(end, budget);
    (!plan.is_whole()).then(|| lines(&bodies(&history.request(end, &plan))[0]))
}

/// The newest messages that fit, from a user's on: what trimmers without a memory send.
fn naive(history: &History, end: usize, limit: u64) -> Option<Vec<String>> {
    let mut tokens = 3 + history.costs[0];
    let fits = |index: &usize| {
        tokens += history.costs[*index];
        tokens <= limit
    };
    let start = (1..end).rev().take_while(fits).last()?;
    let start = (start..end).find(|index| history.messages[*index].role == Role::User)?;
    let kept = std::iter::once(0).chain(start..end).map(|index| format!("{:?}", history.messages[index]));
    (start > 1).then(|| kept.collect())
}

#[test]
fn most_turns_begin_as_the_one_before() {
    println!("turns that begin with all that was sent for the turn before, of those after the first cut");
    for (seed, budgets) in [(3, 5), (4, 10), (5, 20)] {
        let history = History::new(seed);
        let budget = default_budget(history.total() / budgets);
        let (kept, all) = steady(&history, |end| pruned(&history, end, &budget));
        let (naive_kept, naive_all) = steady(&history, |end| naive(&history, end, budget.limit()));
        let share = |kept: usize, all: usize| 100.0 * kept as f64 / all as f64;
        println!(
            "  {budgets:>2} budgets of {:>6} tokens: {kept} of {all}, {:.1} %; trimmed to the budget each time: \
             {naive_kept} of {naive_all}, {:.1} %",
            budget.limit(),
            share(kept, all),
            share(naive_kept, naive_all)
        );
        assert!(all > 100 && kept * 100 >= all * 80, "{kept} of {all}");
    }
}

/// What the report says of the prefix is what the bytes say.
#[test]
fn the_report_tells_whether_the_prefix_is_the_same() {
    let history = History::new(6);
    let budget = default_budget(history.total() / 8);
    let mut before: Option<Vec<String>> = None;
    for end in history.calls() {
        let plan = history.plan(end, &budget);
        let now = lines(&bodies(&history.request(end, &plan))[0]);
        let is_same = before.as_ref().is_none_or(|before| now.starts_with(before));
        assert_eq!(plan.report.prefix_stable, is_same, "{end} messages");
        before = Some(now);
    }
}

#[test]
fn the_checkers_find_what_is_wrong() {
    let history = History::new(7);
    let end = history.calls().last().unwrap();
    let [chat, messages] = bodies(&history.request(end, &history.plan(end, &default_budget(1_000_000))));
    assert_eq!((openai::complaint(&chat), anthropic::complaint(&messages)), (None, None));
    let count = messages["messages"].as_array().unwrap().len();
    let mut missed = Vec::new();
    for index in 0..chat["messages"].as_array().unwrap().len() {
        let mut cut = chat.clone();
        let removed = cut["messages"].as_array_mut().unwrap().remove(index);
        let is_tool = removed["role"] == "tool" || !removed["tool_calls"].is_null();
        missed.extend((is_tool && openai::complaint(&cut).is_none()).then_some(index));
    }
    for index in 0..count - 1 {
        let mut cut = messages.clone();
        cut["messages"].as_array_mut().unwrap().remove(index);
        missed.extend(anthropic::complaint(&cut).is_none().then_some(index));
    }
    assert_eq!(missed, [] as [usize; 0]);
}
