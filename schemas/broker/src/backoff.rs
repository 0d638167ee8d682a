//! Waits between tries of what the broker did not answer.

use std::time::Duration;

const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Waits that double, from 20 ms to 2 s.
#[derive(Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    pub(crate) async fn pause(&mut self) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.0.min(7)).min(LONGEST_WAIT);
        self.0 = self.0.saturating_add(1);
        tokio::time::sleep(wait).await;
    }
}
