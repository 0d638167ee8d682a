//! What STATE holds for a job once a worker touched it: holder, lease, attempt ledger, and in the end the result.
//! The job protocol names these fields `REC`.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

use crate::chat::{FinishReason, Message, Usage};
use crate::delta::Trace;
use crate::error::Failure;
use crate::job::{JobHead, Kept};
use crate::timestamp::Timestamp;
use crate::warning::Warning;

/// Where a job is in its life.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumIter, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Phase {
    /// A worker holds it.
    Running,
    /// It waits until a moment; nobody holds it.
    Parked,
    /// It ended with a whole answer.
    Completed,
    /// It ended with an error.
    Failed,
    /// Its client cancelled it.
    Cancelled,
    /// Its deadline or its retention passed.
    Expired,
    /// It ended with an answer that a limit or a filter cut.
    Incomplete,
}

impl Phase {
    /// Whether the job has ended. A terminal record is never replaced.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Running | Self::Parked)
    }
}

/// 128 random bits that name one delivery of one message: a lease is recognised by its nonce, never by its holder's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(String);

impl Nonce {
    /// The nonce of these bits, as 32 hexadecimal digits.
    #[must_use]
    pub fn new(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// Its text, as it stands in a due message's subject.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Nonce {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The one message whose delivery may advance the job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// The message in the JOBS stream of this name.
    Stream(String),
    /// The due message whose subject ends in this nonce.
    Due(Nonce),
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// The provider answered.
    Ok,
    /// The provider failed, and we know it.
    Failed,
    /// Given up before anything was sent.
    Aborted,
    /// The holder died or lost its lease: whether the provider was called is unknown.
    Ambiguous,
    /// Cancelled while running.
    Cancelled,
}

/// One provider request, on record before it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// The delivery that made it.
    pub nonce: Nonce,
    /// The provider's configured name.
    pub provider: String,
    /// The model's name at that provider.
    pub model: String,
    /// When it was recorded.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// How it ended; `None` while it runs.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<Failure>,
    /// Tokens it cost, when known.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// What they cost in millionths of a US dollar, when the model has prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<u64>,
    /// It was made beside one that was still running, and slow.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hedge: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// How many runs before that of the last of `ledger` may have published deltas: those of which nobody knows how they
/// ended. One that is known to have failed in the middle of a stream ends its job.
#[must_use]
pub fn generation(ledger: &[Attempt]) -> u32 {
    let earlier = ledger.split_last().map_or(ledger, |(_, earlier)| earlier);
    let lost = deliveries(earlier.iter().filter(|attempt| attempt.outcome == Some(Outcome::Ambiguous)));
    u32::try_from(lost).unwrap_or(u32::MAX)
}

/// How many deliveries made these attempts. One delivery has two of them under way at most, a call and its hedge, of
/// which one goes on: what becomes of both is one run's fate.
#[must_use]
pub fn deliveries<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> usize {
    attempts.map(|attempt| &attempt.nonce).collect::<HashSet<_>>().len()
}

/// What was cut from the context before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContextReport {
    /// Messages as submitted.
    pub messages_before: u32,
    /// Messages as sent.
    pub messages_after: u32,
    /// Tokens as submitted.
    pub tokens_before: u64,
    /// Tokens as sent.
    pub tokens_after: u64,
    /// Of the messages that are sent, so many tool results give way to a placeholder.
    #[serde(default)]
    pub tool_results_cleared: u32,
    /// Tokens that this saves.
    #[serde(default)]
    pub tokens_cleared: u64,
    /// The session's summary stands in for what was dropped.
    #[serde(default)]
    pub summary_used: bool,
    /// What was sent for the turn before is, byte for byte, the beginning of what is sent now: providers' prompt caches hit.
    #[serde(default)]
    pub prefix_stable: bool,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct JobResult {
    /// The provider that answered.
    pub provider: Option<String>,
    /// The model that the provider says it used.
    pub model: Option<String>,
    /// The provider's own id of the answer.
    pub response_id: Option<String>,
    /// The assistant's message; in part where the job is `incomplete`.
    pub output: Option<Message>,
    /// The message is in the object store under this name, being too large for a record.
    pub stored_output: Option<String>,
    /// Why the model stopped.
    pub finish: Option<FinishReason>,
    /// Tokens of the answering attempt.
    pub usage: Option<Usage>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// What pruning did.
    pub context: Option<ContextReport>,
    /// What the client should know.
    pub warnings: Vec<Warning>,
    /// It lies in DEAD, replayable.
    pub dead: bool,
    /// What is kept of the request, for an API that shows it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Box<Kept>>,
    /// The number of this turn in its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<u64>,
    /// The summary in its prompt covered its session's turns up to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_turns: Option<u64>,
    /// How the answer was cut into the deltas that were published, so that they can be made again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// The log probability of each token, when asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logprobs: Vec<serde_json::Value>,
    /// Fields outside the neutral form, by the dialect of the provider that sent them.
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// The [`Aside`] is in the object store under this name, being too large for a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_aside: Option<String>,
}

/// What comes with an answer beside its message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Aside {
    /// As [`JobResult::logprobs`].
    pub logprobs: Vec<serde_json::Value>,
    /// As [`JobResult::extra`].
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// The value of `state.<id>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobState {
    /// Where the job is in its life.
    pub phase: Phase,
    /// The delivery that wrote this.
    pub nonce: Nonce,
    /// The worker instance that wrote this, for people; decisions use the nonce.
    pub holder: String,
    /// Every provider request so far, oldest first.
    pub attempts: Vec<Attempt>,
    /// The message that may advance the job.
    pub carrier: Carrier,
    /// While parked: not before this moment, by the server's clock.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// While parked: why, in a word such as `rate_limited`.
    #[serde(default)]
    pub reason: Option<String>,
    /// What the job is.
    pub head: JobHead,
    /// When its first attempt began.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// How it ended, once it did.
    #[serde(default)]
    pub result: Option<Box<JobResult>>,
}
