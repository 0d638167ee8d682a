//! Hints on plain subjects, `done.<id>` and `cancel.<id>`: one subscription a process, handed to whoever waits for that
//! job. A hint may be lost; who hears one reads STATE, and reads it now and then anyway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::Client;
use futures::StreamExt;
use schemas::id::JobId;
use schemas::subject;
use tokio::sync::watch;

use crate::error::BrokerError;

type Waiting = Arc<Mutex<HashMap<JobId, watch::Sender<()>>>>;

/// Who waits for which job's hints.
#[derive(Clone)]
pub(crate) struct Hints(Waiting);

impl Hints {
    /// Subscribes. The subscription stands at the server when this returns; the future must be run to hear anything.
    pub(crate) async fn follow(
        client: &Client,
        subjects: &'static str,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), BrokerError> {
        let mut incoming =
            client.subscribe(subjects).await.map_err(BrokerError::other("hints cannot be subscribed to"))?;
        client.flush().await.map_err(BrokerError::other("hints cannot be subscribed to"))?;
        let hints = Self(Waiting::default());
        let waiting = Arc::clone(&hints.0);
        let run = async move {
            while let Some(message) = incoming.next().await {
                let id = subject::job_id(message.subject.as_str());
                let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(sender) = id.and_then(|id| waiting.get(&id)) {
                    sender.send_replace(());
                }
            }
        };
        Ok((hints, run))
    }

    /// Listens for hints of one job, from now on.
    pub(crate) fn listen(&self, id: JobId) -> Hint {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = waiting.entry(id).or_insert_with(|| watch::Sender::new(())).subscribe();
        Hint { id, heard: Some(heard), waiting: Arc::clone(&self.0) }
    }
}

/// One listener for one job's hints.
pub(crate) struct Hint {
    id: JobId,
    heard: Option<watch::Receiver<()>>,
    waiting: Waiting,
}

impl Hint {
    /// Returns at the next hint since the last call; one that came in between is not missed.
    pub(crate) async fn heard(&mut self) {
        let Some(heard) = &mut self.heard else { return std::future::pending().await };
        if heard.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Hint {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.heard = None;
        if waiting.get(&self.id).is_some_and(|sender| sender.receiver_count() == 0) {
            waiting.remove(&self.id);
        }
    }
}
