//! Values for this module's tests.

use std::path::Path;
use std::time::Duration;

use prometheus::Registry;
use runtime::config::DatabaseConfig;
use schemas::id::JobId;
use schemas::timestamp::Timestamp;
use schemas::view::{JobView, Status};

use super::fold::Entry;
use super::metrics::RecorderMetrics;
use super::store::Store;
use super::writer::Writer;
use crate::testing;

pub(super) fn config(url: &str) -> DatabaseConfig {
    DatabaseConfig {
        url: url.to_owned().into(),
        max_connections: 2,
        acquire_timeout: Duration::from_secs(3),
        query_timeout: Duration::from_secs(10),
        batch: 256,
        history: Duration::from_secs(3600),
        prune_interval: Duration::from_secs(600),
    }
}

pub(super) fn writer(data_dir: &Path) -> Writer {
    let metrics = RecorderMetrics::register(&Registry::new()).unwrap();
    Writer { store: Store::open(&config(""), data_dir).unwrap(), metrics }
}

pub(super) fn entry(number: u128, seq: u64, status: Status) -> Entry {
    Entry { tenant: "acme".to_owned(), seq, view: view(number, status) }
}

/// A job accepted at the epoch.
pub(super) fn view(number: u128, status: Status) -> JobView {
    let job = testing::job(JobId::new(Timestamp::default(), number));
    JobView { status, model: "echo".to_owned(), ..JobView::queued(&job, false) }
}
