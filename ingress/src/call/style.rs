//! The wire API that a client reads its answer in.

use schemas::chat::ChatResponse;
use schemas::dialect::{anthropic, openai_chat, openai_responses};
use schemas::id::JobId;
use schemas::job::JobHead;
use serde_json::Value;

use crate::stream::encoder::Encoder;

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
