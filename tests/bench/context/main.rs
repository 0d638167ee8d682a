//! The pruner beside other trimmers: writes conversations for them, and afterwards prunes the same ones, timed, and holds
//! everyone's results to the providers' grammars. `context.sh` runs it.

#![expect(clippy::print_stdout, reason = "a report for people")]

#[path = "../../../workers/context/src/prune/accepted/anthropic.rs"]
mod anthropic;
mod judge;
#[path = "../../../workers/context/src/prune/accepted/openai.rs"]
mod openai;
mod ours;
#[path = "../../../workers/context/src/prune/accepted/talk.rs"]
mod talk;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use schemas::catalog::Quirks;
use schemas::chat::{ChatRequest, Message, Role};
use schemas::dialect::openai_chat;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Messages of about 50 tokens.
const SHAPE: talk::Shape = talk::Shape { asked: (30, 55), answered: (30, 55), told: (30, 55), told_long: (30, 55) };
const BUDGET: u32 = 4096;
/// Messages of a conversation, and how many such there are.
const SETS: [(usize, u64); 2] = [(200, 60), (2000, 10)];

/// What was made of each conversation of a set, by who did it.
type Results = BTreeMap<String, Vec<Call>>;

/// Conversations of one length, as chat completions have them.
#[derive(Serialize, Deserialize)]
struct Set {
    budget: u32,
    conversations: Vec<Value>,
}

/// What one call gave.
#[derive(Serialize, Deserialize)]
struct Call {
    milliseconds: f64,
    messages: Value,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["write", folder] => write(Path::new(folder)),
        ["compare", folder] => compare(Path::new(folder)),
        _ => Err("run tests/bench/context.sh".into()),
    }
}

fn name(messages: usize) -> String {
    format!("{messages} messages")
}

fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut sets = BTreeMap::new();
    for (messages, count) in SETS {
        let conversations = (0..count).map(|seed| conversation(seed, messages)).collect();
        sets.insert(name(messages), Set { budget: BUDGET, conversations });
    }
    Ok(fs::write(folder.join("conversations.json"), serde_json::to_vec(&sets)?)?)
}

/// At most so many messages, the last of them one that the model answers.
fn conversation(seed: u64, most: usize) -> Value {
    let mut messages = talk::talk(seed, most, &SHAPE);
    let is_call = |end: &usize| messages[*end].role == Role::Assistant;
    let end = (1..=most).rev().find(is_call).unwrap_or(most);
    messages.truncate(end);
    in_openais_form(messages)
}

fn in_openais_form(messages: Vec<Message>) -> Value {
    let request = ChatRequest { messages, ..ChatRequest::default() };
    openai_chat::encode_request(&request, "m", &Quirks::default()).0["messages"].take()
}

fn compare(folder: &Path) -> Result<(), Box<dyn Error>> {
    let sets: BTreeMap<String, Set> = serde_json::from_slice(&fs::read(folder.join("conversations.json"))?)?;
    let mut theirs: BTreeMap<String, Results> = serde_json::from_slice(&fs::read(folder.join("theirs.json"))?)?;
    for (messages, _) in SETS {
        let name = name(messages);
        let Some(set) = sets.get(&name) else { continue };
        println!(
            "{} conversations of {name} of about 50 tokens, {} tokens allowed",
            set.conversations.len(),
            set.budget
        );
        println!(
            "{:<32}{:>9}{:>13}{:>9}{:>10}{:>12}{:>8}",
            "", "calls", "ms a call", "times", "refused", "over budget", "tokens"
        );
        let ours = ours::run(set)?;
        let unit = judge::median(&ours[0].1);
        let others = theirs.remove(&name).unwrap_or_default();
        for (trimmer, calls) in ours
            .iter()
            .map(|(name, calls)| (*name, calls))
            .chain(others.iter().map(|(name, calls)| (name.as_str(), calls)))
        {
            let verdict = judge::verdict(calls, set.budget);
            let time = judge::median(calls);
            println!(
                "{trimmer:<32}{:>9}{time:>13.4}{:>9.1}{:>10}{:>12}{:>8.0}",
                calls.len(),
                time / unit,
                verdict.refused,
                verdict.over,
                verdict.tokens
            );
            if let Some(example) = verdict.example {
                println!("    {example}");
            }
        }
    }
    println!("refused: by the grammar of OpenAI's or Anthropic's messages, or sent without the system prompt");
    Ok(())
}
