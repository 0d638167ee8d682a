//! Reading and writing `state.<id>`: R and W.

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::ErrorCode as JetStreamCode;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use schemas::id::JobId;
use schemas::{envelope, subject};

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::protocol::{Record, Write, Written};
use crate::publisher::{Outgoing, Published};

/// Carries the record's phase beside it, so that whoever looks for those that have not ended need not read them all.
pub(crate) const PHASE_HEADER: &str = "Portbroker-Phase";

impl Broker {
    /// What STATE holds for a job, as its leader tells it.
    ///
    /// # Errors
    /// [`BrokerError`] when the leader cannot be asked, or its answer not be read.
    pub async fn state(&self, id: JobId) -> Result<Option<Record>, BrokerError> {
        self.0.metrics.reads.inc();
        let Some(message) = self.last(subject::STATE, &subject::state(id)).await? else { return Ok(None) };
        let state = envelope::decode(&message.payload)?;
        Ok(Some(Record { seq: message.sequence, state, written_at: message.time.into() }))
    }

    /// The last message under `filter`, asked of the stream's leader: a Direct Get may answer from the past.
    pub(crate) async fn last(&self, stream: &str, filter: &str) -> Result<Option<StreamMessage>, BrokerError> {
        let stream: Stream<()> =
            self.0.js.get_stream_no_info(stream).await.map_err(BrokerError::other("a stream cannot be reached"))?;
        match stream.get_last_raw_message_by_subject(filter).await {
            Ok(message) => Ok(Some(message)),
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(cause) if cause.error_code() == JetStreamCode::NO_MESSAGE_FOUND => {
                    Ok(None)
                }
                _ => Err(BrokerError::Away(error.into())),
            },
        }
    }

    /// W: one write, its outcome as far as it is known.
    pub(crate) async fn write(
        &self,
        id: JobId,
        write: &Write,
        operation: &'static str,
    ) -> Result<Written, BrokerError> {
        let metrics = &self.0.metrics;
        let timer = metrics.write_seconds.with_label_values(&[operation]).start_timer();
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, write.expect.to_string().as_str());
        headers.insert(PHASE_HEADER, <&str>::from(write.state.phase));
        let payload = envelope::encode(&write.state)?;
        let message = Outgoing { subject: subject::state(id), headers, payload };
        let (written, outcome) = match self.0.state.publish(message).await {
            Published::Stored { seq, .. } => (Ok(Written::Stored(seq)), "stored"),
            Published::Refused { code: 10_071 | 10_164, .. } => (Ok(Written::Refused), "refused"),
            Published::Refused { code, description } => (Err(not_stored(id, code, description)), "refused"),
            Published::Unknown => (Ok(Written::Unknown), "unknown"),
        };
        timer.observe_duration();
        metrics.writes.with_label_values(&[operation, outcome]).inc();
        written
    }
}

/// A write that lost to no other: the server has no room for it, which passes, or it is too large, which does not.
fn not_stored(id: JobId, code: u64, description: String) -> BrokerError {
    tracing::warn!(job_id = %id.job(), code, description, "a record was not stored");
    let refused = BrokerError::Refused { code, description };
    if refused.may_pass() { BrokerError::Away(refused.into()) } else { refused }
}
