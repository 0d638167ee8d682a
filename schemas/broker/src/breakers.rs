//! Reading the fleet's breakers out of BREAKERS.

use futures::{StreamExt, TryStreamExt};
use schemas::breaker::{BreakerPhase, BreakerRecord};
use schemas::{envelope, subject};

use crate::broker::Broker;
use crate::error::BrokerError;

/// Reads under way at once.
const PARALLEL: usize = 16;
/// Most breakers looked at: clients choose model names where a provider serves `*`.
const MOST: usize = 4096;

impl Broker {
    /// The breakers that are not closed.
    ///
    /// # Errors
    /// [`BrokerError`] when the bucket cannot be read.
    pub async fn open_breakers(&self) -> Result<Vec<BreakerRecord>, BrokerError> {
        let failed = "breakers cannot be read";
        let store = self.kv(subject::BREAKERS).await?;
        let keys = store.keys().await.map_err(BrokerError::other(failed))?.take(MOST);
        let keys: Vec<String> = keys.try_collect().await.map_err(BrokerError::other(failed))?;
        let values = futures::stream::iter(keys).map(|key| store.get(key)).buffered(PARALLEL);
        let values: Vec<_> = values.try_collect().await.map_err(BrokerError::other(failed))?;
        let records = values.into_iter().flatten().filter_map(|value| envelope::decode::<BreakerRecord>(&value).ok());
        Ok(records.filter(|record| record.state != BreakerPhase::Closed).collect())
    }
}
