//! Cancelling a job (X1, X2), racing with its completion: one terminal record, and the caller is told which.

use schemas::id::JobId;

use crate::broker::Broker;
use crate::drive::{Hands, InHand, On};
use crate::error::BrokerError;
use crate::protocol::cancel::Cancel;
use crate::protocol::cancelling::{Cancelled, Cancelling};

impl Broker {
    /// Ends a job that has not ended.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked; the job may or may not be cancelled then.
    pub async fn cancel(&self, id: JobId) -> Result<Cancelled, BrokerError> {
        let cancel = Cancel { waiting: None, nonce: Self::nonce(), holder: self.instance().to_owned() };
        let mut hands = Hands { broker: self, id, name: "cancel", on: On::Id, message: InHand::Nothing };
        hands.run(Cancelling::start(cancel)).await
    }

    /// Publishes a hint. It may be lost: whoever waits for it reads STATE now and then anyway.
    pub(crate) async fn hint(&self, subject: String) {
        if let Err(error) = self.0.client.publish(subject, bytes::Bytes::new()).await {
            tracing::debug!(error = %error, "hint not sent");
        }
    }
}
