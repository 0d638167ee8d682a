//! What every handler may reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use broker::{Broker, Sessions};
use runtime::config::Config;
use runtime::metrics::ChatMetrics;
use runtime::queue::QueueStatus;
use schemas::catalog::Catalog;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::auth::Keys;
use crate::disk::Watermark;
use crate::memory::BodyMemory;
use crate::metrics::IngressMetrics;
use crate::record::Store;
use crate::rejoin::breaks::Breaks;
use crate::waiters::Waiters;

/// The service's state, made once at start.
pub(crate) struct App {
    /// Everything that can be set.
    pub(crate) config: Arc<Config>,
    /// Jobs in, records and tokens out.
    pub(crate) broker: Broker,
    /// Conversations that are kept.
    pub(crate) sessions: Sessions,
    /// Who serves which model.
    pub(crate) catalog: Catalog,
    /// Tokens of requests.
    pub(crate) counter: context::Counter,
    /// History.
    pub(crate) store: Store,
    /// Who may call.
    pub(crate) keys: Keys,
    /// What bodies may take together.
    pub(crate) memory: BodyMemory,
    /// Who waits for which job.
    pub(crate) waiters: Arc<Waiters>,
    /// Whose connections broke.
    pub(crate) breaks: Arc<Breaks>,
    /// Whether the disk has room.
    pub(crate) disk: Watermark,
    /// The queue as last seen; `None` before the first look.
    pub(crate) queue: watch::Receiver<Option<QueueStatus>>,
    /// Jobs accepted since the last report.
    pub(crate) tally: Tally,
    /// Our own series.
    pub(crate) metrics: IngressMetrics,
    /// The series that every role shares.
    pub(crate) chat: ChatMetrics,
    /// Cancelled when the service stops: whoever waits answers with what there is.
    pub(crate) shutdown: CancellationToken,
    /// Cancelled when the service has stopped and its last connection has ended.
    pub(crate) drained: CancellationToken,
}

/// Counts what the process tells the others of itself.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    /// A job was accepted.
    pub(crate) fn accepted(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Jobs accepted since this was last asked.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}
