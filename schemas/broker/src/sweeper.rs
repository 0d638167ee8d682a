//! Freeing what no consumer will ever deliver (J3): a job whose message is gone is failed, one whose message is there and
//! forgotten is handed to a worker as if it had been delivered. And deleting what has ended behind a lagging ack floor (J2).

use std::time::Duration;

use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::stream::{DeleteMessageErrorKind, DirectGetErrorKind};
use async_nats::jetstream::{ErrorCode, Message};
use futures::StreamExt;
use schemas::id::JobId;
use schemas::job::Lane;
use schemas::state::{Carrier, Phase};
use schemas::subject;
use schemas::timestamp::Timestamp;
use strum::IntoEnumIterator;

use crate::broker::Broker;
use crate::delivery::Delivery;
use crate::drive::{Hands, InHand, On};
use crate::error::BrokerError;
use crate::intake::SideDoor;
use crate::protocol::Record;
use crate::protocol::sweeping::{Sweeping, is_deletable, rest_of_patience};
use crate::sessions::Sessions;
use crate::settle::Ticket;
use crate::store::PHASE_HEADER;

/// A pull without a limit waits for ever when its answer is lost.
const FETCH_EXPIRES: Duration = Duration::from_secs(5);
/// Most messages of one fetch, and most that one pass over a lagging lane looks at.
const AT_ONCE: usize = 1000;

impl Broker {
    /// Looks for lost and for ended work until the broker is closed. Any number of processes may do so: they share it.
    pub(crate) fn keep_swept(&self, side_door: SideDoor, sessions: Sessions) {
        let broker = self.clone();
        self.spawn(async move {
            let mut cursors = [0; 3];
            loop {
                tokio::time::sleep(broker.0.config.streams.sweep_interval).await;
                if let Err(error) = broker.sweep(&mut cursors, &side_door).await {
                    tracing::debug!(error = %error, "not swept");
                }
                if let Err(error) = sessions.sweep().await {
                    tracing::debug!(error = %error, "sessions not swept");
                }
            }
        });
    }

    async fn sweep(&self, cursors: &mut [u64; 3], side_door: &SideDoor) -> Result<(), BrokerError> {
        self.free_lost(side_door).await?;
        for (lane, cursor) in Lane::iter().zip(cursors.iter_mut()) {
            self.delete_ended(lane, cursor).await?;
        }
        Ok(())
    }

    /// J3. The consumer delivers every record once, by its headers. Ended ones are acknowledged; the others are put off
    /// for as long as they may take, and by then are mostly replaced: only what stays is ever read.
    async fn free_lost(&self, side_door: &SideDoor) -> Result<(), BrokerError> {
        let consumer: Consumer<pull::Config> = self
            .0
            .js
            .get_consumer_from_stream(subject::SWEEPER, subject::STATE)
            .await
            .map_err(BrokerError::other("the sweeper's consumer cannot be reached"))?;
        loop {
            let fetch = consumer.fetch().max_messages(AT_ONCE).expires(FETCH_EXPIRES).messages().await;
            let mut batch = fetch.map_err(BrokerError::other("records cannot be fetched"))?;
            let mut taken = 0;
            while let Some(message) = batch.next().await {
                let message = message.map_err(BrokerError::other("records cannot be fetched"))?;
                self.suspect(message, side_door).await?;
                taken += 1;
            }
            if taken < AT_ONCE {
                return Ok(());
            }
        }
    }

    async fn suspect(&self, message: Message, side_door: &SideDoor) -> Result<(), BrokerError> {
        let info = message.info().map_err(BrokerError::other("a delivery cannot be read"))?;
        let (seq, written_at) = (info.stream_sequence, Timestamp::from(info.published));
        let (message, acker) = message.split();
        let ticket = Ticket::new(acker);
        let phase = message.headers.as_ref().and_then(|headers| headers.get(PHASE_HEADER));
        let phase = phase.and_then(|phase| phase.as_str().parse::<Phase>().ok());
        let Some(id) = subject::job_id(&message.subject).filter(|_| !phase.is_some_and(Phase::is_terminal)) else {
            ticket.ack().await;
            return Ok(());
        };
        let young = written_at.after(self.0.config.streams.sweep_patience).since(self.now());
        if !young.is_zero() {
            ticket.nak(young).await;
            return Ok(());
        }
        match self.judge(id, seq, side_door).await? {
            Some(rest) => ticket.nak(rest).await,
            None => ticket.ack().await,
        }
        Ok(())
    }

    /// Looks into one record that has stayed. `None` when there is no more to see of it, else when to look again.
    async fn judge(&self, id: JobId, seq: u64, side_door: &SideDoor) -> Result<Option<Duration>, BrokerError> {
        let patience = self.0.config.streams.sweep_patience;
        let Some(record) = self.state(id).await?.filter(|record| record.seq == seq) else { return Ok(None) };
        match rest_of_patience(&record, &self.0.policy, patience, self.now()) {
            None => Ok(None),
            Some(rest) if !rest.is_zero() => Ok(Some(rest)),
            Some(_) if self.free_if_lost(id, record.clone()).await? => Ok(None),
            Some(_) => {
                self.deliver_again(id, &record.state.carrier, side_door).await?;
                Ok(Some(patience))
            }
        }
    }

    /// Its message is there, and so long overdue that its consumer may have forgotten it. A second delivery does no harm:
    /// the claim tells whether the job is free.
    async fn deliver_again(&self, id: JobId, carrier: &Carrier, side_door: &SideDoor) -> Result<(), BrokerError> {
        let (stream, filter) = match carrier {
            Carrier::Stream(stream) => (stream.as_str(), format!("jobs.*.*.{id}")),
            Carrier::Due(nonce) => (subject::DELAYED, format!("due.*.*.{id}.{nonce}")),
        };
        let Some(message) = self.last(stream, &filter).await? else { return Ok(()) };
        if side_door.pass(Delivery::found(self, stream, &message)?) {
            self.0.metrics.forgotten.inc();
            tracing::warn!(job_id = %id.job(), "a job's message was not delivered again: it is taken from its stream");
        }
        Ok(())
    }

    async fn free_if_lost(&self, id: JobId, record: Record) -> Result<bool, BrokerError> {
        let (lane, carrier) = (record.state.head.lane, record.state.carrier.clone());
        let on = On::Carrier(lane, &carrier);
        let mut hands = Hands { broker: self, id, name: "sweep", on, message: InHand::Nothing };
        let lost = hands.run(Sweeping::start(record)).await?;
        if lost {
            self.0.metrics.lost.inc();
            tracing::error!(job_id = %id.job(), "a job's message was lost: the job is failed");
        }
        Ok(lost)
    }

    /// J2. Acknowledged messages behind one that runs for long stay in the lane; those whose job has ended need not.
    async fn delete_ended(&self, lane: Lane, cursor: &mut u64) -> Result<(), BrokerError> {
        let name = subject::jobs_stream(lane);
        let workers = self.consumer_info(name, subject::WORKERS).await?;
        let (floor, delivered) = (workers.ack_floor.stream_sequence, workers.delivered.stream_sequence);
        if delivered.saturating_sub(floor) <= self.0.config.streams.largest_floor_lag {
            return Ok(());
        }
        *cursor = (*cursor).max(floor);
        for _ in 0..AT_ONCE {
            let next = self.next_in(name, *cursor + 1).await?;
            let Some((seq, id)) = next.filter(|(seq, _)| *seq <= delivered) else {
                *cursor = 0;
                return Ok(());
            };
            *cursor = seq;
            let Some(id) = id else { continue };
            if is_deletable(self.state(id).await?.as_ref()) {
                self.delete(name, seq).await?;
                self.0.metrics.purged.inc();
            }
        }
        Ok(())
    }

    /// The first message at or after a sequence, and whose it is. A stale answer only means a message looked at later.
    async fn next_in(&self, stream: &str, from: u64) -> Result<Option<(u64, Option<JobId>)>, BrokerError> {
        match self.stream(stream).await?.direct_get_next_for_subject(">", Some(from)).await {
            Ok(message) => Ok(Some((message.sequence, subject::job_id(&message.subject)))),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(BrokerError::Other { what: "a lane cannot be read", source: error.into() }),
        }
    }

    /// Deletes one message; one that is gone already counts as deleted.
    pub(crate) async fn delete(&self, stream: &str, seq: u64) -> Result<(), BrokerError> {
        let Err(error) = self.stream(stream).await?.delete_message(seq).await else { return Ok(()) };
        match error.kind() {
            DeleteMessageErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::SEQUENCE_NOT_FOUND => Ok(()),
            DeleteMessageErrorKind::TimedOut => Err(BrokerError::TimedOut),
            _ => Err(BrokerError::Other { what: "a message cannot be deleted", source: error.into() }),
        }
    }
}
