//! A provider's wire API, chosen by data: one place that leads to each dialect's own codec.

use std::time::Duration;

use serde_json::Value;

use super::classify::Classified;
use super::{anthropic, openai_chat, openai_responses};
use crate::catalog::{ProviderDialect, Quirks};
use crate::chat::{ChatRequest, ChatResponse, Usage};
use crate::delta::Delta;
use crate::error::Failure;
use crate::warning::Warning;

/// A wire API that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// OpenAI's chat completions.
    OpenaiChat,
    /// OpenAI's responses.
    OpenaiResponses,
    /// Anthropic's messages.
    Anthropic,
}

/// A provider's stream, from bytes in any split to deltas.
#[derive(Debug)]
pub enum StreamDecoder {
    /// Chunks of a chat completion.
    OpenaiChat(Box<openai_chat::StreamDecoder>),
    /// Events of a response.
    OpenaiResponses(Box<openai_responses::StreamDecoder>),
    /// Events of a message.
    Anthropic(Box<anthropic::StreamDecoder>),
}

impl Wire {
    /// The API of `dialect`; `None` for what needs no wire.
    #[must_use]
    pub const fn of(dialect: ProviderDialect) -> Option<Self> {
        match dialect {
            ProviderDialect::OpenaiChat => Some(Self::OpenaiChat),
            ProviderDialect::OpenaiResponses => Some(Self::OpenaiResponses),
            ProviderDialect::Anthropic => Some(Self::Anthropic),
            ProviderDialect::Echo => None,
        }
    }

    /// What a provider's base URL is followed by.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::OpenaiChat => openai_chat::PATH,
            Self::OpenaiResponses => openai_responses::PATH,
            Self::Anthropic => anthropic::PATH,
        }
    }

    /// The body that asks for `request` under the provider's own name of the model, and what the provider will not see.
    #[must_use]
    pub fn encode_request(self, request: &ChatRequest, upstream: &str, quirks: &Quirks) -> (Value, Vec<Warning>) {
        match self {
            Self::OpenaiChat => openai_chat::encode_request(request, upstream, quirks),
            Self::OpenaiResponses => openai_responses::encode_request(request, upstream, quirks),
            Self::Anthropic => anthropic::encode_request(request, upstream, quirks),
        }
    }

    /// Takes a whole answer apart.
    ///
    /// # Errors
    /// `provider_invalid_response` on whatever is no whole answer; the provider's own error if the body is one.
    pub fn decode_response(self, body: &[u8]) -> Result<ChatResponse, Failure> {
        match self {
            Self::OpenaiChat => openai_chat::decode_response(body),
            Self::OpenaiResponses => openai_responses::decode_response(body),
            Self::Anthropic => anthropic::decode_response(body),
        }
    }

    /// What an error answer means.
    #[must_use]
    pub fn classify(self, status: u16, after: Option<Duration>, body: &[u8]) -> Classified {
        match self {
            Self::OpenaiChat => openai_chat::classify(status, after, body),
            Self::OpenaiResponses => openai_responses::classify(status, after, body),
            Self::Anthropic => anthropic::classify(status, after, body),
        }
    }

    /// A decoder of one streamed answer.
    #[must_use]
    pub fn stream_decoder(self) -> StreamDecoder {
        match self {
            Self::OpenaiChat => StreamDecoder::OpenaiChat(Box::default()),
            Self::OpenaiResponses => StreamDecoder::OpenaiResponses(Box::default()),
            Self::Anthropic => StreamDecoder::Anthropic(Box::default()),
        }
    }
}

impl StreamDecoder {
    /// Takes the next bytes in and gives what became complete by them.
    ///
    /// # Errors
    /// `provider_invalid_response` on whatever is no such stream; the provider's own error if an event is one.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Delta>, Failure> {
        match self {
            Self::OpenaiChat(decoder) => decoder.feed(bytes),
            Self::OpenaiResponses(decoder) => decoder.feed(bytes),
            Self::Anthropic(decoder) => decoder.feed(bytes),
        }
    }

    /// Nothing more will come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Self::OpenaiChat(decoder) => decoder.is_done(),
            Self::OpenaiResponses(decoder) => decoder.is_done(),
            Self::Anthropic(decoder) => decoder.is_done(),
        }
    }

    /// The tokens told so far.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Self::OpenaiChat(decoder) => decoder.usage(),
            Self::OpenaiResponses(decoder) => decoder.usage(),
            Self::Anthropic(decoder) => decoder.usage(),
        }
    }

    /// The bytes have ended: gives the last deltas.
    ///
    /// # Errors
    /// `provider_invalid_response` when the stream has not come to its end: a cut stream is never an answer.
    pub fn finish(self) -> Result<Vec<Delta>, Failure> {
        match self {
            Self::OpenaiChat(decoder) => decoder.finish(),
            Self::OpenaiResponses(decoder) => decoder.finish(),
            Self::Anthropic(decoder) => decoder.finish(),
        }
    }
}
