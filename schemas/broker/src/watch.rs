//! Waiting for a job's end (Q1): listen for the hint first, then read, and read again now and then.

use std::time::Duration;

use schemas::id::JobId;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::hints::Hint;
use crate::protocol::Record;

const FIRST_READ_AGAIN: Duration = Duration::from_secs(1);
const LONGEST_READ_AGAIN: Duration = Duration::from_secs(5);

/// One waiter for one job. It hears every hint from its creation on, so create it before the job is submitted.
pub struct Watch {
    broker: Broker,
    id: JobId,
    hint: Hint,
    again: Duration,
}

impl Broker {
    /// Begins to wait for a job.
    #[must_use]
    pub fn watch(&self, id: JobId) -> Watch {
        Watch { broker: self.clone(), id, hint: self.0.done.listen(id), again: FIRST_READ_AGAIN }
    }
}

impl Watch {
    /// The terminal record, or `None` when the deadline came first. A job just submitted is not read before its first
    /// hint or second: call with `read_first` when it may have ended already.
    ///
    /// # Errors
    /// [`BrokerError`] only for answers that cannot be read; while NATS is away it keeps waiting.
    pub async fn ended(&mut self, deadline: Instant, read_first: bool) -> Result<Option<Record>, BrokerError> {
        let (mut read, mut over) = (read_first, false);
        loop {
            if read {
                match self.broker.state(self.id).await {
                    Ok(Some(record)) if record.state.phase.is_terminal() => return Ok(Some(record)),
                    Ok(_) | Err(BrokerError::Away(_) | BrokerError::TimedOut) => {}
                    Err(error) => return Err(error),
                }
            }
            if over {
                return Ok(None);
            }
            self.until_next_read(deadline).await;
            (read, over) = (true, Instant::now() >= deadline);
        }
    }

    async fn until_next_read(&mut self, deadline: Instant) {
        let wake = Instant::now() + self.again;
        tokio::select! {
            () = self.hint.heard() => {}
            () = tokio::time::sleep_until(wake.min(deadline)) => {
                self.again = self.again.saturating_mul(2).min(LONGEST_READ_AGAIN);
            }
        }
    }
}
