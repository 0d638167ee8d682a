//! What writes a streamed answer in the wire API of the client that reads it.

use bytes::Bytes;
use schemas::delta::Delta;
use schemas::dialect::{anthropic, openai_chat, openai_responses};
use schemas::error::Failure;

/// A streamed answer's encoder.
#[derive(Debug)]
pub(crate) enum Encoder {
    /// Chunks.
    Chat(Box<openai_chat::StreamEncoder>),
    /// Events of a message.
    Messages(Box<anthropic::StreamEncoder>),
    /// Numbered events of a response.
    Responses(Box<openai_responses::StreamEncoder>),
}

impl Encoder {
    /// What can be sent before the first piece is there.
    pub(crate) fn open(&mut self) -> Bytes {
        match self {
            Self::Responses(encoder) => encoder.open(),
            Self::Chat(_) | Self::Messages(_) => Bytes::new(),
        }
    }

    /// The pieces from here on are those of a run after `generation` others that may have been heard of.
    pub(crate) fn generation(&mut self, generation: u32) {
        if let Self::Responses(encoder) = self {
            encoder.generation(generation);
        }
    }

    /// The next piece.
    pub(crate) fn encode(&mut self, delta: &Delta) -> Bytes {
        match self {
            Self::Chat(encoder) => encoder.encode(delta),
            Self::Messages(encoder) => encoder.encode(delta),
            Self::Responses(encoder) => encoder.encode(delta),
        }
    }

    /// The clean end.
    pub(crate) fn end(&mut self) -> Bytes {
        match self {
            Self::Chat(encoder) => encoder.end(),
            Self::Messages(encoder) => encoder.end(),
            Self::Responses(encoder) => encoder.end(),
        }
    }

    /// The end by a failure of the job itself.
    pub(crate) fn failed(&mut self, failure: &Failure) -> Bytes {
        match self {
            Self::Chat(encoder) => encoder.error(failure),
            Self::Messages(encoder) => encoder.error(failure),
            Self::Responses(encoder) => encoder.error(failure),
        }
    }

    /// The end of this stream alone: the job may go on, or be told anew.
    pub(crate) fn broken(&mut self, failure: &Failure) -> Bytes {
        match self {
            Self::Responses(encoder) => encoder.abort(failure),
            Self::Chat(_) | Self::Messages(_) => self.failed(failure),
        }
    }
}
