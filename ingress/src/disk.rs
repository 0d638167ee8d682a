//! The disk watermark: while the broker's disk has too little room, submits are refused. No stream that holds live jobs
//! may throw old messages away, so the door is the place to stop.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::IntGauge;
use runtime::config::Config;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(1);

/// Whether the disk is nearly full, as of the last look.
#[derive(Debug)]
pub(crate) struct Watermark {
    folder: PathBuf,
    least: u64,
    low: AtomicBool,
}

/// The folder whose file system is watched.
pub(crate) fn folder(config: &Config) -> PathBuf {
    if config.disk.path.as_os_str().is_empty() { config.data_dir.clone() } else { config.disk.path.clone() }
}

impl Watermark {
    /// The watermark of this configuration, the disk having room until it was looked at.
    pub(crate) fn new(config: &Config) -> Self {
        Self { folder: folder(config), least: config.disk.min_free_bytes, low: AtomicBool::new(false) }
    }

    /// Whether submits are to be refused.
    pub(crate) fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    /// Looks at the disk until `shutdown`. A disk that does not tell is taken to have room: the broker itself refuses
    /// what it cannot store.
    pub(crate) async fn run(&self, free_bytes: &IntGauge, shutdown: &CancellationToken) {
        loop {
            let folder = self.folder.clone();
            let look = tokio::task::spawn_blocking(move || runtime::system::free_bytes(&folder));
            if let Ok(Ok(free)) = look.await {
                self.low.store(free < self.least, Ordering::Relaxed);
                free_bytes.set(i64::try_from(free).unwrap_or(i64::MAX));
            }
            if shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
                return;
            }
        }
    }
}
