//! History in SQL: a projection of JOBS and STATE that nothing waits for. SQLite by default, PostgreSQL by URL.
//! Both pass the same conformance suite. While the database is away, jobs flow on and the recorder catches up later.

mod cursor;
mod error;
mod fold;
mod metrics;
mod page;
mod postgres;
mod query;
pub mod recorder;
mod sqlite;
mod store;
#[cfg(test)]
mod testing;
mod writer;

use futures::future::BoxFuture;

pub use cursor::{Cursor, InvalidCursor};
pub use error::{OpenError, StoreError};
pub use fold::{DailyUsage, Entry};
pub use metrics::RecorderMetrics;
pub use page::Page;
pub use store::{Filter, Store};

use fold::Row;
use query::Selection;

/// What a database does for the store: rows in, documents out. Two ship.
trait Backend: Send + Sync {
    /// Makes the tables, or brings them up to date. Safe to run again, and in several processes at once.
    fn prepare(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Writes rows of distinct jobs, and the usage of those that ended, in one transaction. Rows of which a newer or
    /// the same record is there change nothing. Tells how many were written.
    fn write<'a>(&'a self, rows: &'a [Row]) -> BoxFuture<'a, Result<usize, StoreError>>;

    /// One job's document.
    fn document<'a>(&'a self, tenant: &'a str, id: &'a str) -> BoxFuture<'a, Result<Option<String>, StoreError>>;

    /// The documents of one page, as [`page::read`] takes them.
    fn documents<'a>(&'a self, page: &'a Selection) -> BoxFuture<'a, Result<Vec<String>, StoreError>>;

    /// Usage from one day to another, both included.
    fn usage<'a>(
        &'a self,
        tenant: &'a str,
        from: &'a str,
        to: &'a str,
    ) -> BoxFuture<'a, Result<Vec<DailyUsage>, StoreError>>;

    /// Deletes at most `batch` rows that expired by `now`. Tells how many.
    fn prune(&self, now: i64, batch: i64) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Reads something.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Ends every connection.
    fn close(&self) -> BoxFuture<'_, ()>;
}
