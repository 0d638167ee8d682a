//! The wire API that a client reads its answer in.

use bytes::Bytes;
use schemas::chat::ChatResponse;
use schemas::delta::Delta;
use schemas::dialect::{anthropic, openai_chat, openai_responses};
use schemas::error::Failure;
use schemas::id::JobId;
use schemas::job::JobHead;
use serde_json::Value;

use crate::error::ApiError;

/// How a request wants its answer written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Style {
    /// As a chat completion.
    Chat(openai_chat::ClientOptions),
    /// As a message.
    Messages,
    /// As a response.
    Responses(Box<openai_responses::ClientOptions>),
}

/// An answer's own fields, and how it is written.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// As a chat completion.
    Chat(openai_chat::Reply),
    /// As a message.
    Messages(anthropic::Reply),
    /// As a response.
    Responses(Box<openai_responses::Reply>),
}

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

impl Style {
    /// The metric label of a client that waits for the whole answer, and of one that reads it in pieces.
    pub(crate) const fn waiting(&self) -> [&'static str; 2] {
        match self {
            Self::Chat(_) => ["chat", "chat_stream"],
            Self::Messages => ["messages", "messages_stream"],
            Self::Responses(_) => ["responses", "responses_stream"],
        }
    }

    /// The reply to a job.
    pub(crate) fn reply(self, id: JobId, head: &JobHead) -> Reply {
        let (created, model) = (head.created_at.as_secs(), head.model.clone());
        match self {
            Self::Chat(options) => {
                Reply::Chat(openai_chat::Reply { id: id.prefixed("chatcmpl-"), created, model, options })
            }
            Self::Messages => Reply::Messages(anthropic::Reply { id: id.prefixed("msg_"), model, input_tokens: 0 }),
            Self::Responses(options) => Reply::Responses(Box::new(openai_responses::Reply {
                id: id.prefixed("resp_"),
                created_at: created,
                completed_at: None,
                model,
                status: openai_responses::Status::Completed,
                options: *options,
            })),
        }
    }
}

impl Reply {
    /// The body of a whole answer.
    pub(crate) fn encode(&self, response: &ChatResponse) -> Value {
        match self {
            Self::Chat(reply) => openai_chat::encode_response(response, reply),
            Self::Messages(reply) => anthropic::encode_response(response, reply),
            Self::Responses(reply) => openai_responses::encode_response(response, reply),
        }
    }

    /// The encoder of a streamed answer.
    pub(crate) fn stream(self) -> Encoder {
        match self {
            Self::Chat(reply) => Encoder::Chat(Box::new(openai_chat::StreamEncoder::new(reply))),
            Self::Messages(reply) => Encoder::Messages(Box::new(anthropic::StreamEncoder::new(reply))),
            Self::Responses(reply) => Encoder::Responses(Box::new(openai_responses::StreamEncoder::new(*reply, None))),
        }
    }
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

    /// The end by `error`. Only a job that `ended` can have failed by it, and not one whose call is left open by it: its
    /// answer is there, and cannot be fetched now.
    pub(crate) fn refused(&mut self, error: &ApiError, ended: bool) -> Bytes {
        if ended && !error.is_open() { self.failed(error.failure()) } else { self.broken(error.failure()) }
    }

    /// The end by a failure of the job itself.
    fn failed(&mut self, failure: &Failure) -> Bytes {
        match self {
            Self::Chat(encoder) => encoder.error(failure),
            Self::Messages(encoder) => encoder.error(failure),
            Self::Responses(encoder) => encoder.error(failure),
        }
    }

    /// The end of this stream alone: the job may go on, or be told anew.
    fn broken(&mut self, failure: &Failure) -> Bytes {
        match self {
            Self::Responses(encoder) => encoder.abort(failure),
            Self::Chat(_) | Self::Messages(_) => self.failed(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::timestamp::Timestamp;
    use serde_json::json;

    #[test]
    fn only_a_failure_of_the_job_itself_ends_its_response() {
        let said = |error: ApiError, ended| {
            let head = json!({"tenant": "t", "model": "m", "created_at": 0, "body_hash": ""});
            let head: JobHead = serde_json::from_value(head).unwrap();
            let id = JobId::new(Timestamp::from_millis(0), 1);
            let mut encoder = Style::Responses(Box::default()).reply(id, &head).stream();
            String::from_utf8(encoder.refused(&error, ended).to_vec()).unwrap()
        };
        let away = || ApiError::unavailable("away");
        assert!(said(away(), true).contains("response.failed"));
        assert!(!said(away().open(), true).contains("response.failed"), "the answer is there");
        assert!(!said(away(), false).contains("response.failed"), "the job goes on");
    }
}
