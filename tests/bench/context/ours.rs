//! Our pruner on the same conversations: with counts remembered, as from a conversation's second request on, and without.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use context::{Budget, Counter, Room, Tokenizer, prune};
use schemas::chat::ChatRequest;
use schemas::context::ContextStrategy;
use schemas::dialect::openai_chat;
use serde_json::{Value, json};

use crate::{Call, Set, in_openais_form};

/// Timed calls for each conversation, of which the middle one is told.
const REPEATS: usize = 50;

/// How calls were made, and the calls.
pub(crate) type Row = (&'static str, Vec<Call>);

/// Calls by how they were made.
pub(crate) fn run(set: &Set) -> Result<Vec<Row>, Box<dyn Error>> {
    let room = Room { window: set.budget, reserve_output: 0, cap: None, strategy: ContextStrategy::Auto };
    let by_default = Budget::of(room);
    // What the others do: drop what does not fit, and no more.
    let late = Budget { low_water: 1.0, clear: None, ..by_default.clone() };
    let requests = set.conversations.iter().map(request).collect::<Result<Vec<_>, _>>()?;
    let warm =
        |budget: &Budget| requests.iter().map(|request| call(request, budget, REPEATS)).collect::<Result<_, _>>();
    let cold = requests.iter().map(|request| call(request, &by_default, 0)).collect::<Result<_, Box<dyn Error>>>()?;
    Ok(vec![
        ("PortBroker", warm(&by_default)?),
        ("PortBroker, low_water 1", warm(&late)?),
        ("PortBroker, nothing counted yet", cold),
    ])
}

fn request(messages: &Value) -> Result<ChatRequest, Box<dyn Error>> {
    Ok(openai_chat::decode_request(json!({"model": "gpt-4o", "messages": messages}))?.request)
}

/// The first call counts everything; `repeats` more do not.
fn call(request: &ChatRequest, budget: &Budget, repeats: usize) -> Result<Call, Box<dyn Error>> {
    let counter = Counter::new(16_384);
    let meter = counter.meter(Tokenizer::of_name("gpt-4o"));
    let timed = || {
        let start = Instant::now();
        let pruned = black_box(prune(black_box(request), budget, &meter, None));
        pruned.map(|pruned| (start.elapsed().as_secs_f64() * 1000.0, pruned))
    };
    let (first, pruned) = timed()?;
    let mut times = (0..repeats).map(|_| timed().map(|(time, _)| time)).collect::<Result<Vec<_>, _>>()?;
    times.sort_by(f64::total_cmp);
    let milliseconds = times.get(repeats / 2).copied().unwrap_or(first);
    Ok(Call { milliseconds, messages: in_openais_form(pruned.request.into_owned().messages) })
}
