//! Reading and writing `state.<id>`: R, W, and the loop that runs an operation of the protocol on them.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::ErrorCode as JetStreamCode;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use schemas::id::JobId;
use schemas::{envelope, subject};

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::protocol::cas::{Cas, Ended, Operation, Step};
use crate::protocol::{Record, Write, Written};
use crate::publisher::{Outgoing, Published};

const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// From where an operation starts.
pub(crate) enum From<'a> {
    /// STATE must be read first.
    Reading,
    /// This is what it holds, or what we guess it holds: a wrong guess is refused.
    Assuming(Option<&'a Record>),
}

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
        let payload = envelope::encode(&write.state)?;
        let message = Outgoing { subject: subject::state(id), headers, payload };
        let (written, outcome) = match self.0.state.publish(message).await {
            Published::Stored { seq, .. } => (Written::Stored(seq), "stored"),
            Published::Refused { .. } => (Written::Refused, "refused"),
            Published::Unknown => (Written::Unknown, "unknown"),
        };
        timer.observe_duration();
        metrics.writes.with_label_values(&[operation, outcome]).inc();
        Ok(written)
    }

    /// Runs an operation to its end. While NATS is away it keeps trying: whoever must give up earlier drops the future.
    pub(crate) async fn run<O: Operation>(
        &self,
        id: JobId,
        name: &'static str,
        operation: O,
        from: From<'_>,
    ) -> Result<Ended<O::Outcome>, BrokerError> {
        let (mut cas, mut step) = match from {
            From::Reading => Cas::reading(operation),
            From::Assuming(record) => Cas::assuming(operation, record, self.now()),
        };
        let mut wait = Backoff::default();
        loop {
            step = match step {
                Step::Ended(ended) => return Ok(ended),
                Step::Write(write) => cas.written(self.write(id, &write, name).await?),
                Step::Read { not_before } => match self.state(id).await {
                    Ok(record) if record.as_ref().map_or(0, |record| record.seq) >= not_before => {
                        cas.read(record.as_ref(), self.now())
                    }
                    Ok(_) | Err(BrokerError::Away(_) | BrokerError::TimedOut) => {
                        wait.pause().await;
                        Step::Read { not_before }
                    }
                    Err(error) => return Err(error),
                },
            };
        }
    }
}

/// Waits that double, from 20 ms to 2 s.
#[derive(Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    pub(crate) async fn pause(&mut self) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.0.min(7)).min(LONGEST_WAIT);
        self.0 = self.0.saturating_add(1);
        tokio::time::sleep(wait).await;
    }
}
