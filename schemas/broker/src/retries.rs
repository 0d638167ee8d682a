//! Noting the calls whose client lost its connection, and joining them: `retries.<digest>`, by compare-and-set.

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::ErrorCode as JetStreamCode;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use schemas::broken::{BrokenCall, BrokenCalls, Taking};
use schemas::id::JobId;
use schemas::{envelope, subject};

use crate::backoff::Backoff;
use crate::broker::Broker;
use crate::error::BrokerError;
use crate::publisher::{Outgoing, Published};

/// Most tries of one change: whoever is refused has lost to somebody else's change of the same calls.
const TRIES: usize = 64;

impl Broker {
    /// Notes a call that broke, for `ingress.retry_join`. Noted again it changes nothing.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked: try again.
    pub async fn note_broken(&self, digest: &str, call: &BrokenCall) -> Result<(), BrokerError> {
        let keep = self.0.config.ingress.retry_join;
        let mut wait = Backoff::default();
        for _ in 0..TRIES {
            let (seq, calls) = self.broken(digest).await?;
            let Some(calls) = calls.noted(call, self.now(), keep) else { return Ok(()) };
            if self.replace_broken(digest, seq, &calls).await? {
                return Ok(());
            }
            wait.pause().await;
        }
        Err(BrokerError::TimedOut)
    }

    /// The job of a call that broke within `ingress.retry_join`, taken: no other retry gets it for the same break.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked.
    pub async fn take_broken(&self, digest: &str) -> Result<Option<JobId>, BrokerError> {
        let (taker, keep) = (Self::nonce(), self.0.config.ingress.retry_join);
        let mut wait = Backoff::default();
        for _ in 0..TRIES {
            let (seq, calls) = self.broken(digest).await?;
            match calls.taking(&taker, self.now(), keep) {
                Taking::Nothing => return Ok(None),
                Taking::Taken(id) => return Ok(Some(id)),
                Taking::Take(id, calls) => {
                    if self.replace_broken(digest, seq, &calls).await? {
                        return Ok(Some(id));
                    }
                }
            }
            wait.pause().await;
        }
        Err(BrokerError::TimedOut)
    }

    /// The calls that broke, as the stream's leader tells them, and their sequence. A restarted server has forgotten the
    /// stream with all of them, until some process sets it up again.
    async fn broken(&self, digest: &str) -> Result<(u64, BrokenCalls), BrokerError> {
        let stream: Stream<()> = self
            .0
            .js
            .get_stream_no_info(subject::RETRIES)
            .await
            .map_err(BrokerError::other("a stream cannot be reached"))?;
        let none = || Ok((0, BrokenCalls::default()));
        match stream.get_last_raw_message_by_subject(&subject::retries(digest)).await {
            Ok(message) => Ok((message.sequence, envelope::decode(&message.payload)?)),
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => none(),
                LastRawMessageErrorKind::JetStream(cause)
                    if [JetStreamCode::NO_MESSAGE_FOUND, JetStreamCode::STREAM_NOT_FOUND]
                        .contains(&cause.error_code()) =>
                {
                    none()
                }
                _ => Err(BrokerError::Away(error.into())),
            },
        }
    }

    /// Whether `calls` are stored in place of those of sequence `seq`. False when they are not, or nobody knows.
    async fn replace_broken(&self, digest: &str, seq: u64, calls: &BrokenCalls) -> Result<bool, BrokerError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, seq.to_string().as_str());
        let message = Outgoing { subject: subject::retries(digest), headers, payload: envelope::encode(calls)? };
        match self.0.plain.publish(message).await {
            Published::Stored { .. } => Ok(true),
            Published::Refused { code: 10_071 | 10_164, .. } | Published::Unknown => Ok(false),
            Published::Refused { code, description } => Err(BrokerError::Refused { code, description }),
        }
    }
}
