//! Tokens of running jobs: published without waiting, heard live, and caught up from the stream by index.

use std::collections::VecDeque;

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

/// Most frames read back at once.
const CATCH_UP: usize = 4096;

/// A running job's frames, in order, without gaps as far as the stream still has them.
pub struct Frames {
    broker: Broker,
    id: JobId,
    live: Subscriber,
    ready: VecDeque<Frame>,
    next: (u32, u64),
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
        Ok(Frames { broker: self.clone(), id, live, ready: VecDeque::new(), next: (0, 0) })
    }
}

impl Frames {
    /// The next frame; waits for it. `None` when the connection is closed.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take_ready() {
                return Some(frame);
            }
            let message = self.live.next().await?;
            let Ok(frame) = envelope::decode::<Frame>(&message.payload) else { continue };
            let expected = self.expects(&frame);
            self.ready.push_back(frame);
            if !expected {
                self.catch_up().await;
            }
        }
    }

    /// Reads back what the stream has and was not yet given out.
    pub async fn catch_up(&mut self) {
        match self.read_back().await {
            Ok(mut frames) => {
                frames.extend(self.ready.drain(..));
                frames.sort_by_key(|frame| (frame.attempt, frame.index));
                frames.dedup_by_key(|frame| (frame.attempt, frame.index));
                self.ready = frames.into();
            }
            Err(error) => tracing::debug!(error = %error, "deltas not read back"),
        }
    }

    fn expects(&self, frame: &Frame) -> bool {
        (frame.attempt, frame.index) <= self.next || frame.index == 0
    }

    fn take_ready(&mut self) -> Option<Frame> {
        while let Some(frame) = self.ready.pop_front() {
            if (frame.attempt, frame.index) >= self.next {
                self.next = (frame.attempt, frame.index + 1);
                return Some(frame);
            }
        }
        None
    }

    async fn read_back(&self) -> Result<Vec<Frame>, BrokerError> {
        let stream: Stream<()> = self
            .broker
            .0
            .js
            .get_stream_no_info(subject::DELTAS)
            .await
            .map_err(BrokerError::other("a stream cannot be reached"))?;
        let (filter, mut sequence, mut frames) = (subject::deltas(self.id), 1, Vec::new());
        while frames.len() < CATCH_UP {
            // Asked of the leader: a follower may not have the newest ones yet.
            match stream.get_first_raw_message_by_subject(&filter, sequence).await {
                Ok(message) => {
                    sequence = message.sequence + 1;
                    frames.push(envelope::decode(&message.payload)?);
                }
                Err(error) if is_absent(&error) => break,
                Err(error) => return Err(BrokerError::Away(error.into())),
            }
        }
        Ok(frames)
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
