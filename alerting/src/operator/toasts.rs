//! Answers to presses: each as soon as Telegram takes calls, however late, and beside one another, so that nobody's press
//! waits for the answer to somebody else's.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::errand::{Errand, Known, unheld};
use crate::telegram::{Listener, Refusal};

/// Most answers under way at once; beyond them whoever receives waits.
const AT_ONCE: usize = 32;
/// How long an answer may wait for Telegram to take calls again.
const MAX_HOLD: Duration = Duration::from_secs(60);
/// How often one is tried.
const TRIES: u32 = 3;
/// How long a failed one waits.
const RETRY: Duration = Duration::from_secs(1);

/// Answers presses.
pub(super) struct Toasts {
    toaster: Toaster,
    under_way: JoinSet<()>,
}

#[derive(Clone)]
struct Toaster {
    listener: Arc<Listener>,
    known: watch::Receiver<Known>,
    errands: mpsc::Sender<Errand>,
}

impl Toasts {
    /// Nothing to answer yet.
    pub(super) fn new(listener: Arc<Listener>, known: watch::Receiver<Known>, errands: mpsc::Sender<Errand>) -> Self {
        Self { toaster: Toaster { listener, known, errands }, under_way: JoinSet::new() }
    }

    /// Has a press answered.
    pub(super) async fn answer(&mut self, query: &str, words: &str) {
        while self.under_way.try_join_next().is_some() {}
        if self.under_way.len() >= AT_ONCE {
            self.under_way.join_next().await;
        }
        let (query, words) = (query.to_owned(), words.to_owned());
        self.under_way.spawn(self.toaster.clone().answer(query, words));
    }
}

impl Toaster {
    async fn answer(self, query: String, words: String) {
        for _ in 0..TRIES {
            if !unheld(&self.known, MAX_HOLD).await {
                return tracing::debug!("a press is not answered: telegram takes no calls for too long");
            }
            match self.listener.answer(&query, &words).await {
                Ok(()) => return,
                Err(Refusal::Throttled(retry_after)) => {
                    // The desk may be gone; then so are we.
                    let _ = self.errands.send(Errand::Hold(retry_after)).await;
                    if retry_after > MAX_HOLD {
                        return;
                    }
                    sleep(retry_after).await;
                }
                Err(refusal) => {
                    tracing::debug!(reason = %refusal, "a press is not answered yet");
                    sleep(RETRY).await;
                }
            }
        }
    }
}
