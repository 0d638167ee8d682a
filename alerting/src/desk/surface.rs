//! What the desk holds for operators.

use runtime::config::TelegramConfig;
use runtime::telemetry::Scrubber;
use tokio::sync::{mpsc, watch};

use crate::daily::Calendar;
use crate::errand::{Errand, Known};
use crate::replies::{Replies, Reply};

/// What the desk holds for operators.
pub(crate) struct Surface {
    errands: mpsc::Receiver<Errand>,
    pub(super) known: watch::Sender<Known>,
    pub(super) scrubber: Scrubber,
    pub(crate) calendar: Calendar,
    /// Where the portal is; empty when there is none.
    pub(super) portal: String,
    /// People may press buttons.
    pub(super) listens: bool,
    pub(super) replies: Replies,
    /// The answer that is being told.
    pub(super) telling: Option<Reply>,
    /// An answer was told last: it is the alerts' turn.
    pub(super) answered: bool,
    /// Telegram refused the digest's markup.
    pub(super) plain_digest: bool,
}

impl Surface {
    /// Nothing asked yet.
    pub(crate) fn new(
        errands: mpsc::Receiver<Errand>,
        known: watch::Sender<Known>,
        scrubber: Scrubber,
        config: &TelegramConfig,
    ) -> Self {
        Self {
            errands,
            known,
            scrubber,
            calendar: Calendar::new(config),
            portal: config.portal_url.trim_end_matches('/').to_owned(),
            listens: !config.allowed_users.is_empty(),
            replies: Replies::default(),
            telling: None,
            answered: false,
            plain_digest: false,
        }
    }

    /// The next errand, for ever when nobody receives.
    pub(super) async fn errand(&mut self) -> Errand {
        match self.errands.recv().await {
            Some(errand) => errand,
            None => std::future::pending().await,
        }
    }
}
