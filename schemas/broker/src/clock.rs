//! The server's clock as seen from here: leases, parks and deadlines are judged by it, never by one worker's own. Between
//! two looks at it the time that passed is measured by a clock that nobody sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use schemas::timestamp::Timestamp;

/// The server's time, read from stream info every few seconds.
#[derive(Debug, Clone)]
pub(crate) struct ServerClock {
    origin: Instant,
    /// What the server's clock said at `origin`, in milliseconds.
    offset: Arc<AtomicI64>,
}

impl ServerClock {
    /// A clock that knows this machine's own time, until it is told better.
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now(), offset: Arc::new(AtomicI64::new(runtime::clock::now().as_millis())) }
    }

    /// The server's time, now.
    pub(crate) fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// Takes in that the server said `server` somewhere between `sent` and `received`.
    pub(crate) fn observe(&self, sent: Instant, server: Timestamp, received: Instant) {
        let middle = sent + received.duration_since(sent) / 2;
        self.offset.store(server.as_millis() - self.passed(middle), Ordering::Relaxed);
    }

    fn at(&self, moment: Instant) -> Timestamp {
        Timestamp::from_millis(self.offset.load(Ordering::Relaxed).saturating_add(self.passed(moment)))
    }

    fn passed(&self, moment: Instant) -> i64 {
        i64::try_from(moment.duration_since(self.origin).as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn half_the_round_trip_is_the_way_there() {
        let clock = ServerClock::start();
        let (server, sent) = (Timestamp::from_millis(6100), clock.origin + Duration::from_millis(1000));
        clock.observe(sent, server, sent + Duration::from_millis(200));
        assert_eq!(clock.at(sent + Duration::from_millis(100)), server);
        assert_eq!(clock.at(sent + Duration::from_millis(3100)), Timestamp::from_millis(9100));
    }
}
