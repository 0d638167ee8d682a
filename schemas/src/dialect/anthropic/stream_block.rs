//! The content block that a provider's stream is at.

use std::mem;

use serde_json::{Map, Value};

use super::{NAME, content};
use crate::delta::Delta;
use crate::dialect::carry::Notes;
use crate::dialect::read::{Fields, Mismatch, Path, array};

/// What has been streamed of the blocks.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    running: Option<(i64, Running)>,
    /// Of what kind the last block was that gave deltas.
    last: Option<Kind>,
    calls: u32,
}

/// A block that is being streamed.
#[derive(Debug)]
enum Running {
    /// Citations wait for the text that they belong to.
    Text {
        begun: bool,
        citations: Vec<Value>,
    },
    Thinking {
        begun: bool,
    },
    Call {
        index: u32,
        told: bool,
        input: Value,
    },
    /// What has no neutral form, until it is whole: the block, and its input as it comes.
    Whole {
        body: Map<String, Value>,
        json: String,
    },
    /// It was whole at its start.
    Over,
}

/// Kinds of blocks, of which neighbours have to be held apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Other,
}

impl Blocks {
    /// Block `index` begins. The one before ends by that, if its own end was left out.
    pub(super) fn start(
        &mut self,
        index: i64,
        value: Value,
        path: &Path<'_>,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Mismatch> {
        self.stop(deltas);
        let mut fields = Fields::of(value, path)?;
        let kind = fields.required_text("type")?;
        let running = match kind.as_str() {
            "text" => self.start_text(&mut fields, deltas)?,
            "thinking" => self.start_thinking(&mut fields, deltas)?,
            "redacted_thinking" => {
                self.begin(Kind::Reasoning, deltas);
                deltas.push(proof(fields.required_text("data")?, true));
                Running::Over
            }
            "tool_use" => self.start_call(fields, deltas)?,
            _ => {
                fields.put("type", kind);
                Running::Whole { body: fields.rest(), json: String::new() }
            }
        };
        self.running = Some((index, running));
        Ok(())
    }

    fn start_text(&mut self, fields: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<Running, Mismatch> {
        let path = fields.at("citations");
        let citations = fields.take("citations").map_or(Ok(Vec::new()), |value| array(value, &path))?;
        let text = fields.string("text")?.unwrap_or_default();
        let (mut begun, mut citations) = (false, citations);
        self.text(text, &mut begun, &mut citations, deltas);
        Ok(Running::Text { begun, citations })
    }

    fn start_thinking(&mut self, fields: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<Running, Mismatch> {
        let mut begun = false;
        let text = fields.string("thinking")?.unwrap_or_default();
        let signature = fields.string("signature")?.unwrap_or_default();
        self.thinking(Delta::Reasoning { text: text.clone() }, text.is_empty(), &mut begun, deltas);
        let is_empty = signature.is_empty();
        self.thinking(proof(signature, false), is_empty, &mut begun, deltas);
        Ok(Running::Thinking { begun })
    }

    fn start_call(&mut self, mut fields: Fields<'_>, deltas: &mut Vec<Delta>) -> Result<Running, Mismatch> {
        let (id, name) = (fields.required_text("id")?, fields.required_text("name")?);
        let input = fields.take("input").unwrap_or_default();
        let extra = content::own(content::rest(fields, &mut Notes::default()));
        self.begin(Kind::Other, deltas);
        let index = self.calls;
        self.calls = index.saturating_add(1);
        deltas.push(Delta::ToolCallStart { index, id, name, extra });
        Ok(Running::Call { index, told: false, input })
    }

    /// More of block `index`. A kind of piece that came after this was written is passed over, as the API asks of its
    /// clients.
    pub(super) fn delta(
        &mut self,
        index: i64,
        value: Value,
        path: &Path<'_>,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Mismatch> {
        let Some((_, mut running)) = self.running.take().filter(|(open, _)| *open == index) else {
            return Err(Mismatch::at(path, "a piece of a block that is not open"));
        };
        let mut fields = Fields::of(value, path)?;
        let kind = fields.required_text("type")?;
        match (&mut running, kind.as_str()) {
            (Running::Text { begun, citations }, "text_delta") => {
                self.text(fields.required_string("text")?, begun, citations, deltas);
            }
            (Running::Text { begun, citations }, "citations_delta") => {
                citations.push(fields.require("citation")?);
                self.text(String::new(), begun, citations, deltas);
            }
            (Running::Thinking { begun }, "thinking_delta") => {
                let text = fields.required_string("thinking")?;
                self.thinking(Delta::Reasoning { text: text.clone() }, text.is_empty(), begun, deltas);
            }
            (Running::Thinking { begun }, "signature_delta") => {
                let signature = fields.required_string("signature")?;
                let is_empty = signature.is_empty();
                self.thinking(proof(signature, false), is_empty, begun, deltas);
            }
            (Running::Call { index, told, .. }, "input_json_delta") => {
                let text = fields.required_string("partial_json")?;
                if !text.is_empty() {
                    *told = true;
                    deltas.push(Delta::ToolCallArguments { index: *index, text });
                }
            }
            (Running::Whole { json, .. }, "input_json_delta") => {
                json.push_str(&fields.required_string("partial_json")?)
            }
            (Running::Whole { body, .. }, _) => grow(body, fields.rest()),
            (_, "text_delta" | "citations_delta" | "thinking_delta" | "signature_delta" | "input_json_delta") => {
                return Err(Mismatch::at(&fields.at("type"), "a piece of another kind than its block"));
            }
            _ => {}
        }
        self.running = Some((index, running));
        Ok(())
    }

    /// The block that runs, if one does, ends.
    pub(super) fn stop(&mut self, deltas: &mut Vec<Delta>) {
        match self.running.take().map(|(_, running)| running) {
            Some(Running::Text { begun: false, citations }) if !citations.is_empty() => {
                self.begin(Kind::Text, deltas);
                deltas.push(Delta::Text { text: String::new() });
                deltas.extend(citations.into_iter().map(annotation));
            }
            Some(Running::Call { index, told: false, input }) => {
                // Some servers tell all of it at the start.
                let input = if input.is_object() { input.to_string() } else { "{}".to_owned() };
                deltas.push(Delta::ToolCallArguments { index, text: input });
            }
            Some(Running::Whole { mut body, json }) => {
                if !json.is_empty() {
                    // An answer that was cut short may end within it.
                    let input = serde_json::from_str(&json).unwrap_or(Value::String(json));
                    body.insert("input".to_owned(), input);
                }
                self.begin(Kind::Other, deltas);
                deltas.push(Delta::Opaque { dialect: NAME.to_owned(), value: Value::Object(body) });
            }
            _ => {}
        }
    }

    fn text(&mut self, text: String, begun: &mut bool, citations: &mut Vec<Value>, deltas: &mut Vec<Delta>) {
        if !text.is_empty() {
            if !mem::replace(begun, true) {
                self.begin(Kind::Text, deltas);
            }
            deltas.push(Delta::Text { text });
        }
        if *begun {
            deltas.extend(citations.drain(..).map(annotation));
        }
    }

    fn thinking(&mut self, delta: Delta, is_empty: bool, begun: &mut bool, deltas: &mut Vec<Delta>) {
        if is_empty {
            return;
        }
        if !mem::replace(begun, true) {
            self.begin(Kind::Reasoning, deltas);
        }
        deltas.push(delta);
    }

    /// A block of this kind gives its first delta.
    fn begin(&mut self, kind: Kind, deltas: &mut Vec<Delta>) {
        if kind != Kind::Other && self.last == Some(kind) {
            deltas.push(Delta::Break);
        }
        self.last = Some(kind);
    }
}

fn annotation(value: Value) -> Delta {
    Delta::Annotation { dialect: NAME.to_owned(), value }
}

fn proof(signature: String, redacted: bool) -> Delta {
    Delta::ReasoningSignature { signature, dialect: Some(NAME.to_owned()), id: None, redacted }
}

/// Takes a piece of a block that stays whole in: texts grow, all else is replaced.
fn grow(body: &mut Map<String, Value>, piece: Map<String, Value>) {
    for (name, value) in piece {
        match (body.get_mut(&name), value) {
            (Some(Value::String(text)), Value::String(more)) => text.push_str(&more),
            (_, value) => drop(body.insert(name, value)),
        }
    }
}
