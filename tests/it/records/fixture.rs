//! Jobs, their records, and the stores that hold them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ingress::record::{DailyUsage, Entry, Store};
use runtime::config::DatabaseConfig;
use schemas::chat::Usage;
use schemas::id::JobId;
use schemas::job::{ContextOptions, Job, JobHead, Lane, OnAmbiguous, Payload};
use schemas::timestamp::Timestamp;
use schemas::view::{JobView, Status};

/// 2026-01-31T12:00:00Z, in milliseconds.
pub(super) const NOON: i64 = 1_769_860_800_000;
pub(super) const HISTORY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn open(url: &str, data_dir: &Path) -> Store {
    let config = DatabaseConfig {
        url: url.to_owned().into(),
        max_connections: 4,
        acquire_timeout: Duration::from_secs(3),
        query_timeout: Duration::from_secs(30),
        batch: 256,
        history: HISTORY,
        prune_interval: Duration::from_secs(600),
    };
    Store::open(&config, data_dir).unwrap()
}

pub(super) fn entry(tenant: &str, seq: u64, view: JobView) -> Entry {
    Entry { tenant: tenant.to_owned(), seq, view }
}

/// The same record of another tenant's job: ids are the tenant's own.
pub(super) fn of(mut entry: Entry, tenant: &str) -> Entry {
    entry.view.id = JobId::deterministic(tenant, &entry.view.id.to_string());
    entry.tenant = tenant.to_owned();
    entry
}

/// The records of one job from submit to end, its sequences rising.
pub(super) fn life(number: u128, accepted: i64) -> Vec<Entry> {
    let queued = job(number, accepted);
    let mut running = queued.clone();
    running.status = Status::Running;
    running.started_at = Some(Timestamp::from_millis(accepted + 10));
    let mut parked = running.clone();
    (parked.status, parked.reason) = (Status::Queued, Some("rate_limited".to_owned()));
    let mut completed = running.clone();
    completed.status = Status::Completed;
    completed.finished_at = Some(Timestamp::from_millis(accepted + 20));
    completed.usage = Some(Usage { input_tokens: 3, output_tokens: 5, ..Usage::default() });
    let views = [queued, running, parked, completed];
    views.into_iter().zip([0, 40, 70, 90]).map(|(view, seq)| entry("acme", seq, view)).collect()
}

pub(super) fn used(tenant: &str, day: &str, model: &str, jobs: i64) -> DailyUsage {
    DailyUsage {
        tenant: tenant.to_owned(),
        day: day.to_owned(),
        model: model.to_owned(),
        jobs,
        input_tokens: 3 * jobs,
        output_tokens: 5 * jobs,
    }
}

/// A job that no worker has touched. Later ones have greater ids.
pub(super) fn job(number: u128, accepted: i64) -> JobView {
    let created_at = Timestamp::from_millis(accepted);
    JobView::queued(&submitted(JobId::new(created_at, number), created_at), false)
}

/// A job as ingress submits it.
pub(super) fn submitted(id: JobId, created_at: Timestamp) -> Job {
    let head = JobHead {
        tenant: "acme".to_owned(),
        lane: Lane::Normal,
        model: "echo".to_owned(),
        created_at,
        not_before: None,
        deadline: None,
        session: None,
        metadata: BTreeMap::new(),
        on_ambiguous: OnAmbiguous::Retry,
        stream: false,
        synchronous: false,
        body_hash: "hash".to_owned(),
        trace_id: "trace".to_owned(),
        parent: None,
        provider: None,
        summarizes: None,
    };
    Job {
        id,
        head,
        context: ContextOptions::default(),
        request: Payload::Inline(Box::default()),
        warnings: Vec::new(),
        surface: None,
    }
}
