//! What writes a streamed answer in the wire API of the client that reads it.

use bytes::Bytes;
use schemas::delta::Delta;
use schemas::dialect::{anthropic, openai_chat, openai_responses};
use schemas::error::Failure;

use crate::error::ApiError;

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
    use schemas::id::JobId;
    use schemas::job::JobHead;
    use schemas::timestamp::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::call::Style;

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
