//! A provider's stream of chunks, to deltas.

use std::mem;

use serde_json::Value;

use super::error;
use super::message::said;
use super::stream_calls::StreamCalls;
use super::words::{Finish, decode_usage};
use crate::chat::{Block, Extra, FinishReason, Usage};
use crate::delta::Delta;
use crate::dialect::carry::Notes;
use crate::dialect::read::{Fields, Mismatch, Path, array};
use crate::dialect::sse::{Event, Parser, SseError};
use crate::error::{ErrorCode, Failure};

/// A provider's stream, from bytes in any split to deltas.
#[derive(Debug)]
pub struct StreamDecoder {
    parser: Parser,
    chunks: Chunks,
}

/// What the chunks have told so far.
#[derive(Debug, Default)]
struct Chunks {
    calls: StreamCalls,
    id: Option<String>,
    started: bool,
    finished: bool,
    done: bool,
    usage: Option<Usage>,
}

impl StreamDecoder {
    /// A decoder that takes events of at most `max_event_bytes` (8 MiB in [`Default`]).
    #[must_use]
    pub fn new(max_event_bytes: usize) -> Self {
        Self { parser: Parser::new(max_event_bytes), chunks: Chunks::default() }
    }

    /// Takes the next bytes in and gives what became complete by them. What comes after the finish reason cannot spoil
    /// the answer any more.
    ///
    /// # Errors
    /// `provider_invalid_response` on whatever is no such stream; the provider's own error if an event is one. The
    /// stream cannot be read on after it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Delta>, Failure> {
        let (mut deltas, mut events) = (Vec::new(), Vec::new());
        if self.chunks.done {
            return Ok(deltas);
        }
        let read = self.parser.feed(bytes, &mut events);
        for event in &events {
            self.chunks.event(event, &mut deltas)?;
        }
        self.chunks.tolerate(read.map_err(broken))?;
        Ok(deltas)
    }

    /// `[DONE]` was read: nothing more will come, so [`Self::finish`] need not wait for the connection's end.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.chunks.done
    }

    /// The tokens told so far, for the ledger of an attempt that broke off.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.chunks.usage
    }

    /// The bytes have ended: gives the last deltas, the usage among them. To be called at the end of every stream.
    ///
    /// # Errors
    /// `provider_invalid_response` when no finish reason was seen: a cut stream is never an answer.
    pub fn finish(self) -> Result<Vec<Delta>, Failure> {
        let Self { parser, mut chunks } = self;
        let mut deltas = Vec::new();
        match parser.finish() {
            Ok(Some(event)) => chunks.event(&event, &mut deltas)?,
            Ok(None) => {}
            Err(fault) => chunks.tolerate(Err(broken(fault)))?,
        }
        if !chunks.finished {
            let message = "the provider's stream ended without finish";
            return Err(Failure::new(ErrorCode::ProviderInvalidResponse, message));
        }
        deltas.extend(chunks.usage.map(|usage| Delta::Usage { usage }));
        Ok(deltas)
    }
}

impl Default for StreamDecoder {
    fn default() -> Self {
        Self::new(8 << 20)
    }
}

fn broken(fault: SseError) -> Failure {
    Failure::new(ErrorCode::ProviderInvalidResponse, format!("the provider's stream is broken: {fault}"))
}

impl Chunks {
    /// A fault spoils the answer only while it is not whole; behind the finish reason it ends the reading.
    fn tolerate(&mut self, read: Result<(), Failure>) -> Result<(), Failure> {
        match read {
            Err(_) if self.finished => {
                self.done = true;
                Ok(())
            }
            other => other,
        }
    }

    fn event(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
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
        if let Some(usage) = fields.take("usage").map_or(Ok(None), |value| decode_usage(value, &path))? {
            // Some tell a running sum in every chunk: the last one counts, and is given once, at the end.
            self.usage = Some(usage);
        }
        let path = fields.at("choices");
        let choices = fields.take("choices").map_or(Ok(Vec::new()), |value| array(value, &path))?;
        // Azure's first chunk has no choice, and no model yet.
        let Some(choice) = choices.into_iter().next().filter(|_| !self.finished) else { return Ok(()) };
        if !mem::replace(&mut self.started, true) {
            self.id = fields.string("id")?.filter(|id| !id.is_empty());
            let model = fields.string("model")?.unwrap_or_default();
            deltas.push(Delta::Start { id: self.id.clone(), model });
        }
        let path = Path::Index(&path, 0);
        self.choice(&mut Fields::of(choice, &path)?, deltas)
    }

    fn choice(&mut self, choice: &mut Fields<'_>, deltas: &mut Vec<Delta>) -> Result<(), Mismatch> {
        // A server that does not stream may still answer with one event that holds the whole message.
        let name = if choice.has("delta") { "delta" } else { "message" };
        let path = choice.at(name);
        if let Some(value) = choice.take(name) {
            let mut delta = Fields::of(value, &path)?;
            deltas.extend(said(&mut delta, &mut Notes::default())?.into_iter().filter_map(piece));
            self.calls.take(&mut delta, self.id.as_deref(), deltas)?;
        }
        let path = choice.at("finish_reason");
        let Some(word) = choice.string("finish_reason")?.filter(|word| !word.is_empty()) else { return Ok(()) };
        let reason = match Finish::of(&word) {
            Finish::Known(reason) => reason,
            Finish::Unknown => FinishReason::Stop,
            Finish::Error => return Err(Mismatch::at(&path, "the provider failed half way")),
        };
        self.finished = true;
        deltas.push(Delta::Finish { reason, extra: Extra::new() });
        Ok(())
    }
}

fn piece(block: Block) -> Option<Delta> {
    let (text, make): (_, fn(String) -> Delta) = match block {
        Block::Text { text, .. } => (text, |text| Delta::Text { text }),
        Block::Reasoning(own) => (own.text, |text| Delta::Reasoning { text }),
        Block::Refusal { text } => (text, |text| Delta::Refusal { text }),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty()).map(make)
}
