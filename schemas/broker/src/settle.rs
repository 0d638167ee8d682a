//! A delivered message and the few things that may be done to it. Each takes the message, so it is settled once.

use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::jetstream::message::Acker;

/// The right to settle one delivered message. Dropped unsettled, the broker delivers it again.
pub(crate) struct Ticket(Acker);

impl Ticket {
    pub(crate) const fn new(acker: Acker) -> Self {
        Self(acker)
    }

    /// The job has ended, or another message carries it. Plain: a lost ack is only a redelivery that finds it so.
    pub(crate) async fn ack(self) {
        report(self.0.ack().await);
    }

    /// Not now.
    pub(crate) async fn nak(self, delay: Duration) {
        let delay = Some(delay).filter(|delay| !delay.is_zero());
        report(self.0.ack_with(AckKind::Nak(delay)).await);
    }

    /// Still at work: the broker's redelivery clock starts anew.
    pub(crate) async fn progress(&self) {
        report(self.0.ack_with(AckKind::Progress).await);
    }
}

fn report(outcome: Result<(), async_nats::Error>) {
    if let Err(error) = outcome {
        tracing::debug!(error = %error, "acknowledgement not sent");
    }
}
