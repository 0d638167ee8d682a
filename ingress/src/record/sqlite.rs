//! History in one SQLite file: the default, for one machine.

use std::collections::HashSet;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use futures::future::BoxFuture;
use runtime::config::DatabaseConfig;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, QueryBuilder, Sqlite, SqliteConnection, SqlitePool};
use tokio::fs;

use super::Backend;
use super::error::{OpenError, StoreError};
use super::fold::{DailyUsage, Row, rolled_up};
use super::page;
use super::query::{ADD_USAGE, GET, INSERT_JOBS, INSERT_USAGE, PING, Selection, UPSERT_JOBS, USAGE};

/// Rows that are read ahead of whoever takes them: a document is up to 1 MiB, and a page of them ends by their size.
const READ_AHEAD: usize = 4;
/// Rows of one statement: 13 parameters each, of SQLite's 32,766.
const ROWS_PER_STATEMENT: usize = 512;

const PRUNE: &str =
    "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";

/// A pool of connections to one file, opened when first used.
pub(super) struct SqliteBackend {
    pool: SqlitePool,
}

impl SqliteBackend {
    /// The file that `url` names, or `portbroker.sqlite` under `data_dir` when it is empty.
    pub(super) fn open(config: &DatabaseConfig, url: &str, data_dir: &Path) -> Result<Self, OpenError> {
        let options = match url {
            "" => SqliteConnectOptions::new().filename(data_dir.join("portbroker.sqlite")),
            url if url.contains(":memory:") || url.contains("mode=memory") => return Err(OpenError::InMemory),
            url => SqliteConnectOptions::from_str(url).map_err(OpenError::Url)?,
        };
        Ok(Self { pool: pool(config, options) })
    }
}

fn pool(config: &DatabaseConfig, options: SqliteConnectOptions) -> SqlitePool {
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A record is acknowledged after its commit: with less than FULL a power cut would leave a hole in history.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(config.query_timeout)
        .row_buffer_size(READ_AHEAD)
        .disable_statement_logging();
    SqlitePoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        // Opening a file again costs more than keeping it open.
        .idle_timeout(None)
        .max_lifetime(None::<Duration>)
        .connect_lazy_with(options)
}

impl Backend for SqliteBackend {
    fn prepare(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            create_private(self.pool.connect_options().get_filename()).await.map_err(sqlx::Error::Io)?;
            let mut migrator = sqlx::migrate!("migrations/sqlite");
            // A newer version may have run here before: its tables serve this one too.
            migrator.set_ignore_missing(true);
            Ok(migrator.run(&self.pool).await?)
        })
    }

    fn write<'a>(&'a self, rows: &'a [Row]) -> BoxFuture<'a, Result<usize, StoreError>> {
        Box::pin(async move {
            // Immediate: a transaction that first reads could not wait for another writer.
            let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            let mut written = HashSet::new();
            for chunk in rows.chunks(ROWS_PER_STATEMENT) {
                written.extend(upsert_jobs(&mut transaction, chunk).await?);
            }
            for chunk in rolled_up(rows, &written).chunks(ROWS_PER_STATEMENT) {
                add_usage(&mut transaction, chunk).await?;
            }
            transaction.commit().await?;
            Ok(written.len())
        })
    }

    fn document<'a>(&'a self, tenant: &'a str, id: &'a str) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(async move { Ok(sqlx::query_scalar(GET).bind(id).bind(tenant).fetch_optional(&self.pool).await?) })
    }

    fn documents<'a>(&'a self, page: &'a Selection) -> BoxFuture<'a, Result<Vec<String>, StoreError>> {
        Box::pin(async move { page::read(page.query().build_query_scalar().fetch(&self.pool)).await })
    }

    fn usage<'a>(
        &'a self,
        tenant: &'a str,
        from: &'a str,
        to: &'a str,
    ) -> BoxFuture<'a, Result<Vec<DailyUsage>, StoreError>> {
        Box::pin(async move { Ok(sqlx::query_as(USAGE).bind(tenant).bind(from).bind(to).fetch_all(&self.pool).await?) })
    }

    fn prune(&self, now: i64, batch: i64) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { Ok(sqlx::query(PRUNE).bind(now).bind(batch).execute(&self.pool).await?.rows_affected()) })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { Ok(sqlx::query(PING).execute(&self.pool).await.map(drop)?) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.pool.close())
    }
}

/// Makes the file, readable by its owner only: it holds clients' conversations. SQLite gives its journal the same mode.
async fn create_private(file: &Path) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).await?;
    }
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).await.map(drop)
}

async fn upsert_jobs(connection: &mut SqliteConnection, rows: &[Row]) -> Result<Vec<String>, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(INSERT_JOBS);
    query.push_values(rows, |mut values, row| {
        values.push_bind(&row.id).push_bind(&row.tenant).push_bind(row.status).push_bind(&row.model);
        values.push_bind(&row.provider).push_bind(row.lane);
        values.push_bind(row.created_at).push_bind(row.started_at).push_bind(row.finished_at);
        values.push_bind(row.seq).push_bind(&row.document).push_bind(row.expires_at);
        values.push_bind(row.internal);
    });
    query.push(UPSERT_JOBS).build_query_scalar().persistent(false).fetch_all(connection).await
}

async fn add_usage(connection: &mut SqliteConnection, days: &[DailyUsage]) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(INSERT_USAGE);
    query.push_values(days, |mut values, usage| {
        values.push_bind(&usage.tenant).push_bind(&usage.day).push_bind(&usage.model);
        values.push_bind(usage.jobs).push_bind(usage.input_tokens).push_bind(usage.output_tokens);
    });
    query.push(ADD_USAGE).build().persistent(false).execute(connection).await.map(drop)
}
