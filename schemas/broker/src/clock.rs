//! The server's clock as seen from here: leases, parks and deadlines are judged by it, never by one worker's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use runtime::clock;
use schemas::timestamp::Timestamp;

/// The offset of the server's clock, read from stream info every few seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerClock(Arc<AtomicI64>);

impl ServerClock {
    /// The server's time, now.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(clock::now().as_millis().saturating_add(self.0.load(Ordering::Relaxed)))
    }

    /// Takes in that the server said `server` somewhere between `sent` and `received` by our clock. Returns the offset in
    /// seconds.
    pub(crate) fn observe(&self, sent: Timestamp, server: Timestamp, received: Timestamp) -> f64 {
        let middle = sent.as_millis() + (received.as_millis() - sent.as_millis()) / 2;
        let offset = server.as_millis() - middle;
        self.0.store(offset, Ordering::Relaxed);
        offset as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_round_trip_is_the_way_there() {
        let clock = ServerClock::default();
        let at = Timestamp::from_millis;
        assert!((clock.observe(at(1000), at(6100), at(1200)) - 5.0).abs() < 1e-9);
        assert!(clock.now() > runtime::clock::now().after(std::time::Duration::from_secs(4)));
    }
}
