//! Every client dialect with every provider dialect: what a client asks reaches the provider or is warned about, and
//! what the provider answers reaches the client, whole and streamed, or is among the documented losses. Prints a table.

mod facts;
mod scenario;

use std::fmt::Write;

use serde_json::Value;

use self::facts::{Fact, explained, lost, of_answer, of_request};
use self::scenario::{Scenario, scenarios};
use crate::catalog::Quirks;
use crate::chat::{ChatRequest, ChatResponse};
use crate::delta::{Assembly, Delta, pieces};
use crate::dialect::{anthropic, openai_chat, openai_responses};
use crate::error::Failure;
use crate::warning::Warning;

/// Something, and the warnings on the way to it.
type Warned<T> = (T, Vec<Warning>);

/// The codec of one dialect.
struct Dialect {
    name: &'static str,
    decode_request: fn(Value) -> Result<Warned<ChatRequest>, Failure>,
    encode_request: fn(&ChatRequest) -> Warned<Value>,
    decode_response: fn(&[u8]) -> Result<ChatResponse, Failure>,
    encode_response: fn(&ChatResponse) -> Value,
    decode_stream: fn(&[u8]) -> Result<Vec<Delta>, Failure>,
    encode_stream: fn(&[Delta]) -> Vec<u8>,
}

/// The codec of the module `$dialect`, whose clients read answers with `$reply` and streams from `$encoder`.
macro_rules! dialect {
    ($dialect:ident, $reply:expr, $encoder:expr) => {
        Dialect {
            name: $dialect::NAME,
            decode_request: |body| $dialect::decode_request(body).map(|decoded| (decoded.request, decoded.warnings)),
            encode_request: |request| $dialect::encode_request(request, &request.model, &Quirks::default()),
            decode_response: $dialect::decode_response,
            encode_response: |response| $dialect::encode_response(response, &$reply),
            decode_stream: |bytes| {
                let mut decoder = $dialect::StreamDecoder::default();
                let mut deltas = decoder.feed(bytes)?;
                deltas.extend(decoder.finish()?);
                Ok(deltas)
            },
            encode_stream: |deltas| {
                let mut encoder = $encoder;
                let mut bytes: Vec<u8> = deltas.iter().flat_map(|delta| encoder.encode(delta)).collect();
                bytes.extend(encoder.end());
                bytes
            },
        }
    };
}

/// Everyone who speaks.
const DIALECTS: &[Dialect] = &[
    dialect!(openai_chat, chat_reply(), openai_chat::StreamEncoder::new(chat_reply())),
    dialect!(openai_responses, responses_reply(), openai_responses::StreamEncoder::new(responses_reply(), None)),
    dialect!(anthropic, anthropic_reply(), anthropic::StreamEncoder::new(anthropic_reply())),
];

/// What of an answer a client of a dialect does not read, and why. The tables of fields say it too.
const DOCUMENTED: &[(&str, &str, &str)] = &[
    (openai_chat::NAME, "proof", "its clients read the text of reasoning only"),
    (anthropic::NAME, "refusal", "its clients read it as a text that stops for the reason `refusal`"),
    (anthropic::NAME, "logprobs", "its answers have no place for them"),
];

fn chat_reply() -> openai_chat::Reply {
    openai_chat::Reply {
        id: "chatcmpl-1".to_owned(),
        created: 1_769_860_800,
        model: "m".to_owned(),
        options: openai_chat::ClientOptions { include_usage: true, ..openai_chat::ClientOptions::default() },
    }
}

fn responses_reply() -> openai_responses::Reply {
    openai_responses::Reply {
        id: "resp_1".to_owned(),
        created_at: 1_769_860_800,
        completed_at: None,
        model: "m".to_owned(),
        status: openai_responses::Status::Completed,
        options: openai_responses::ClientOptions { store: false, ..openai_responses::ClientOptions::default() },
    }
}

fn anthropic_reply() -> anthropic::Reply {
    anthropic::Reply { id: "msg_1".to_owned(), model: "m".to_owned(), input_tokens: 0 }
}

/// What became of one scenario between a client and a provider.
#[derive(Debug, Default)]
struct Outcome {
    /// Kinds of what the provider was not told, and a warning says so.
    warned: Vec<&'static str>,
    /// Kinds of what the client was not told, as documented.
    untold: Vec<&'static str>,
    /// What was lost without a word.
    silent: Vec<String>,
}

impl Outcome {
    fn cell(&self) -> String {
        let list = |name: &str, kinds: &[&str]| {
            if kinds.is_empty() { String::new() } else { format!(", {name} {}", kinds.join(" ")) }
        };
        let start = if self.silent.is_empty() { "ok" } else { "LOST" };
        format!("{start}{}{}", list("warned", &self.warned), list("untold", &self.untold))
    }

    fn warn(&mut self, facts: &[Fact], warnings: &[Warning]) {
        for fact in facts {
            if explained(fact, warnings) {
                self.warned.push(fact.kind);
            } else {
                self.silent.push(format!("{fact:?} is not sent, and no warning of {warnings:?} says so"));
            }
        }
    }

    fn tell(&mut self, client: &Dialect, facts: &[Fact], how: &str) {
        for fact in facts {
            if DOCUMENTED.iter().any(|(dialect, kind, _)| *dialect == client.name && *kind == fact.kind) {
                self.untold.push(fact.kind);
            } else {
                self.silent.push(format!("{fact:?} is not answered {how}"));
            }
        }
    }

    fn settle(mut self) -> Self {
        for kinds in [&mut self.warned, &mut self.untold] {
            kinds.sort_unstable();
            kinds.dedup();
        }
        self
    }
}

fn run(client: &Dialect, provider: &Dialect, scenario: &Scenario) -> Outcome {
    let mut outcome = Outcome::default();
    ask(client, provider, &scenario.request, &mut outcome);
    for answer in &scenario.answers {
        self::answer(client, provider, answer, &mut outcome);
    }
    outcome.settle()
}

/// The client writes `request` in its dialect; we read that, and write it in the provider's.
fn ask(client: &Dialect, provider: &Dialect, request: &ChatRequest, outcome: &mut Outcome) {
    let (written, unsayable) = (client.encode_request)(request);
    let (understood, warnings) = (client.decode_request)(written).unwrap();
    let warnings = [unsayable, warnings].concat();
    outcome.warn(&lost(&of_request(request), &of_request(&understood)), &warnings);
    let (sent, warnings) = (provider.encode_request)(&understood);
    let (read, _) = (provider.decode_request)(sent).unwrap();
    outcome.warn(&lost(&of_request(&understood), &of_request(&read)), &warnings);
}

/// The provider says `answer` in its dialect, as far as it can; we read that, and say it in the client's.
fn answer(client: &Dialect, provider: &Dialect, answer: &ChatResponse, outcome: &mut Outcome) {
    let said = (provider.encode_response)(answer).to_string();
    let understood = (provider.decode_response)(said.as_bytes()).unwrap();
    let facts = of_answer(&understood);
    let told = (client.encode_response)(&understood).to_string();
    let read = (client.decode_response)(told.as_bytes()).unwrap();
    outcome.tell(client, &lost(&facts, &of_answer(&read)), "whole");

    let said = (provider.encode_stream)(&pieces(&understood));
    let deltas = (provider.decode_stream)(&said).unwrap();
    let streamed = of_answer(&assemble(&deltas));
    let unstreamed = lost(&facts, &streamed);
    assert!(unstreamed.is_empty(), "{} loses {unstreamed:?} when it streams", provider.name);
    let told = (client.encode_stream)(&deltas);
    let read = assemble(&(client.decode_stream)(&told).unwrap());
    outcome.tell(client, &lost(&streamed, &of_answer(&read)), "streamed");
}

fn assemble(deltas: &[Delta]) -> ChatResponse {
    let mut assembly = Assembly::default();
    deltas.iter().for_each(|delta| assembly.push(delta));
    assembly.into_response().unwrap()
}

#[test]
fn nothing_is_lost_between_any_two() {
    let (mut table, mut silent) = (String::new(), Vec::new());
    for client in DIALECTS {
        for provider in DIALECTS {
            writeln!(table, "{} client, {} provider", client.name, provider.name).unwrap();
            for scenario in scenarios(provider.name) {
                let outcome = run(client, provider, &scenario);
                writeln!(table, "    {:<18} {}", scenario.name, outcome.cell()).unwrap();
                let place = format!("{} > {}, {}", client.name, provider.name, scenario.name);
                silent.extend(outcome.silent.into_iter().map(|loss| format!("{place}: {loss}")));
            }
        }
    }
    println!("{table}");
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    insta::assert_snapshot!("matrix", table);
}
