//! Whether a job was seen lately by any worker: a hint that a delivery is a repetition, so that its record is read before
//! it is claimed. Never for correctness: Redis may forget, and the claim decides.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, ExistenceCheck, SetExpiry, SetOptions};
use schemas::id::JobId;

use super::redis_link::RedisLink;

/// The check; without Redis it knows nothing.
#[derive(Debug, Clone)]
pub struct Seen {
    redis: Option<Arc<RedisLink>>,
    remember: Duration,
}

impl Seen {
    /// A check that remembers an id for `remember`.
    #[must_use]
    pub const fn new(redis: Option<Arc<RedisLink>>, remember: Duration) -> Self {
        Self { redis, remember }
    }

    /// Whether `id` was asked about before, within the time remembered; `None` when that cannot be said.
    pub async fn seen(&self, id: JobId) -> Option<bool> {
        let millis = u64::try_from(self.remember.as_millis()).unwrap_or(u64::MAX).max(1);
        let options = SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(SetExpiry::PX(millis));
        let command = Cmd::set_options(format!("portbroker:seen:{id}"), 1, options);
        let first: Option<String> =
            self.redis.as_ref()?.run(|mut manager| async move { command.query_async(&mut manager).await }).await?;
        Some(first.is_none())
    }
}
