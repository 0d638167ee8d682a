//! The fleet's circuit breakers, for whoever shows them.

use futures::StreamExt;
use schemas::breaker::{BreakerPhase, BreakerRecord};
use schemas::{envelope, subject};

use crate::broker::Broker;
use crate::error::BrokerError;

/// Most breakers that are told.
const MOST: usize = 1000;

impl Broker {
    /// The breakers that are not closed, by provider and model. What cannot be read is left out.
    ///
    /// # Errors
    /// [`BrokerError`] when the bucket cannot be read.
    pub async fn open_breakers(&self) -> Result<Vec<BreakerRecord>, BrokerError> {
        let store = self.kv(subject::BREAKERS).await?;
        let keys = store.keys().await.map_err(BrokerError::other("breakers cannot be listed"))?;
        let mut keys = keys.take(MOST);
        let mut open = Vec::new();
        while let Some(key) = keys.next().await {
            let key = key.map_err(BrokerError::other("breakers cannot be listed"))?;
            let value = store.get(key).await.map_err(BrokerError::other("a breaker cannot be read"))?;
            let record = value.and_then(|value| envelope::decode::<BreakerRecord>(&value).ok());
            open.extend(record.filter(|record| record.state != BreakerPhase::Closed));
        }
        open.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
        Ok(open)
    }
}
