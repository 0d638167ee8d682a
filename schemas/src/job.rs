//! A job as it was accepted: who asked, how it is to be treated, and the request itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

use crate::chat::ChatRequest;
pub use crate::context::{ContextOptions, ContextStrategy};
use crate::id::JobId;
use crate::session::SummaryRange;
use crate::timestamp::Timestamp;
use crate::warning::Warning;

/// How urgent a job is. Lanes are weighted; none starves.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Lane {
    /// A person waits.
    High,
    /// The default.
    #[default]
    Normal,
    /// Whenever there is room.
    Low,
}

/// What to do when a worker died and nobody knows whether its provider call happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnAmbiguous {
    /// Call again: the answer matters more than a second charge.
    #[default]
    Retry,
    /// End the job as failed: a second call would do harm.
    Fail,
}

/// What every record of a job carries, so that it can be shown without its request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobHead {
    /// Whose job it is: the name its API key belongs to.
    pub tenant: String,
    /// How urgent it is.
    #[serde(default)]
    pub lane: Lane,
    /// The model as the client wrote it.
    pub model: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Not to be started earlier.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// Past this moment it ends `expired`.
    #[serde(default)]
    pub deadline: Option<Timestamp>,
    /// The conversation it belongs to.
    #[serde(default)]
    pub session: Option<String>,
    /// The client's own labels, returned as they came.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// What to do about a call that may have happened.
    #[serde(default)]
    pub on_ambiguous: OnAmbiguous,
    /// The client wants tokens while they are made.
    #[serde(default)]
    pub stream: bool,
    /// A client holds its connection open for the answer.
    #[serde(default)]
    pub synchronous: bool,
    /// SHA-256 of the request body in hex: tells a repeated submit from a changed one.
    pub body_hash: String,
    /// The id of the HTTP request that submitted it, for the logs.
    #[serde(default)]
    pub trace_id: String,
    /// The dead job that this one is a replay of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<JobId>,
    /// The one provider that may be asked; any that serves the model when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What an internal job sums up. No client submitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summarizes: Option<Box<SummaryRange>>,
}

impl JobHead {
    /// Whether it was to wait for its time when it was accepted.
    #[must_use]
    pub fn is_delayed(&self) -> bool {
        self.not_before.is_some_and(|moment| moment > self.created_at)
    }
}

/// A job, as it lies in JOBS and DELAYED.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// What its records carry.
    pub head: JobHead,
    /// How its context may be pruned.
    #[serde(default)]
    pub context: ContextOptions,
    /// What the model is asked.
    pub request: Payload,
    /// What of the client's request could not be taken over; goes into the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// What its API shows of the request later on, for one that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface: Option<Surface>,
}

impl Job {
    /// This job once more as `id`, which names it as its parent. Its times are its own and are not taken over; nor is the
    /// provider it may have been pinned to, nor a client that waited for it.
    #[must_use]
    pub fn again(&self, id: JobId, now: Timestamp, trace_id: &str) -> Self {
        let head = JobHead {
            created_at: now,
            not_before: None,
            deadline: None,
            synchronous: false,
            trace_id: trace_id.to_owned(),
            parent: Some(self.id),
            provider: None,
            ..self.head.clone()
        };
        Self { id, head, ..self.clone() }
    }
}

/// How a job is shown by an API that repeats parts of the request in every answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Surface {
    /// The dialect of the API that it was submitted by.
    pub dialect: String,
    /// What is repeated, as that dialect wants it; null where it is stored.
    pub echo: Value,
    /// The object that has it, enveloped like any stored value, when it is too large to be carried along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_echo: Option<String>,
    /// The request is kept with the result, so that it can be shown and gone on from.
    #[serde(default)]
    pub store: bool,
}

/// What a result keeps of its request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// How it is shown, by an API that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface: Option<Surface>,
    /// The request, or where it is, if it is to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Payload>,
    /// Whether the client wants its session to be summed up, where it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summarize: Option<bool>,
}

/// The request, or where it is when it is larger than a NATS message may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// Here.
    Inline(Box<ChatRequest>),
    /// In the object store, enveloped like any stored value.
    Stored {
        /// The object's name.
        object: String,
        /// Its size in bytes.
        bytes: u64,
    },
}
