//! Lines that nobody looks at: their worker died after a turn ended, and no next turn came.

use async_nats::jetstream::stream::DirectGetErrorKind;
use schemas::session::SessionKey;
use schemas::timestamp::Timestamp;

use super::store::stream;
use super::{SessionError, Sessions};
use crate::error::BrokerError;

/// Most lines that one pass looks at.
const AT_ONCE: usize = 1000;

impl Sessions {
    /// Settles what has ended in lines that stand still for `sweep_patience`, the stillest first. Empty lines are not
    /// kept, so that only those that live are met.
    pub(crate) async fn sweep(&self) -> Result<(), SessionError> {
        let (mut from, patience) = (1, self.broker.0.config.streams.sweep_patience);
        for _ in 0..AT_ONCE {
            let Some((seq, subject, written_at)) = self.next_line(from).await? else { return Ok(()) };
            if self.broker.now().since(written_at) < patience {
                return Ok(());
            }
            if let Some(key) = SessionKey::of_queue(&subject)
                && let Err(error) = self.settle_all(&key).await
            {
                tracing::debug!(session = key.hash(), error = &error as &dyn std::error::Error, "line not settled");
            }
            from = seq + 1;
        }
        Ok(())
    }

    /// The oldest line at or after a sequence. A stale answer only means a line looked at later.
    async fn next_line(&self, from: u64) -> Result<Option<(u64, String, Timestamp)>, SessionError> {
        let stream = self.broker.stream(&stream()).await?;
        match stream.direct_get_next_for_subject(SessionKey::queues(), Some(from)).await {
            Ok(message) => Ok(Some((message.sequence, message.subject.to_string(), message.time.into()))),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(BrokerError::Other { what: "sessions cannot be read", source: error.into() }.into()),
        }
    }
}
