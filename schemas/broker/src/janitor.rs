//! Purging what has ended from the lanes (J1): everything below the workers' ack floor. Only the workers' consumer
//! carries jobs; the recorder's may lag without losing more than a row that STATE tells it anyway.

use schemas::job::Lane;
use schemas::subject;
use strum::IntoEnumIterator;

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::intake::SideDoor;
use crate::sessions::Sessions;

impl Broker {
    /// Purges at the configured interval, and sweeps, until the broker is closed. Any number of processes may do so. What
    /// the sweeper finds forgotten by the broker comes to the worker through `side_door`.
    pub fn keep_clean(&self, side_door: SideDoor, sessions: Sessions) {
        self.keep_swept(side_door, sessions);
        let broker = self.clone();
        self.spawn(async move {
            let mut purged = [0; 4];
            loop {
                tokio::time::sleep(broker.0.config.streams.purge_interval).await;
                if let Err(error) = broker.purge_all(&mut purged).await {
                    tracing::debug!(error = %error, "lanes not purged");
                }
            }
        });
    }

    async fn purge_all(&self, purged: &mut [u64; 4]) -> Result<(), BrokerError> {
        for (lane, floor) in Lane::iter().zip(purged.iter_mut()) {
            self.purge_below_floor(subject::jobs_stream(lane), &subject::jobs_filter(lane), floor).await?;
        }
        self.purge_below_floor(subject::DELAYED, "due.>", &mut purged[3]).await
    }

    async fn purge_below_floor(&self, stream: &str, filter: &str, purged: &mut u64) -> Result<(), BrokerError> {
        let floor = self.consumer_info(stream, subject::WORKERS).await?.ack_floor.stream_sequence;
        if floor <= *purged {
            return Ok(());
        }
        let purge = self.stream(stream).await?.purge().filter(filter).sequence(floor + 1).await;
        let purge = purge.map_err(BrokerError::other("a lane cannot be purged"))?;
        self.0.metrics.purged.inc_by(purge.purged);
        *purged = floor;
        Ok(())
    }
}
