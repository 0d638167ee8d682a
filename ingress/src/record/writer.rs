//! Writes batches until the database takes them: waits out an outage, and gives up only what would never be taken.

use std::time::Duration;

use schemas::timestamp::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::error::{Chain, StoreError};
use super::fold::{Entry, changed_at};
use super::metrics::RecorderMetrics;
use super::store::Store;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The wait after `failures` tries in a row: it doubles up to five seconds.
pub(super) fn wait_after(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT)
}

/// Sleeps, unless shutdown comes first. Tells whether it slept.
pub(super) async fn slept(wait: Duration, shutdown: &CancellationToken) -> bool {
    shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_some()
}

/// A store that is written to until it obeys.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) metrics: RecorderMetrics,
}

impl Writer {
    /// Writes `entries`, as often as it takes. False when shutdown came first: they are not written.
    pub(super) async fn write(&self, entries: &[Entry], shutdown: &CancellationToken) -> bool {
        let mut failures = 0;
        loop {
            match self.try_write(entries).await {
                Ok(()) => {
                    if failures > 0 {
                        info!(failures, "history is written again");
                    }
                    self.metrics.up.set(1);
                    return true;
                }
                Err(failure) => {
                    failures += 1;
                    self.failed(&failure, failures);
                }
            }
            if !slept(wait_after(failures), shutdown).await {
                return false;
            }
        }
    }

    /// One try. A batch that the database refuses goes in singly, so that one record costs only itself.
    async fn try_write(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let _timer = self.metrics.write_duration.start_timer();
        match self.upsert(entries).await {
            Err(refused) if !refused.is_transient() => self.write_singly(entries).await,
            other => other,
        }
    }

    async fn write_singly(&self, entries: &[Entry]) -> Result<(), StoreError> {
        for entry in entries {
            match self.upsert(std::slice::from_ref(entry)).await {
                Err(refused) if !refused.is_transient() => {
                    self.metrics.refused.inc();
                    error!(job_id = %entry.view.id.job(), error = %refused, "record left out of history");
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn upsert(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let rows = self.store.upsert(entries).await?;
        self.metrics.batches.inc();
        self.metrics.rows.inc_by(rows as u64);
        self.metrics.superseded.inc_by(entries.len().saturating_sub(rows) as u64);
        if let Some(oldest) = entries.iter().filter_map(|entry| changed_at(&entry.view)).min() {
            self.metrics.lag.set(runtime::clock::now().since(oldest).as_secs_f64());
        }
        Ok(())
    }

    /// Says so once for each outage: the metric and the health check tell that it lasts.
    fn failed(&self, failure: &StoreError, failures: u32) {
        self.metrics.up.set(0);
        self.metrics.failures.inc();
        if failures == 1 {
            warn!(error = %Chain(failure), "history cannot be written, jobs flow on");
        }
    }
}

/// Deletes what is over, batch by batch, until nothing is left of it.
pub(super) async fn prune(writer: &Writer, now: Timestamp, batch: u32) -> Result<(), StoreError> {
    loop {
        let deleted = writer.store.prune(now, batch).await?;
        writer.metrics.pruned.inc_by(deleted);
        if deleted < u64::from(batch) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use schemas::view::Status;

    use super::*;
    use crate::record::testing::{config, entry, writer};

    #[test]
    fn waits_double_up_to_their_bound() {
        let waits = [1, 2, 3, 6, 7, 1000].map(|failures| wait_after(failures).as_millis());
        assert_eq!(waits, [100, 200, 400, 3200, 5000, 5000]);
    }

    #[tokio::test]
    async fn one_refused_record_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path());
        writer.store.ping().await.unwrap();
        let file = format!("sqlite:{}", folder.path().join("portbroker.sqlite").display());
        let pool = sqlx::SqlitePool::connect(&file).await.unwrap();
        let trigger =
            "CREATE TRIGGER poison BEFORE INSERT ON jobs WHEN new.seq = 13 BEGIN SELECT RAISE(ABORT, ''); END";
        sqlx::raw_sql(trigger).execute(&pool).await.unwrap();

        let entries = [1, 13, 2].map(|seq| entry(seq.into(), seq, Status::Completed));
        assert!(writer.write(&entries, &CancellationToken::new()).await);
        let mut found = Vec::new();
        for one in &entries {
            found.push(writer.store.get("acme", one.view.id).await.unwrap().is_some());
        }
        assert_eq!(found, [true, false, true]);
        assert_eq!((writer.metrics.refused.get(), writer.metrics.failures.get()), (1, 0));
    }

    /// The data folder's place is taken by a file: SQLite cannot open anything there until it is gone.
    #[tokio::test]
    async fn an_outage_is_waited_out() {
        let folder = tempfile::tempdir().unwrap();
        let blocker = folder.path().join("data");
        fs::write(&blocker, "").unwrap();
        let writer = writer(&blocker);
        let entries = [entry(1, 1, Status::Completed)];
        let (shutdown, forever) = (CancellationToken::new(), CancellationToken::new());

        let repaired = async {
            while writer.metrics.failures.get() == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(writer.metrics.up.get(), 0);
            fs::remove_file(&blocker).unwrap();
        };
        assert!(tokio::join!(writer.write(&entries, &forever), repaired).0);
        assert_eq!((writer.metrics.up.get(), writer.metrics.rows.get()), (1, 1));

        let elsewhere = folder.path().join("file");
        fs::write(&elsewhere, "").unwrap();
        let stopped = super::super::testing::writer(&elsewhere);
        shutdown.cancel();
        assert!(!stopped.write(&entries, &shutdown).await, "shutdown ends the wait, and nothing was written");
    }

    #[tokio::test]
    async fn pruning_goes_on_until_nothing_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path());
        let entries: Vec<Entry> = (1..=5).map(|number| entry(number, 0, Status::Queued)).collect();
        writer.store.upsert(&entries).await.unwrap();
        let history = config("").history;
        prune(&writer, Timestamp::default().after(history / 2), 2).await.unwrap();
        assert_eq!(writer.metrics.pruned.get(), 0);
        prune(&writer, Timestamp::default().after(history), 2).await.unwrap();
        assert_eq!(writer.metrics.pruned.get(), 5);
    }
}
