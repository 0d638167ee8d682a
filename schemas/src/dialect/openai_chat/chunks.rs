//! The chunks of a provider's stream, each taken apart in its turn.

use std::mem;

use serde_json::Value;

use super::message::said;
use super::response::{known_finish, logprobs};
use super::stream_calls::StreamCalls;
use super::stream_rest::Rest;
use super::words::{Told, decode_usage};
use super::{NAME, error};
use crate::chat::{Block, FinishReason, Usage};
use crate::delta::{ANNOTATIONS, Delta};
use crate::dialect::carry::Notes;
use crate::dialect::read::{Fields, Mismatch, Path, array};
use crate::dialect::sse::Event;
use crate::error::{ErrorCode, Failure};

/// What the chunks have told so far.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    calls: StreamCalls,
    rest: Rest,
    id: Option<String>,
    started: bool,
    /// The finish reason, and the word for it if nobody knows it.
    finish: Option<(FinishReason, Option<String>)>,
    /// Nothing more is to be read.
    pub(super) done: bool,
    /// The tokens told so far.
    pub(super) usage: Option<Usage>,
}

impl Chunks {
    /// A fault spoils the answer only while it is not whole; behind the finish reason it ends the reading.
    pub(super) fn tolerate(&mut self, read: Result<(), Failure>) -> Result<(), Failure> {
        match read {
            Err(_) if self.finish.is_some() => {
                self.done = true;
                Ok(())
            }
            other => other,
        }
    }

    /// Takes the next event in.
    pub(super) fn event(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let data = event.data.trim();
        if self.done || data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let read = self.data(data, deltas);
        self.tolerate(read)
    }

    fn data(&mut self, data: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let chunk = serde_json::from_str(data).map_err(|_| {
            Failure::new(ErrorCode::ProviderInvalidResponse, "the provider's stream holds an event that is not JSON")
        })?;
        match error::within(&chunk) {
            Some(classified) => Err(classified.failure),
            None => self.chunk(chunk, deltas).map_err(Mismatch::of_provider),
        }
    }

    fn chunk(&mut self, chunk: Value, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        let mut fields = Fields::of(chunk, &Path::Root)?;
        let path = fields.at("usage");
        if let Some(Told { usage, beside }) =
            fields.take("usage").map_or(Ok(None), |value| decode_usage(value, &path))?
        {
            // Some tell a running sum in every chunk: the last one counts, and is given once, at the end.
            self.usage = Some(usage);
            self.rest.usage(beside);
        }
        let path = fields.at("choices");
        let choices = fields.take("choices").map_or(Ok(Vec::new()), |value| array(value, &path))?;
        let (id, model) = (fields.take("id"), fields.take("model"));
        self.rest.answer(fields);
        // Azure's first chunk has no choice, and no model yet.
        let Some(choice) = choices.into_iter().next().filter(|_| self.finish.is_none()) else { return Ok(()) };
        if !mem::replace(&mut self.started, true) {
            self.id = text(id, "id")?.filter(|id| !id.is_empty());
            let model = text(model, "model")?.unwrap_or_default();
            deltas.push(Delta::Start { id: self.id.clone(), model });
        }
        let path = Path::Index(&path, 0);
        self.choice(Fields::of(choice, &path)?, deltas)
    }

    fn choice(&mut self, mut choice: Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        // A server that does not stream may still answer with one event that holds the whole message.
        let name = if choice.has("delta") { "delta" } else { "message" };
        let path = choice.at(name);
        if let Some(value) = choice.take(name) {
            self.delta(Fields::of(value, &path)?, deltas)?;
        }
        let (tokens, more) = logprobs(&mut choice)?;
        self.rest.logprobs(more);
        if !tokens.is_empty() {
            deltas.push(Delta::Logprobs { tokens });
        }
        let path = choice.at("finish_reason");
        let word = choice.string("finish_reason")?.filter(|word| !word.is_empty());
        self.rest.choice(choice);
        let Some(word) = word else { return Ok(()) };
        self.finish = Some(known_finish(word, &path)?);
        Ok(())
    }

    /// The end of the answer, with what was told beside it, also behind its finish reason. `None` while that was not read.
    pub(super) fn end(self) -> Option<Vec<Delta>> {
        let (reason, word) = self.finish?;
        let (block, extra) = self.rest.end(word);
        let mut deltas: Vec<_> = block.into_iter().collect();
        deltas.push(Delta::Finish { reason, extra });
        deltas.extend(self.usage.map(|usage| Delta::Usage { usage }));
        Some(deltas)
    }

    fn delta(&mut self, mut delta: Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        deltas.extend(said(&mut delta, &mut Notes::default())?.into_iter().filter_map(piece));
        let path = delta.at(ANNOTATIONS);
        let notes = delta.take(ANNOTATIONS).map_or(Ok(Vec::new()), |value| array(value, &path))?;
        deltas.extend(notes.into_iter().map(|value| Delta::Annotation { dialect: NAME.to_owned(), value }));
        self.calls.take(&mut delta, self.id.as_deref(), deltas)?;
        self.rest.message(delta);
        Ok(())
    }
}

fn text(value: Option<Value>, name: &str) -> Result<Option<String>, Mismatch> {
    let path = Path::Field(&Path::Root, name);
    value.map(|value| crate::dialect::read::string(value, &path)).transpose()
}

fn piece(block: Block) -> Option<Delta> {
    let (text, make): (_, fn(String) -> Delta) = match block {
        Block::Text { text, .. } => (text, |text| Delta::Text { text }),
        Block::Reasoning(own) => (own.text, |text| Delta::Reasoning { text }),
        Block::Refusal { text } => (text, |text| Delta::Refusal { text }),
        Block::Opaque { dialect, value } => return Some(Delta::Opaque { dialect, value }),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty()).map(make)
}
