//! The store as the rest of ingress sees it: every call bounded in time, tables made when first needed.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runtime::config::DatabaseConfig;
use schemas::id::JobId;
use schemas::job::Lane;
use schemas::timestamp::Timestamp;
use schemas::view::{JobView, Status};
use secrecy::ExposeSecret;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::cursor::Cursor;
use super::error::{OpenError, StoreError};
use super::fold::{DailyUsage, Entry, Row, column, newest};
use super::page::Page;
use super::postgres::PostgresBackend;
use super::query::Selection;
use super::sqlite::SqliteBackend;
use super::{Backend, page};

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these; empty for every status.
    pub status: Vec<Status>,
    /// The model as the client wrote it.
    pub model: Option<String>,
    /// The lane.
    pub lane: Option<Lane>,
    /// Also those that no client submitted: summaries of sessions.
    pub internal: bool,
}

/// The history of jobs. Cheap to clone; all clones share one pool of connections.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    backend: Box<dyn Backend>,
    prepared: OnceCell<()>,
    query_timeout: Duration,
    history: Duration,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// The store that `config` names. Nothing is connected before the first call, so that a start never waits for SQL.
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When `database.url` cannot be used.
    pub fn open(config: &DatabaseConfig, data_dir: &Path) -> Result<Self, OpenError> {
        let url = config.url.expose_secret();
        let backend: Box<dyn Backend> = match url.split_once(':').map_or(url, |(scheme, _)| scheme) {
            "" | "sqlite" => Box::new(SqliteBackend::open(config, url, data_dir)?),
            "postgres" | "postgresql" => Box::new(PostgresBackend::open(config, url)?),
            _ => return Err(OpenError::Scheme),
        };
        let (query_timeout, history) = (config.query_timeout, config.history);
        Ok(Self(Arc::new(Inner { backend, prepared: OnceCell::new(), query_timeout, history })))
    }

    /// Writes records in one transaction, in whatever order and however often they come: a job's row only ever moves
    /// to a record of a higher sequence, and each end is counted once in its day's usage. Tells how many jobs changed.
    ///
    /// # Errors
    /// When nothing was written, or nobody knows: the same entries can be written again.
    pub async fn upsert(&self, entries: &[Entry]) -> Result<usize, StoreError> {
        let history = self.0.history;
        let rows = newest(entries)
            .into_iter()
            .map(|entry| Row::new(entry, history))
            .collect::<Result<Vec<Row>, _>>()
            .map_err(|error| StoreError::Refused(sqlx::Error::Encode(error.into())))?;
        if rows.is_empty() {
            return Ok(0);
        }
        self.bounded(self.0.backend.write(&rows)).await
    }

    /// One job of `tenant`, as it was last recorded.
    ///
    /// # Errors
    /// When the database cannot tell.
    pub async fn get(&self, tenant: &str, id: JobId) -> Result<Option<JobView>, StoreError> {
        let (tenant, id) = (column(tenant), id.to_string());
        let document = self.bounded(self.0.backend.document(&tenant, &id)).await?;
        Ok(document.as_deref().map(serde_json::from_str).transpose()?)
    }

    /// At most `limit` jobs of `tenant`, newest first, behind `after`. Jobs that arrive between two pages shift nothing.
    ///
    /// # Errors
    /// When the database cannot tell.
    pub async fn list(
        &self,
        tenant: &str,
        filter: &Filter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let limit = limit.max(1);
        let selection = Selection {
            tenant: column(tenant),
            statuses: filter.status.iter().map(|status| (*status).into()).collect(),
            model: filter.model.as_deref().map(column),
            lane: filter.lane.map(Into::into),
            internal: filter.internal,
            after: after.map(|cursor| (cursor.created_at.as_millis(), cursor.id.to_string())),
            // One more than asked for tells whether there are more.
            limit: i64::from(limit) + 1,
        };
        let documents = self.bounded(self.0.backend.documents(&selection)).await?;
        Ok(page::of(&documents, limit as usize)?)
    }

    /// What `tenant` used on each day from `from` to `to`, both included and written as `2026-01-31`.
    ///
    /// # Errors
    /// When the database cannot tell.
    pub async fn usage(&self, tenant: &str, from: &str, to: &str) -> Result<Vec<DailyUsage>, StoreError> {
        self.bounded(self.0.backend.usage(&column(tenant), from, to)).await
    }

    /// Deletes at most `batch` jobs that have not changed for `database.history` by `now`. Tells how many.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn prune(&self, now: Timestamp, batch: u32) -> Result<u64, StoreError> {
        self.bounded(self.0.backend.prune(now.as_millis(), batch.into())).await
    }

    /// Whether the database answers, tables included.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.bounded(self.0.backend.ping()).await
    }

    /// Ends every connection; later calls fail.
    pub async fn close(&self) {
        self.0.backend.close().await;
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let Inner { backend, prepared, query_timeout, .. } = &*self.0;
        let whole = async {
            prepared.get_or_try_init(|| backend.prepare()).await?;
            call.await
        };
        timeout(*query_timeout, whole).await.map_err(|_| StoreError::TimedOut(*query_timeout))?
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tokio::net::TcpListener;

    use super::*;
    use crate::record::testing::{config, entry};

    fn refused(url: &str) -> OpenError {
        Store::open(&config(url), Path::new("unused")).unwrap_err()
    }

    #[tokio::test]
    async fn only_two_databases_open() {
        assert!(matches!(refused("mysql://localhost/x"), OpenError::Scheme));
        assert!(matches!(refused("portbroker.sqlite"), OpenError::Scheme));
        assert!(matches!(refused("sqlite::memory:"), OpenError::InMemory));
        assert!(matches!(refused("sqlite:x?mode=memory"), OpenError::InMemory));
        assert!(matches!(refused("sqlite:x?mode=upside-down"), OpenError::Url(_)));
        let error = refused("postgres://user:hunter2@localhost:port/x");
        assert!(matches!(error, OpenError::Url(_)));
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }

    #[tokio::test]
    async fn an_absent_server_is_an_outage_and_not_a_failed_start() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let store = Store::open(&config(&format!("postgres://u:p@127.0.0.1:{port}/x")), Path::new("unused")).unwrap();
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    }

    /// It accepts connections and never says a word.
    #[tokio::test(start_paused = true)]
    async fn a_hanging_server_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://u:p@{}/x", listener.local_addr().unwrap());
        let store = Store::open(&config(&url), Path::new("unused")).unwrap();
        assert!(matches!(store.get("t", entry(1, 1, Status::Queued).view.id).await, Err(StoreError::TimedOut(_))));
    }

    #[tokio::test]
    async fn the_file_is_its_owners_only() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("not/yet/there");
        let store = Store::open(&config(""), &data_dir).unwrap();
        store.upsert(&[entry(1, 1, Status::Completed)]).await.unwrap();
        for name in ["portbroker.sqlite", "portbroker.sqlite-wal"] {
            let mode = fs::metadata(data_dir.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
