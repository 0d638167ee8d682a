//! A provider's stream, from bytes in any split to deltas: what the dialects share. Each adds what its events mean.

use std::fmt;

use serde_json::Value;

use super::sse::{Event, Parser, SseError};
use crate::chat::Usage;
use crate::delta::Delta;
use crate::error::{ErrorCode, Failure};

/// The mark behind the last chunk of OpenAI's chat API. Some servers end the streams of other APIs with it too.
const MARK: &str = "[DONE]";

/// What the events of one stream have told so far, in one dialect.
pub trait Events: Default + fmt::Debug {
    /// What a stream that was cut lacks.
    const LAST: &'static str;

    /// Takes the next event in.
    ///
    /// # Errors
    /// `provider_invalid_response` on whatever is no such event; the provider's own error if it is one.
    fn take(&mut self, name: Option<&str>, value: Value, deltas: &mut Vec<Delta>) -> Result<(), Failure>;

    /// Nothing more is to come.
    fn is_done(&self) -> bool;

    /// The answer is whole: what comes behind it cannot spoil it any more.
    fn is_whole(&self) -> bool {
        self.is_done()
    }

    /// [`MARK`] was read.
    fn marked(&mut self) {}

    /// The tokens told so far.
    fn usage(&self) -> Option<Usage>;

    /// The last deltas. `None` when the answer is not whole.
    fn end(self) -> Option<Vec<Delta>>;
}

/// A decoder of one streamed answer.
#[derive(Debug)]
pub struct Decoder<E> {
    parser: Parser,
    events: E,
    /// Something unreadable came behind the whole answer: nothing is read any more.
    spoiled: bool,
}

impl<E: Events> Decoder<E> {
    /// A decoder that takes events of at most `max_event_bytes` (8 MiB in [`Default`]).
    #[must_use]
    pub fn new(max_event_bytes: usize) -> Self {
        Self { parser: Parser::new(max_event_bytes), events: E::default(), spoiled: false }
    }

    /// Takes the next bytes in and gives what became complete by them.
    ///
    /// # Errors
    /// `provider_invalid_response` on whatever is no such stream; the provider's own error if an event is one. The
    /// stream cannot be read on after it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Delta>, Failure> {
        let (mut deltas, mut events) = (Vec::new(), Vec::new());
        if self.is_done() {
            return Ok(deltas);
        }
        let read = self.parser.feed(bytes, &mut events);
        for event in &events {
            self.event(event, &mut deltas)?;
        }
        self.tolerate(read.map_err(broken))?;
        Ok(deltas)
    }

    /// Nothing more will come, so [`Self::finish`] need not wait for the connection's end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.spoiled || self.events.is_done()
    }

    /// The tokens told so far, for the ledger of an attempt that broke off.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.events.usage()
    }

    /// The bytes have ended: gives the last deltas. To be called at the end of every stream.
    ///
    /// # Errors
    /// `provider_invalid_response` when the answer is not whole: a cut stream is never an answer.
    pub fn finish(mut self) -> Result<Vec<Delta>, Failure> {
        let mut deltas = Vec::new();
        if !self.is_done() {
            match std::mem::replace(&mut self.parser, Parser::new(0)).finish() {
                Ok(Some(event)) => self.event(&event, &mut deltas)?,
                Ok(None) => {}
                Err(fault) => self.tolerate(Err(broken(fault)))?,
            }
        }
        let cut = || invalid(format!("the provider's stream ended without {}", E::LAST));
        deltas.extend(self.events.end().ok_or_else(cut)?);
        Ok(deltas)
    }

    fn event(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let data = event.data.trim();
        if self.is_done() || data.is_empty() {
            return Ok(());
        }
        if data == MARK {
            self.events.marked();
            return Ok(());
        }
        let value =
            serde_json::from_str(data).map_err(|_| invalid("the provider's stream holds an event that is not JSON"));
        let read = value.and_then(|value| self.events.take(event.name.as_deref(), value, deltas));
        self.tolerate(read)
    }

    /// A fault spoils the answer only while it is not whole; behind its end it ends the reading.
    fn tolerate(&mut self, read: Result<(), Failure>) -> Result<(), Failure> {
        match read {
            Err(_) if self.events.is_whole() => {
                self.spoiled = true;
                Ok(())
            }
            other => other,
        }
    }
}

impl<E: Events> Default for Decoder<E> {
    fn default() -> Self {
        Self::new(8 << 20)
    }
}

fn broken(fault: SseError) -> Failure {
    invalid(format!("the provider's stream is broken: {fault}"))
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::ProviderInvalidResponse, message)
}
