//! Where a job is: its record, else its waiting message, else its record again.

use futures::future::try_join_all;
use schemas::envelope;
use schemas::id::JobId;
use schemas::job::{Job, Lane};
use schemas::subject;
use strum::IntoEnumIterator;

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::protocol::Record;

/// What is known of an id.
#[derive(Debug, Clone)]
pub enum Sighting {
    /// A worker touched it, or it was cancelled: its record.
    Recorded(Record),
    /// It waits in its lane.
    Queued(Job),
    /// It waits for its time.
    Delayed(Job),
    /// No record and no message: unknown, or past retention.
    Absent,
}

impl Broker {
    /// Looks a job up in the order of its life, and STATE once more at the end: it may have moved on while we looked.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked.
    pub async fn find(&self, id: JobId) -> Result<Sighting, BrokerError> {
        if let Some(record) = self.state(id).await? {
            return Ok(Sighting::Recorded(record));
        }
        if let Some(waiting) = self.find_waiting(id).await? {
            return Ok(waiting);
        }
        Ok(self.state(id).await?.map_or(Sighting::Absent, Sighting::Recorded))
    }

    /// The job as it was submitted, while its message is there: until it has ended, and for a while after.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked.
    pub async fn submitted(&self, id: JobId) -> Result<Option<Job>, BrokerError> {
        Ok(self.find_waiting(id).await?.and_then(|waiting| match waiting {
            Sighting::Queued(job) | Sighting::Delayed(job) => Some(job),
            Sighting::Recorded(_) | Sighting::Absent => None,
        }))
    }

    /// The job's message, in whichever stream it waits. A schedule that fires leaves `delayed` only once it stands in
    /// `due`: looked for in this order it is not missed.
    pub(crate) async fn find_waiting(&self, id: JobId) -> Result<Option<Sighting>, BrokerError> {
        let lanes = Lane::iter().map(|lane| (subject::jobs_stream(lane), subject::jobs_any_tenant(lane, id)));
        let places = lanes.chain([(subject::DELAYED, format!("delayed.*.*.{id}.*"))]).collect::<Vec<_>>();
        let found = try_join_all(places.iter().map(|(stream, filter)| self.last(stream, filter))).await?;
        let found = match found.into_iter().flatten().next() {
            Some(message) => Some(message),
            None => self.last(subject::DELAYED, &format!("due.*.*.{id}.*")).await?,
        };
        let Some(message) = found else { return Ok(None) };
        let job: Job = envelope::decode(&message.payload)?;
        let delayed = message.subject.starts_with("delayed.");
        Ok(Some(if delayed { Sighting::Delayed(job) } else { Sighting::Queued(job) }))
    }
}
