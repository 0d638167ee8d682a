//! One conformance suite for the history of jobs, passed by every database that it can live in.

use std::collections::BTreeMap;

use ingress::record::{Cursor, Entry, Filter, Store};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use schemas::chat::{Message, Role, Usage};
use schemas::id::JobId;
use schemas::job::Lane;
use schemas::session::SummaryRange;
use schemas::timestamp::Timestamp;
use schemas::view::Status;

use super::fixture::{HISTORY, NOON, entry, job, life, of, used};

/// What every database must do. Each part has tenants of its own.
pub(super) async fn record_suite(store: &Store) {
    a_record_yields_only_to_a_newer_one(store).await;
    replicas_may_write_in_any_order(store).await;
    an_end_is_counted_once(store).await;
    what_was_written_is_read(store).await;
    any_text_can_be_stored(store).await;
    pages_are_stable_while_jobs_arrive(store).await;
    filters_combine(store).await;
    what_no_client_submitted_is_listed_on_demand(store).await;
    what_is_over_is_deleted_in_batches(store).await;
}

async fn a_record_yields_only_to_a_newer_one(store: &Store) {
    let states = life(7, NOON);
    let id = states[0].view.id;
    let status = async || store.get("acme", id).await.unwrap().map(|job| job.status);
    assert_eq!(status().await, None);

    assert_eq!(store.upsert(&states[..2]).await.unwrap(), 1, "two records of one job make one row");
    assert_eq!(status().await, Some(Status::Running));
    assert_eq!(store.upsert(&states[..1]).await.unwrap(), 0, "queued is older than running");
    assert_eq!(store.upsert(&states[1..2]).await.unwrap(), 0, "the same record again");
    assert_eq!(status().await, Some(Status::Running));

    assert_eq!(store.upsert(&states[3..]).await.unwrap(), 1);
    assert_eq!(store.upsert(&states[..3]).await.unwrap(), 0, "nothing replaces an end");
    assert_eq!(status().await, Some(Status::Completed));
    assert_eq!(store.get("other", id).await.unwrap(), None, "another tenant's job");
    assert_eq!(store.upsert(&[]).await.unwrap(), 0);
}

/// Four writers, each with every record of fifty jobs, in four orders and odd batches.
async fn replicas_may_write_in_any_order(store: &Store) {
    let records: Vec<Entry> = (0..50).flat_map(|number| life(1000 + number, NOON)).map(|e| of(e, "fleet")).collect();
    let writer = async |seed: u64| {
        let mut records = records.clone();
        records.shuffle(&mut StdRng::seed_from_u64(seed));
        for batch in records.chunks(17) {
            store.upsert(batch).await.unwrap();
        }
    };
    futures::join!(writer(1), writer(2), writer(3), writer(4));

    let page = store.list("fleet", &Filter::default(), None, 100).await.unwrap();
    assert_eq!(page.jobs.len(), 50);
    assert!(page.jobs.iter().all(|job| job.status == Status::Completed), "every job shows its end");
    let usage = store.usage("fleet", "2026-01-31", "2026-01-31").await.unwrap();
    assert_eq!(usage, [used("fleet", "2026-01-31", "echo", 50)]);
}

async fn an_end_is_counted_once(store: &Store) {
    let today = life(1, NOON).pop().map(|e| of(e, "metered")).unwrap();
    let mut tomorrow = life(2, NOON + 24 * 3_600_000).pop().map(|e| of(e, "metered")).unwrap();
    tomorrow.view.model = "other".to_owned();
    let foreign = life(3, NOON).pop().map(|e| of(e, "foreign")).unwrap();
    let running = life(4, NOON).swap_remove(1);

    let batch = [today.clone(), tomorrow, foreign, of(running, "metered")];
    assert_eq!(store.upsert(&batch).await.unwrap(), 4);
    assert_eq!(store.upsert(&batch).await.unwrap(), 0);
    assert_eq!(store.upsert(&[today]).await.unwrap(), 0);

    let first = used("metered", "2026-01-31", "echo", 1);
    let second = used("metered", "2026-02-01", "other", 1);
    assert_eq!(store.usage("metered", "2026-01-01", "2026-12-31").await.unwrap(), [first, second.clone()]);
    assert_eq!(store.usage("metered", "2026-02-01", "2026-02-01").await.unwrap(), [second]);
    assert_eq!(store.usage("nobody", "2026-01-01", "2026-12-31").await.unwrap(), []);
}

async fn what_was_written_is_read(store: &Store) {
    let mut view = job(8, NOON);
    view.status = Status::Incomplete;
    view.provider = Some("mistral".to_owned());
    view.lane = Lane::High;
    view.session = Some("s-1".to_owned());
    view.started_at = Some(Timestamp::from_millis(NOON + 1));
    view.finished_at = Some(Timestamp::from_millis(NOON + 2));
    view.output = Some(Message::text(Role::Assistant, "half an ans"));
    view.usage =
        Some(Usage { input_tokens: 3, output_tokens: 4, cached_tokens: 1, reasoning_tokens: 2, ..Usage::default() });
    view.metadata = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
    store.upsert(&[entry("reader", 5, view.clone())]).await.unwrap();
    assert_eq!(store.get("reader", view.id).await.unwrap(), Some(view));
}

/// NUL, which PostgreSQL cannot store in text, and names longer than an index entry may be.
async fn any_text_can_be_stored(store: &Store) {
    let mut view = job(9, NOON);
    view.model = format!("nul\0{}", "ü".repeat(20_000));
    view.provider = Some("\0".to_owned());
    view.status = Status::Completed;
    view.output = Some(Message::text(Role::Assistant, "\0 \u{1f980} ' \" \\ $1 ?"));
    view.usage = Some(Usage { input_tokens: u64::MAX, output_tokens: u64::MAX, ..Usage::default() });
    for seq in [1, 2] {
        store.upsert(&[entry("odd\0", seq, view.clone())]).await.unwrap();
    }
    assert_eq!(store.get("odd\0", view.id).await.unwrap().as_ref(), Some(&view));
    let filter = Filter { model: Some(view.model.clone()), ..Filter::default() };
    assert_eq!(store.list("odd\0", &filter, None, 1).await.unwrap().jobs, [view]);
}

async fn pages_are_stable_while_jobs_arrive(store: &Store) {
    // Seven jobs, of which three were accepted within one millisecond.
    let numbers = [(1, NOON), (2, NOON + 1), (3, NOON + 1), (4, NOON + 1), (5, NOON + 2), (6, NOON + 3), (7, NOON + 4)];
    let jobs: Vec<Entry> = numbers.map(|(number, at)| entry("pager", 0, job(number, at))).into();
    store.upsert(&jobs).await.unwrap();

    let mut seen = Vec::new();
    let mut after: Option<Cursor> = None;
    for arrival in 0.. {
        let page = store.list("pager", &Filter::default(), after, 2).await.unwrap();
        assert!(!page.jobs.is_empty(), "no page is empty");
        seen.extend(page.jobs.iter().map(|job| job.id));
        store.upsert(&[entry("pager", 0, job(100 + arrival, NOON + 1000))]).await.unwrap();
        let Some(next) = page.next else { break };
        // As a client hands it back.
        after = Some(next.to_string().parse().unwrap());
    }
    let newest_first: Vec<JobId> = jobs.iter().rev().map(|one| one.view.id).collect();
    assert_eq!(seen, newest_first);

    let exactly = store.list("pager", &Filter::default(), after, 1).await.unwrap();
    assert_eq!((exactly.jobs.len(), exactly.next), (1, None), "the last page says that it is the last");
    assert_eq!(store.list("nobody", &Filter::default(), None, 5).await.unwrap().jobs, []);
}

async fn filters_combine(store: &Store) {
    let varied = |number: u128, status, model: &str, lane| {
        let mut view = job(number, NOON);
        (view.status, view.lane, view.model) = (status, lane, model.to_owned());
        entry("filters", 1, view)
    };
    let jobs = [
        varied(1, Status::Completed, "big", Lane::High),
        varied(2, Status::Failed, "big", Lane::Low),
        varied(3, Status::Completed, "small", Lane::Low),
        varied(4, Status::Queued, "big", Lane::High),
    ];
    store.upsert(&jobs).await.unwrap();
    let found = async |status: &[Status], model: Option<&str>, lane| {
        let filter = Filter { status: status.to_vec(), model: model.map(str::to_owned), lane, internal: false };
        let page = store.list("filters", &filter, None, 10).await.unwrap();
        page.jobs.iter().map(|job| jobs.iter().position(|one| one.view.id == job.id).unwrap() + 1).collect::<Vec<_>>()
    };
    assert_eq!(found(&[], None, None).await, [4, 3, 2, 1]);
    assert_eq!(found(&[Status::Completed], None, None).await, [3, 1]);
    assert_eq!(found(&[Status::Failed, Status::Queued], None, None).await, [4, 2]);
    assert_eq!(found(&[], Some("big"), None).await, [4, 2, 1]);
    assert_eq!(found(&[], None, Some(Lane::Low)).await, [3, 2]);
    assert_eq!(found(&[Status::Completed, Status::Failed], Some("big"), Some(Lane::High)).await, [1]);
    assert_eq!(found(&[], Some("bi_"), None).await, Vec::<usize>::new(), "a name, not a pattern");
}

async fn what_no_client_submitted_is_listed_on_demand(store: &Store) {
    let range = SummaryRange { session: "s".to_owned(), began: Timestamp::from_millis(NOON), after: 0, up_to: 2 };
    let mut records = life(1, NOON);
    for record in &mut records {
        record.view.summarizes = Some(Box::new(range.clone()));
    }
    let internal: Vec<_> = records.into_iter().map(|record| of(record, "internal")).collect();
    let plain: Vec<_> = life(2, NOON + 1).into_iter().map(|record| of(record, "internal")).collect();
    store.upsert(&internal).await.unwrap();
    store.upsert(&plain).await.unwrap();
    let listed = async |internal| {
        let filter = Filter { internal, ..Filter::default() };
        let page = store.list("internal", &filter, None, 10).await.unwrap();
        page.jobs.iter().map(|job| job.id).collect::<Vec<_>>()
    };
    let (internal, plain) = (internal[0].view.id, plain[0].view.id);
    assert_eq!((listed(false).await, listed(true).await), (vec![plain], vec![plain, internal]));
    assert_eq!(store.get("internal", internal).await.unwrap().unwrap().summarizes.as_deref(), Some(&range));
    let used = store.usage("internal", "2026-01-01", "2026-12-31").await.unwrap();
    assert_eq!(used.iter().map(|day| day.jobs).sum::<i64>(), 2, "it is paid for like any other");
}

/// In the seventies, so that no other part's jobs are meant.
async fn what_is_over_is_deleted_in_batches(store: &Store) {
    let jobs: Vec<Entry> = (0..5_i64).map(|day| entry("old", 0, job(1, day * 86_400_000))).collect();
    store.upsert(&jobs).await.unwrap();
    // A job that waits for a later moment changes then.
    let mut delayed = job(2, 0);
    delayed.until = Some(Timestamp::from_millis(10 * 86_400_000));
    store.upsert(&[entry("old", 0, delayed.clone())]).await.unwrap();

    let third_day = Timestamp::from_millis(2 * 86_400_000).after(HISTORY);
    assert_eq!(store.prune(third_day, 2).await.unwrap(), 2);
    assert_eq!(store.prune(third_day, 2).await.unwrap(), 1);
    assert_eq!(store.prune(third_day, 2).await.unwrap(), 0);
    let kept = store.list("old", &Filter::default(), None, 10).await.unwrap().jobs;
    assert_eq!(kept.iter().map(|job| job.id).collect::<Vec<_>>(), [jobs[4].view.id, jobs[3].view.id, delayed.id]);
}

/// The same database, opened again after [`record_suite`].
pub(super) async fn outlives_its_process(store: &Store) {
    let page = store.list("fleet", &Filter::default(), None, 100).await.unwrap();
    assert_eq!(page.jobs.len(), 50);
    store.close().await;
    assert!(store.ping().await.is_err(), "a closed store is closed");
}
