//! How deep the queue is, from consumers' own counts: no listing of subjects.

use std::collections::BTreeMap;

use async_nats::jetstream::consumer;
use async_nats::jetstream::stream::Stream;
use futures::future::try_join_all;
use schemas::job::Lane;
use schemas::stats::{LaneDepth, QueueDepth};
use schemas::subject;
use schemas::timestamp::Timestamp;
use strum::IntoEnumIterator;

use crate::broker::Broker;
use crate::error::BrokerError;

impl Broker {
    /// The depth of every lane. `running` leaves out nothing that a worker has in hand.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked.
    pub async fn depth(&self) -> Result<QueueDepth, BrokerError> {
        let depths = try_join_all(Lane::iter().map(|lane| self.lane_depth(lane))).await?;
        Ok(QueueDepth { lanes: Lane::iter().zip(depths).collect::<BTreeMap<_, _>>() })
    }

    async fn lane_depth(&self, lane: Lane) -> Result<LaneDepth, BrokerError> {
        let jobs = self.consumer_info(subject::jobs_stream(lane), subject::WORKERS).await?;
        let delayed = self.consumer_info(subject::DELAYED, &format!("delayed_{lane}")).await?;
        let dead = self.consumer_info(subject::DEAD, &format!("dead_{lane}")).await?;
        let oldest = match jobs.num_pending {
            0 => None,
            _ => self.next_stored_at(subject::jobs_stream(lane), jobs.delivered.stream_sequence + 1).await?,
        };
        Ok(LaneDepth {
            pending: jobs.num_pending,
            delayed: delayed.num_pending,
            running: jobs.num_ack_pending as u64,
            redelivered: jobs.num_redelivered as u64,
            oldest_age_seconds: oldest.map_or(0, |at| self.now().since(at).as_secs()),
            dead: dead.num_pending,
        })
    }

    pub(crate) async fn consumer_info(&self, stream: &str, consumer: &str) -> Result<consumer::Info, BrokerError> {
        let stream = self.stream(stream).await?;
        stream.consumer_info(consumer).await.map_err(BrokerError::other("a consumer cannot be reached"))
    }

    pub(crate) async fn stream(&self, name: &str) -> Result<Stream<()>, BrokerError> {
        self.0.js.get_stream_no_info(name).await.map_err(BrokerError::other("a stream cannot be reached"))
    }

    /// When the first message at or after a sequence was stored.
    async fn next_stored_at(&self, stream: &str, sequence: u64) -> Result<Option<Timestamp>, BrokerError> {
        let stream = self.stream(stream).await?;
        let message = stream.direct_get_next_for_subject(">", Some(sequence)).await;
        Ok(message.ok().map(|message| message.time.into()))
    }
}
