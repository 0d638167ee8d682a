//! Who waits for a job, over all processes that serve clients: before one of them cancels what its own clients have left,
//! it asks the others, and whoever comes back to a job tells them.

use std::time::Duration;

use async_nats::client::{Request, RequestErrorKind};
use async_nats::{Client, Subject, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use schemas::id::JobId;
use schemas::subject;

use crate::broker::Broker;
use crate::error::BrokerError;

/// What other processes ask and tell.
pub struct PresenceFeed {
    incoming: Subscriber,
    client: Client,
    instance: String,
}

/// One thing heard.
pub enum Heard {
    /// Somebody asks whether a client waits for this job here. Silence means no.
    Asked(JobId, Asker),
    /// A client waits for this job elsewhere.
    Told(JobId),
}

/// Whoever asked.
pub struct Asker {
    client: Client,
    reply: Subject,
}

impl Asker {
    /// Yes, one does.
    pub async fn answer(self) {
        if let Err(error) = self.client.publish(self.reply, Bytes::new()).await {
            tracing::debug!(error = %error, "answer not sent");
        }
    }
}

impl Broker {
    /// Whether a client waits for this job in some process that answers within `bound`.
    ///
    /// # Errors
    /// [`BrokerError::Away`] when nobody can be asked.
    pub async fn is_waited_for(&self, id: JobId, bound: Duration) -> Result<bool, BrokerError> {
        let request = Request::new().payload(Bytes::new()).timeout(Some(bound));
        match self.0.client.send_request(subject::waiting(id), request).await {
            Ok(_) => Ok(true),
            Err(error) => match error.kind() {
                RequestErrorKind::TimedOut | RequestErrorKind::NoResponders => Ok(false),
                _ => Err(BrokerError::Away(error.into())),
            },
        }
    }

    /// Tells everyone that a client waits for this job here. It may be lost: whoever cancels asks too.
    pub async fn tell_waiting(&self, id: JobId) {
        let instance = Bytes::copy_from_slice(self.instance().as_bytes());
        if let Err(error) = self.0.client.publish(subject::waiting(id), instance).await {
            tracing::debug!(error = %error, "presence not told");
        }
    }

    /// What other processes ask and tell, from now on.
    ///
    /// # Errors
    /// [`BrokerError`] when the subscription cannot be made.
    pub async fn presence(&self) -> Result<PresenceFeed, BrokerError> {
        let (client, instance) = (self.0.client.clone(), self.instance().to_owned());
        let incoming = client.subscribe("waiting.*").await;
        let incoming = incoming.map_err(BrokerError::other("presence cannot be subscribed to"))?;
        Ok(PresenceFeed { incoming, client, instance })
    }
}

impl PresenceFeed {
    /// The next thing heard; `None` when the connection is closed.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            let message = self.incoming.next().await?;
            let Some(id) = subject::job_id(&message.subject) else { continue };
            match message.reply {
                Some(reply) => return Some(Heard::Asked(id, Asker { client: self.client.clone(), reply })),
                None if message.payload != self.instance.as_bytes() => return Some(Heard::Told(id)),
                None => {}
            }
        }
    }
}
