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
use crate::dialect::stream::{Decoder, Events};
use crate::error::Failure;

/// A provider's stream, from bytes in any split to deltas.
pub type StreamDecoder = Decoder<Chunks>;

/// What the chunks have told so far.
#[derive(Debug, Default)]
pub struct Chunks {
    calls: StreamCalls,
    rest: Rest,
    id: Option<String>,
    started: bool,
    /// The finish reason, and the word for it if nobody knows it.
    finish: Option<(FinishReason, Option<String>)>,
    /// The mark behind the last chunk was read.
    done: bool,
    usage: Option<Usage>,
}

impl Events for Chunks {
    const LAST: &'static str = "finish";

    fn take(&mut self, _name: Option<&str>, chunk: Value, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        match error::within(&chunk) {
            Some(classified) => Err(classified.failure),
            None => self.chunk(chunk, deltas).map_err(Mismatch::of_provider),
        }
    }

    fn is_whole(&self) -> bool {
        self.finish.is_some()
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn marked(&mut self) {
        self.done = true;
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// With what was told beside the answer, also behind its finish reason.
    fn end(self) -> Option<Vec<Delta>> {
        let (reason, word) = self.finish?;
        let (block, extra) = self.rest.end(word);
        let mut deltas: Vec<_> = block.into_iter().collect();
        deltas.push(Delta::Finish { reason, extra });
        deltas.extend(self.usage.map(|usage| Delta::Usage { usage }));
        Some(deltas)
    }
}

impl Chunks {
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
