//! History in PostgreSQL: for several ingress machines, and for reports.

use std::collections::HashSet;
use std::str::FromStr;

use futures::future::BoxFuture;
use runtime::config::DatabaseConfig;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, PgPool};

use super::Backend;
use super::error::{OpenError, StoreError};
use super::fold::{DailyUsage, Row, rolled_up};
use super::page;
use super::query::{ADD_USAGE, GET, INSERT_JOBS, INSERT_USAGE, PING, Selection, UPSERT_JOBS, USAGE};

/// One array a column: the statement is the same for every number of rows, so the server plans it once.
const JOBS: &str = "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], \
     $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::bigint[], $13::boolean[])";

const DAYS: &str = "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])";

/// Rows that another replica is deleting or writing are left to it.
const PRUNE: &str = "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE expires_at <= $1 ORDER BY expires_at \
     LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// A pool of connections, made when first used: a start does not wait for the server.
pub(super) struct PostgresBackend {
    pool: PgPool,
}

impl PostgresBackend {
    /// The server and database that `url` names.
    pub(super) fn open(config: &DatabaseConfig, url: &str) -> Result<Self, OpenError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(OpenError::Url)?
            .application_name("portbroker")
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(config.acquire_timeout)
            .connect_lazy_with(options);
        Ok(Self { pool })
    }
}

impl Backend for PostgresBackend {
    fn prepare(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            // A connection of its own: the lock that keeps replicas apart ends with it, even when this is given up.
            // And an absent server is told at once, where the pool would go on trying.
            let mut connection = self.pool.connect_options().connect().await?;
            let mut migrator = sqlx::migrate!("migrations/postgres");
            // A newer version may have run here before: its tables serve this one too.
            migrator.set_ignore_missing(true);
            // What `run` does; the compiler takes `run` itself for a pool only, inside a boxed future.
            Ok(migrator.run_direct(None, &mut connection, false).await?)
        })
    }

    fn write<'a>(&'a self, rows: &'a [Row]) -> BoxFuture<'a, Result<usize, StoreError>> {
        Box::pin(async move {
            let mut transaction = self.pool.begin().await?;
            let written: HashSet<String> = upsert_jobs(&mut transaction, rows).await?.into_iter().collect();
            let days = rolled_up(rows, &written);
            if !days.is_empty() {
                add_usage(&mut transaction, &days).await?;
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

async fn upsert_jobs(connection: &mut PgConnection, rows: &[Row]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(AssertSqlSafe([INSERT_JOBS, JOBS, UPSERT_JOBS].concat()))
        .bind(column(rows, |row| row.id.as_str()))
        .bind(column(rows, |row| row.tenant.as_str()))
        .bind(column(rows, |row| row.status))
        .bind(column(rows, |row| row.model.as_str()))
        .bind(column(rows, |row| row.provider.as_deref()))
        .bind(column(rows, |row| row.lane))
        .bind(column(rows, |row| row.created_at))
        .bind(column(rows, |row| row.started_at))
        .bind(column(rows, |row| row.finished_at))
        .bind(column(rows, |row| row.seq))
        .bind(column(rows, |row| row.document.as_str()))
        .bind(column(rows, |row| row.expires_at))
        .bind(column(rows, |row| row.internal))
        .fetch_all(connection)
        .await
}

async fn add_usage(connection: &mut PgConnection, days: &[DailyUsage]) -> Result<(), sqlx::Error> {
    sqlx::query(AssertSqlSafe([INSERT_USAGE, DAYS, ADD_USAGE].concat()))
        .bind(column(days, |usage| usage.tenant.as_str()))
        .bind(column(days, |usage| usage.day.as_str()))
        .bind(column(days, |usage| usage.model.as_str()))
        .bind(column(days, |usage| usage.jobs))
        .bind(column(days, |usage| usage.input_tokens))
        .bind(column(days, |usage| usage.output_tokens))
        .execute(connection)
        .await
        .map(drop)
}

fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
