//! One item of an answer while it is written, and the events that tell of it.

use serde_json::{Map, Value, json};

use super::NAME;
use super::item::CUSTOM_CALL;
use crate::chat::{Extra, Reasoning};
use crate::dialect::carry::{carried, fill};
use crate::dialect::proof;

/// One event of a stream, without its number.
#[derive(Debug, PartialEq)]
pub(super) struct Event {
    /// Its `type`, and the name of the server-sent event.
    pub(super) kind: &'static str,
    /// All else.
    pub(super) fields: Map<String, Value>,
}

impl Event {
    /// An event of `kind`; `fields` is an object.
    pub(super) fn new(kind: &'static str, fields: Value) -> Self {
        Self { kind, fields: if let Value::Object(fields) = fields { fields } else { Map::new() } }
    }
}

/// How far an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// More may come.
    InProgress,
    /// Whole.
    Completed,
    /// Cut.
    Incomplete,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
        }
    }
}

/// One item.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) index: usize,
    pub(super) state: State,
    pub(super) kind: Kind,
}

/// What an item is.
#[derive(Debug)]
pub(super) enum Kind {
    /// Texts and refusals.
    Message { parts: Vec<Part>, phase: Option<String> },
    /// Reasoning: its summary, whether the last part of it may go on, and the proof.
    Thought { summary: Vec<String>, open: bool, proof: Option<Box<Reasoning>> },
    /// A call of a function, or of a tool that takes free text; with its fields outside the neutral form.
    Call { call_id: String, name: String, arguments: String, custom: bool, extra: Extra },
    /// An item of this dialect as it came.
    Opaque(Value),
}

/// A part of a message.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) is_refusal: bool,
    pub(super) annotations: Vec<Value>,
    /// Those of the annotations that end with the text, wherever it will.
    pub(super) open_ends: Vec<usize>,
    pub(super) logprobs: Vec<Value>,
}

impl Part {
    /// The wire form with these log probabilities.
    fn value(&self, logprobs: &[Value]) -> Value {
        if self.is_refusal {
            return json!({"type": "refusal", "refusal": self.text});
        }
        let mut annotations = self.annotations.clone();
        for index in &self.open_ends {
            annotations[*index]["end_index"] = json!(self.text.chars().count());
        }
        json!({"type": "output_text", "text": self.text, "annotations": annotations, "logprobs": logprobs})
    }
}

impl Item {
    /// The wire form; a message's parts as `part` writes them, reasoning with its proof when `proofs`.
    fn written<'s>(&'s self, proofs: bool, mut part: impl FnMut(&'s Part) -> Value) -> Value {
        let (id, status) = (&self.id, self.state.word());
        match &self.kind {
            Kind::Message { parts, phase } => {
                let content: Vec<_> = parts.iter().map(&mut part).collect();
                let mut body =
                    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content});
                if let Some(phase) = phase {
                    body["phase"] = json!(phase);
                }
                body
            }
            Kind::Thought { summary, proof, .. } => {
                let summary: Vec<_> =
                    summary.iter().map(|text| json!({"type": "summary_text", "text": text})).collect();
                let mut body = json!({"id": id, "type": "reasoning", "summary": summary});
                let proof = proof.as_ref().filter(|_| proofs).and_then(|proof| proof::wrap(proof, NAME));
                if let Some(proof) = proof {
                    body["encrypted_content"] = json!(proof);
                }
                body
            }
            Kind::Call { call_id, name, arguments, custom, extra } => {
                let (kind, written) = if *custom { (CUSTOM_CALL, "input") } else { ("function_call", "arguments") };
                let mut body = json!({"id": id, "type": kind, "status": status, "call_id": call_id, "name": name, written: arguments});
                if let Some((body, own)) = body.as_object_mut().zip(carried(extra, NAME)) {
                    fill(body, own);
                }
                body
            }
            Kind::Opaque(value) => value.clone(),
        }
    }

    /// The wire form as far as it is known now.
    pub(super) fn value(&self, proofs: bool) -> Value {
        self.written(proofs, |part| part.value(&part.logprobs))
    }

    /// The wire form in the whole answer, whose log probabilities are `left`, to be taken from the front. `last` tells
    /// whether no later item has a text.
    pub(super) fn final_value(&self, proofs: bool, left: &mut &[Value], last: bool) -> Value {
        let texts = if let Kind::Message { parts, .. } = &self.kind { texts(parts) } else { 0 };
        let mut seen = 0;
        self.written(proofs, |part| {
            if part.is_refusal {
                return part.value(&[]);
            }
            seen += 1;
            let count = if last && seen == texts { left.len() } else { tokens_of(&part.text, left) };
            let (own, rest) = left.split_at(count);
            *left = rest;
            part.value(own)
        })
    }

    /// Part number `at` of a message.
    pub(super) fn part_mut(&mut self, at: usize) -> Option<&mut Part> {
        if let Kind::Message { parts, .. } = &mut self.kind { parts.get_mut(at) } else { None }
    }

    /// Where its last text is.
    pub(super) fn last_text(&self) -> Option<usize> {
        let Kind::Message { parts, .. } = &self.kind else { return None };
        parts.iter().rposition(|part| !part.is_refusal)
    }

    pub(super) fn added(&self) -> Event {
        // Proofs come with the end.
        Event::new("response.output_item.added", json!({"output_index": self.index, "item": self.value(false)}))
    }

    pub(super) fn done(&self, proofs: bool) -> Event {
        Event::new("response.output_item.done", json!({"output_index": self.index, "item": self.value(proofs)}))
    }

    /// An event about a part of a message, `fields` beside its place.
    pub(super) fn of_part(&self, kind: &'static str, part: usize, fields: Value) -> Event {
        self.event(kind, json!({"output_index": self.index, "content_index": part}), fields)
    }

    /// An event about a part of a summary.
    pub(super) fn of_summary(&self, kind: &'static str, part: usize, fields: Value) -> Event {
        self.event(kind, json!({"output_index": self.index, "summary_index": part}), fields)
    }

    /// An event about a call.
    pub(super) fn of_call(&self, kind: &'static str, fields: Value) -> Event {
        self.event(kind, json!({"output_index": self.index}), fields)
    }

    fn event(&self, kind: &'static str, place: Value, fields: Value) -> Event {
        let mut event = Event::new(kind, json!({"item_id": self.id}));
        for more in [place, fields] {
            event.fields.extend(Event::new(kind, more).fields);
        }
        event
    }

    /// The events that begin the last part of a message or of a summary.
    pub(super) fn begin_part(&self, events: &mut Vec<Event>) {
        match &self.kind {
            Kind::Message { parts, .. } => {
                if let Some((part, at)) = parts.last().zip(parts.len().checked_sub(1)) {
                    let part = json!({"part": part.value(&[])});
                    events.push(self.of_part("response.content_part.added", at, part));
                }
            }
            Kind::Thought { summary, .. } => {
                let part = json!({"part": {"type": "summary_text", "text": ""}});
                let at = summary.len().saturating_sub(1);
                events.push(self.of_summary("response.reasoning_summary_part.added", at, part));
            }
            Kind::Call { .. } | Kind::Opaque(_) => {}
        }
    }

    /// The events that end the last part of a message or of a summary.
    pub(super) fn end_part(&self, events: &mut Vec<Event>) {
        match &self.kind {
            Kind::Message { parts, .. } => {
                let Some((part, at)) = parts.last().zip(parts.len().checked_sub(1)) else { return };
                events.push(if part.is_refusal {
                    self.of_part("response.refusal.done", at, json!({"refusal": part.text}))
                } else {
                    let fields = json!({"text": part.text, "logprobs": part.logprobs});
                    self.of_part("response.output_text.done", at, fields)
                });
                let part = json!({"part": part.value(&part.logprobs)});
                events.push(self.of_part("response.content_part.done", at, part));
            }
            Kind::Thought { summary, open: true, .. } => {
                let Some((text, at)) = summary.last().zip(summary.len().checked_sub(1)) else { return };
                let part = json!({"part": {"type": "summary_text", "text": text}});
                events.push(self.of_summary("response.reasoning_summary_text.done", at, json!({"text": text})));
                events.push(self.of_summary("response.reasoning_summary_part.done", at, part));
            }
            Kind::Thought { .. } | Kind::Call { .. } | Kind::Opaque(_) => {}
        }
    }
}

fn texts(parts: &[Part]) -> usize {
    parts.iter().filter(|part| !part.is_refusal).count()
}

/// How many of the first of `tokens` make up `text`.
fn tokens_of(text: &str, tokens: &[Value]) -> usize {
    let mut left = text.len();
    let fits = |token: &&Value| {
        let length = length(token);
        let fits = left > 0;
        left = left.saturating_sub(length);
        fits
    };
    tokens.iter().take_while(fits).count()
}

/// The bytes of a token: told apart from its text, which may be half a character.
fn length(token: &Value) -> usize {
    let bytes = token.get("bytes").and_then(Value::as_array).map(Vec::len);
    bytes.or_else(|| Some(token.get("token")?.as_str()?.len())).unwrap_or(0)
}
