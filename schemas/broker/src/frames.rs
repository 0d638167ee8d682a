//! Tokens of running jobs: published without waiting, heard live, and caught up from the stream by index.

use async_nats::Subscriber;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageError, Stream};
use bytes::Bytes;
use futures::StreamExt;
use schemas::delta::Frame;
use schemas::id::JobId;
use schemas::{envelope, subject};

use crate::broker::Broker;
use crate::error::BrokerError;

use crate::heard::HeardFrames;

/// Most frames read back at once. Those behind them are read when these have been given out.
const CATCH_UP: usize = 4096;

/// A running job's frames, in order, without gaps as far as the stream still has them.
pub struct Frames {
    broker: Broker,
    id: JobId,
    live: Subscriber,
    heard: HeardFrames,
    /// Where to read on in the stream.
    sequence: u64,
    /// There is more to be read before anything is heard.
    more: bool,
}

impl Broker {
    /// Publishes one frame. Not acknowledged: the terminal record has the whole answer.
    ///
    /// # Errors
    /// [`BrokerError`] when it cannot be encoded or the connection takes no more.
    pub async fn publish_frame(&self, id: JobId, frame: &Frame) -> Result<(), BrokerError> {
        let payload: Bytes = envelope::encode(frame)?;
        let sent = self.0.client.publish(subject::deltas(id), payload).await;
        sent.map_err(BrokerError::other("a delta cannot be published"))
    }

    /// Listens for a job's frames from the first one on. Create it before the job can start, or call
    /// [`Frames::catch_up`].
    ///
    /// # Errors
    /// [`BrokerError`] when the subscription cannot be made.
    pub async fn frames(&self, id: JobId) -> Result<Frames, BrokerError> {
        let live = self.0.client.subscribe(subject::deltas(id)).await;
        let live = live.map_err(BrokerError::other("deltas cannot be subscribed to"))?;
        Ok(Frames { broker: self.clone(), id, live, heard: HeardFrames::default(), sequence: 1, more: false })
    }
}

impl Frames {
    /// The next frame; waits for it. `None` when the connection is closed.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.heard.take() {
                return Some(frame);
            }
            if self.more {
                self.read_on().await;
                continue;
            }
            let message = self.live.next().await?;
            let Ok(frame) = envelope::decode::<Frame>(&message.payload) else { continue };
            // One that others are missing before is read in its turn, or when the next one is heard.
            if self.heard.expects(&frame) || self.read_on().await {
                self.heard.push(frame);
            }
        }
    }

    /// Reads back what the stream has and was not yet given out.
    pub async fn catch_up(&mut self) {
        self.read_on().await;
    }

    /// Reads back as much as may be held. Whether that is all that the stream has.
    async fn read_on(&mut self) -> bool {
        let read = self.read_back().await;
        self.more = matches!(read, Ok(false));
        if let Err(error) = &read {
            tracing::debug!(error = %error, "deltas not read back");
        }
        matches!(read, Ok(true))
    }

    async fn read_back(&mut self) -> Result<bool, BrokerError> {
        let stream: Stream<()> = self
            .broker
            .0
            .js
            .get_stream_no_info(subject::DELTAS)
            .await
            .map_err(BrokerError::other("a stream cannot be reached"))?;
        let filter = subject::deltas(self.id);
        for _ in 0..CATCH_UP {
            // Asked of the leader: a follower may not have the newest ones yet.
            match stream.get_first_raw_message_by_subject(&filter, self.sequence).await {
                Ok(message) => self.take_over(message.sequence, &message.payload),
                Err(error) if is_absent(&error) => return Ok(true),
                Err(error) => return Err(BrokerError::Away(error.into())),
            }
        }
        Ok(false)
    }

    /// A frame that stands at `sequence` of the stream. One that cannot be read is missing.
    fn take_over(&mut self, sequence: u64, payload: &[u8]) {
        let Ok(frame) = envelope::decode::<Frame>(payload) else {
            self.sequence = sequence + 1;
            return;
        };
        self.sequence = sequence + self.heard.distance(&frame);
        self.heard.push(frame);
    }
}

/// Whether there is no such message.
pub(crate) fn is_absent(error: &RawMessageError) -> bool {
    match error.kind() {
        LastRawMessageErrorKind::NoMessageFound => true,
        LastRawMessageErrorKind::JetStream(cause) => cause.error_code() == ErrorCode::NO_MESSAGE_FOUND,
        _ => false,
    }
}
