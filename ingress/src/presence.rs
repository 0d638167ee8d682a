//! Answers other ingress processes that ask whether a client still waits for a job here, and asks them.

use std::time::Duration;

use broker::{Heard, PresenceFeed};
use schemas::id::JobId;

use crate::app::App;
use crate::error::chain;

/// How long the others have to answer. They do so from memory.
pub(crate) const BOUND: Duration = Duration::from_millis(400);
/// Between two tries to subscribe.
const AGAIN: Duration = Duration::from_secs(1);

/// Answers and listens until the last connection has ended: a process that stops still has clients.
pub(crate) async fn run(app: &App) {
    app.drained.run_until_cancelled(listen(app)).await;
}

/// Whether a client waits for `id` in any other process, as far as anyone says so in time.
pub(crate) async fn elsewhere(app: &App, id: JobId) -> bool {
    match app.broker.is_waited_for(id, BOUND).await {
        Ok(waited_for) => waited_for,
        Err(error) => {
            tracing::debug!(error = chain(&error), "nobody can be asked who waits");
            false
        }
    }
}

async fn listen(app: &App) {
    loop {
        match app.broker.presence().await {
            Ok(feed) => return follow(app, feed).await,
            Err(error) => tracing::warn!(error = chain(&error), "presence of clients is not answered yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn follow(app: &App, mut feed: PresenceFeed) {
    while let Some(heard) = feed.next().await {
        match heard {
            Heard::Asked(id, asker) if app.waiters.adopt(id) => asker.answer().await,
            Heard::Asked(..) => {}
            Heard::Told(id) => app.waiters.came_back_elsewhere(id),
        }
    }
}
