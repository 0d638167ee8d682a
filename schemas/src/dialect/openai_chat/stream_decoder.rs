//! A provider's stream of chunks, to deltas.

use super::chunks::Chunks;
use crate::chat::Usage;
use crate::delta::Delta;
use crate::dialect::sse::{Parser, SseError};
use crate::error::{ErrorCode, Failure};

/// A provider's stream, from bytes in any split to deltas.
#[derive(Debug)]
pub struct StreamDecoder {
    parser: Parser,
    chunks: Chunks,
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

    /// The bytes have ended: gives the last deltas, the finish and the usage among them, since something may be told of
    /// the answer behind its finish reason. To be called at the end of every stream.
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
        let unfinished =
            || Failure::new(ErrorCode::ProviderInvalidResponse, "the provider's stream ended without finish");
        deltas.extend(chunks.end().ok_or_else(unfinished)?);
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
