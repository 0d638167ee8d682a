//! Records as rows: which of several is the newest, what its columns hold, and the usage that ended jobs add up to.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use schemas::chat::Usage;
use schemas::id::JobId;
use schemas::state::Outcome;
use schemas::timestamp::Timestamp;
use schemas::view::{JobView, Status};
use serde::Serialize;
use time::OffsetDateTime;

/// Longest text of a column that an index holds; PostgreSQL refuses index entries of about 2,700 bytes.
const COLUMN_BYTES: usize = 256;

/// A job as one record has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Whose job it is.
    pub tenant: String,
    /// The record's sequence in STATE; 0 for a job that no worker has touched.
    pub seq: u64,
    /// What its client reads.
    pub view: JobView,
}

/// What a tenant's ended jobs of one model used on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct DailyUsage {
    /// Whose jobs.
    pub tenant: String,
    /// The day on which they ended, UTC, as `2026-01-31`.
    pub day: String,
    /// The model as clients wrote it.
    pub model: String,
    /// Ended jobs, however they ended.
    pub jobs: i64,
    /// Tokens read by all of their attempts, cached ones included.
    pub input_tokens: i64,
    /// Tokens written by all of their attempts, reasoning included.
    pub output_tokens: i64,
}

/// One row of `jobs`.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) tenant: String,
    pub(super) status: &'static str,
    pub(super) model: String,
    pub(super) provider: Option<String>,
    pub(super) lane: &'static str,
    pub(super) created_at: i64,
    pub(super) started_at: Option<i64>,
    pub(super) finished_at: Option<i64>,
    pub(super) seq: i64,
    pub(super) document: String,
    pub(super) expires_at: i64,
    /// No client submitted it.
    pub(super) internal: bool,
    /// What it adds to its day's usage, once it has ended.
    pub(super) usage: Option<DailyUsage>,
}

impl Row {
    /// The row of `entry`, to be deleted when it has not changed for `history`.
    pub(super) fn new(entry: &Entry, history: Duration) -> Result<Self, serde_json::Error> {
        let view = &entry.view;
        let tenant = column(&entry.tenant);
        let model = column(&view.model);
        Ok(Self {
            id: view.id.to_string(),
            usage: view.status.is_terminal().then(|| spent(&tenant, &model, view)),
            tenant,
            status: view.status.into(),
            model,
            provider: view.provider.as_deref().map(column),
            lane: view.lane.into(),
            created_at: view.created_at.as_millis(),
            started_at: view.started_at.map(Timestamp::as_millis),
            finished_at: view.finished_at.map(Timestamp::as_millis),
            seq: saturated(entry.seq),
            document: serde_json::to_string(view)?,
            internal: view.summarizes.is_some(),
            expires_at: last_change(view).after(history).as_millis(),
        })
    }
}

/// The newest entry of each job, in the order of their ids: every writer locks rows in the same order, so that none
/// waits for another in a circle.
pub(super) fn newest(entries: &[Entry]) -> Vec<&Entry> {
    let mut jobs: BTreeMap<JobId, &Entry> = BTreeMap::new();
    for entry in entries {
        let kept = jobs.entry(entry.view.id).or_insert(entry);
        if entry.seq > kept.seq {
            *kept = entry;
        }
    }
    jobs.into_values().collect()
}

/// The usage of those rows whose ids were written, added up and in the order of its key.
pub(super) fn rolled_up(rows: &[Row], written: &HashSet<String>) -> Vec<DailyUsage> {
    let mut days: BTreeMap<(&str, &str, &str), DailyUsage> = BTreeMap::new();
    for usage in rows.iter().filter(|row| written.contains(&row.id)).filter_map(|row| row.usage.as_ref()) {
        days.entry((&usage.tenant, &usage.day, &usage.model))
            .and_modify(|sum| {
                sum.jobs += usage.jobs;
                sum.input_tokens += usage.input_tokens;
                sum.output_tokens += usage.output_tokens;
            })
            .or_insert_with(|| usage.clone());
    }
    days.into_values().collect()
}

/// `text` as a column and a filter hold it: bounded, and without NUL, which PostgreSQL cannot store. The document has
/// the whole text.
pub(super) fn column(text: &str) -> String {
    text[..text.floor_char_boundary(COLUMN_BYTES)].replace('\0', "\u{fffd}")
}

/// When a record that stands for a change was written; `None` while a job runs, whose records are mostly renewals.
pub(super) fn changed_at(view: &JobView) -> Option<Timestamp> {
    match view.status {
        Status::Queued if view.attempts.is_empty() => Some(view.created_at),
        Status::Queued | Status::Running => None,
        _ => view.finished_at,
    }
}

fn last_change(view: &JobView) -> Timestamp {
    [view.started_at, view.finished_at, view.until].into_iter().flatten().fold(view.created_at, Timestamp::max)
}

/// One ended job: the tokens of every attempt that told them, and of the answer where its attempt did not.
fn spent(tenant: &str, model: &str, view: &JobView) -> DailyUsage {
    let told = view.attempts.iter().any(|attempt| attempt.outcome == Some(Outcome::Ok) && attempt.usage.is_some());
    let answer = view.usage.filter(|_| !told);
    let usages: Vec<Usage> = view.attempts.iter().filter_map(|attempt| attempt.usage).chain(answer).collect();
    let ended = OffsetDateTime::from(view.finished_at.unwrap_or(view.created_at));
    DailyUsage {
        tenant: tenant.to_owned(),
        day: ended.date().to_string(),
        model: model.to_owned(),
        jobs: 1,
        input_tokens: usages.iter().map(|usage| tokens(usage.input_tokens)).sum(),
        output_tokens: usages.iter().map(|usage| tokens(usage.output_tokens)).sum(),
    }
}

/// A count as a provider told it, bounded so that no nonsense can overflow a day's sum.
fn tokens(count: u64) -> i64 {
    i64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn saturated(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use schemas::state::{Attempt, Nonce};

    use super::*;
    use crate::record::testing::{entry, view};

    fn attempt(outcome: Option<Outcome>, usage: Option<Usage>) -> Attempt {
        let (provider, model, started_at) = ("echo".to_owned(), "echo".to_owned(), Timestamp::default());
        let (number, nonce, ended_at, error) = (1, Nonce::new(1), None, None);
        Attempt {
            number,
            nonce,
            provider,
            model,
            started_at,
            ended_at,
            outcome,
            error,
            usage,
            cost_micros: None,
            hedge: false,
        }
    }

    fn counted(attempts: Vec<Attempt>, answer: Option<Usage>) -> (i64, i64) {
        let view = JobView { attempts, usage: answer, ..view(1, Status::Completed) };
        let usage = spent("t", "m", &view);
        (usage.input_tokens, usage.output_tokens)
    }

    #[test]
    fn every_attempt_that_cost_is_counted_and_the_answer_once() {
        let some = |input_tokens, output_tokens| Some(Usage { input_tokens, output_tokens, ..Usage::default() });
        let (ok, failed) = (Some(Outcome::Ok), Some(Outcome::Failed));
        assert_eq!(counted(vec![], None), (0, 0));
        assert_eq!(counted(vec![], some(3, 4)), (3, 4));
        assert_eq!(counted(vec![attempt(ok, some(3, 4))], some(3, 4)), (3, 4));
        assert_eq!(counted(vec![attempt(failed, some(1, 1)), attempt(ok, some(3, 4))], some(3, 4)), (4, 5));
        assert_eq!(counted(vec![attempt(failed, some(1, 1)), attempt(ok, None)], some(3, 4)), (4, 5));
    }

    #[test]
    fn only_written_rows_are_counted_and_in_order() {
        let history = Duration::ZERO;
        let jobs = [("b", 1), ("a", 2), ("b", 3), ("b", 4)].map(|(tenant, number)| {
            Row::new(&Entry { tenant: tenant.to_owned(), ..entry(number, 1, Status::Failed) }, history).unwrap()
        });
        let written = jobs[..3].iter().map(|row| row.id.clone()).collect();
        let sums: Vec<_> = rolled_up(&jobs, &written).into_iter().map(|usage| (usage.tenant, usage.jobs)).collect();
        assert_eq!(sums, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    }

    #[test]
    fn the_newest_record_of_each_job_is_kept_in_the_order_of_ids() {
        let entries = [
            entry(2, 5, Status::Completed),
            entry(1, 0, Status::Queued),
            entry(2, 4, Status::Running),
            entry(1, 3, Status::Running),
        ];
        assert_eq!(newest(&entries), [&entries[3], &entries[0]]);
    }

    #[test]
    fn a_row_expires_after_its_last_change() {
        let mut delayed = entry(1, 0, Status::Queued);
        delayed.view.until = Some(Timestamp::from_millis(5000));
        let row = Row::new(&delayed, Duration::from_secs(2)).unwrap();
        assert_eq!(row.expires_at, 7000);
        assert!(row.usage.is_none(), "only an end is counted");
    }

    #[test]
    fn columns_are_cut_between_characters() {
        assert_eq!(column("a\0b"), "a\u{fffd}b");
        assert_eq!(column(&"€".repeat(200)), "€".repeat(85));
    }

    #[test]
    fn renewals_tell_nothing_about_the_lag() {
        assert_eq!(changed_at(&view(1, Status::Running)), None);
        assert_eq!(changed_at(&view(1, Status::Queued)), Some(Timestamp::default()));
    }
}
