//! A delivered message and the few things that may be done to it. Each takes the message, so it is settled once.

use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::jetstream::message::Acker;

/// The right to settle one delivered message. Dropped unsettled, the broker delivers it again. Empty for a message that
/// no consumer delivered: nothing is then to be settled.
pub(crate) struct Ticket(Option<Acker>);

impl Ticket {
    pub(crate) const fn new(acker: Acker) -> Self {
        Self(Some(acker))
    }

    pub(crate) const fn empty() -> Self {
        Self(None)
    }

    /// The job has ended, or another message carries it. Plain: a lost ack is only a redelivery that finds it so.
    pub(crate) async fn ack(self) {
        self.settle(AckKind::Ack).await;
    }

    /// Not now.
    pub(crate) async fn nak(self, delay: Duration) {
        let delay = Some(delay).filter(|delay| !delay.is_zero());
        self.settle(AckKind::Nak(delay)).await;
    }

    /// Still at work: the broker's redelivery clock starts anew.
    pub(crate) async fn progress(&self) {
        self.settle(AckKind::Progress).await;
    }

    async fn settle(&self, kind: AckKind) {
        let Some(acker) = &self.0 else { return };
        if let Err(error) = acker.ack_with(kind).await {
            tracing::debug!(error = %error, "acknowledgement not sent");
        }
    }
}
