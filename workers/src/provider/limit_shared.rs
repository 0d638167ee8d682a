//! Requests a minute over the whole fleet: the generic cell rate algorithm as one atomic script in Redis, by Redis's
//! own clock. The same rule as governor's, so that falling back to one worker's count changes only whose count it is.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use redis::Script;
use schemas::subject;

use super::redis_link::RedisLink;

/// `KEYS[1]` holds the theoretical arrival time of the next request in microseconds; `ARGV` are the microseconds between
/// requests and the burst. Answers the microseconds to wait, 0 when the request was counted.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval = tonumber(ARGV[1])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local earliest = arrival - (tonumber(ARGV[2]) - 1) * interval
if now < earliest then return earliest - now end
local ahead = arrival + interval - now
redis.call('SET', KEYS[1], string.format('%.0f', arrival + interval), 'PX', math.ceil(ahead / 1000) + 1)
return 0
";

/// One provider's minute.
#[derive(Debug)]
pub(super) struct SharedMinute {
    redis: Arc<RedisLink>,
    script: Script,
    key: String,
    requests: NonZeroU32,
}

impl SharedMinute {
    /// `requests` a minute for `provider`, all of which may come at once after a quiet minute.
    pub(super) fn new(redis: Arc<RedisLink>, provider: &str, requests: NonZeroU32) -> Self {
        // The number is part of the key: a changed limit begins afresh.
        let key = format!("portbroker:limit:{}:{requests}", subject::token(provider));
        Self { redis, script: Script::new(TAKE), key, requests }
    }

    /// Takes one request, or tells how long to wait; `None` when Redis cannot say.
    pub(super) async fn take(&self) -> Option<Result<(), Duration>> {
        let interval = 60_000_000_u32.div_ceil(self.requests.get());
        let mut script = self.script.prepare_invoke();
        script.key(&self.key).arg(interval).arg(self.requests.get());
        let wait: u64 = self.redis.run(|mut manager| async move { script.invoke_async(&mut manager).await }).await?;
        Some(if wait == 0 { Ok(()) } else { Err(Duration::from_micros(wait)) })
    }
}
