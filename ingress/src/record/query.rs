//! The statements that both databases take as they are (SQLite reads `$1` as well), and the one that is put together.

use sqlx::{Database, Encode, QueryBuilder, Type};

/// One job of one tenant.
pub(super) const GET: &str = "SELECT document FROM jobs WHERE id = $1 AND tenant = $2";

/// A tenant's usage from one day to another, both included.
pub(super) const USAGE: &str = "SELECT tenant, day, model, jobs, input_tokens, output_tokens FROM usage_daily \
     WHERE tenant = $1 AND day BETWEEN $2 AND $3 ORDER BY day, model";

/// Whether the tables can be read.
pub(super) const PING: &str = "SELECT 1 FROM jobs LIMIT 1";

/// What the rows of jobs stand behind, column by column.
pub(super) const INSERT_JOBS: &str = "INSERT INTO jobs (id, tenant, status, model, provider, lane, created_at, \
     started_at, finished_at, seq, document, expires_at, internal) ";

/// What the rows of usage stand behind, column by column.
pub(super) const INSERT_USAGE: &str =
    "INSERT INTO usage_daily (tenant, day, model, jobs, input_tokens, output_tokens) ";

/// Goes on behind the rows of [`INSERT_JOBS`]. A row yields to a record of a higher sequence and to no other:
/// what comes late, twice or out of order changes nothing, and ids come back only for what was written.
pub(super) const UPSERT_JOBS: &str = " ON CONFLICT (id) DO UPDATE SET \
     tenant = excluded.tenant, status = excluded.status, model = excluded.model, provider = excluded.provider, \
     lane = excluded.lane, created_at = excluded.created_at, started_at = excluded.started_at, \
     finished_at = excluded.finished_at, seq = excluded.seq, document = excluded.document, \
     expires_at = excluded.expires_at WHERE jobs.seq < excluded.seq RETURNING id";

/// Goes on behind the rows of [`INSERT_USAGE`].
pub(super) const ADD_USAGE: &str = " ON CONFLICT (tenant, day, model) DO UPDATE SET \
     jobs = usage_daily.jobs + excluded.jobs, input_tokens = usage_daily.input_tokens + excluded.input_tokens, \
     output_tokens = usage_daily.output_tokens + excluded.output_tokens";

/// Which jobs a page shows.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) tenant: String,
    /// Any of these; empty for every status.
    pub(super) statuses: Vec<&'static str>,
    pub(super) model: Option<String>,
    pub(super) lane: Option<&'static str>,
    /// Also those that no client submitted.
    pub(super) internal: bool,
    /// Behind this `created_at` and id.
    pub(super) after: Option<(i64, String)>,
    pub(super) limit: i64,
}

impl Selection {
    /// The query of this page's documents, newest first.
    pub(super) fn query<DB>(&self) -> QueryBuilder<DB>
    where
        DB: Database,
        DB::Arguments: Default,
        for<'e> String: Encode<'e, DB> + Type<DB>,
        for<'e> &'static str: Encode<'e, DB> + Type<DB>,
        for<'e> i64: Encode<'e, DB> + Type<DB>,
    {
        let mut query = QueryBuilder::new("SELECT document FROM jobs WHERE tenant = ");
        query.push_bind(self.tenant.clone());
        if !self.statuses.is_empty() {
            let mut list = query.push(" AND status IN (").separated(", ");
            for status in &self.statuses {
                list.push_bind(*status);
            }
            query.push(")");
        }
        if let Some(model) = &self.model {
            query.push(" AND model = ").push_bind(model.clone());
        }
        if let Some(lane) = self.lane {
            query.push(" AND lane = ").push_bind(lane);
        }
        if !self.internal {
            query.push(" AND NOT internal");
        }
        if let Some((created_at, id)) = &self.after {
            query.push(" AND (created_at, id) < (").push_bind(*created_at).push(", ").push_bind(id.clone()).push(")");
        }
        query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(self.limit);
        query
    }
}
