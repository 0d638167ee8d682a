//! One page of jobs: at most as many as were asked for, and fewer when their documents come to more than memory is lent
//! for.

use std::pin::pin;

use futures::stream::{Stream, TryStreamExt};
use schemas::view::JobView;

use super::cursor::Cursor;
use super::error::StoreError;

/// Bytes of documents at which a page ends. A document may be as large as a record, somewhat below 1 MiB, and is held some
/// three times: as text, as a job, and as the answer. No budget of memory counts these.
const MOST_BYTES: usize = 8 << 20;

/// Some jobs, newest first.
#[derive(Debug)]
pub struct Page {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// Where the next page begins; `None` when there is no more.
    pub next: Option<Cursor>,
}

/// The documents of a page from `rows`, of which there is one more than asked for. The last one is not shown when it is
/// that one or they come to too much: it tells that there are more.
pub(super) async fn read(rows: impl Stream<Item = Result<String, sqlx::Error>>) -> Result<Vec<String>, StoreError> {
    let (mut rows, mut documents, mut bytes) = (pin!(rows), Vec::new(), 0);
    while let Some(document) = rows.try_next().await? {
        bytes += document.len();
        documents.push(document);
        if is_too_much(documents.len(), bytes) {
            break;
        }
    }
    Ok(documents)
}

/// The page of what [`read`] gave, for a client that wants `limit` jobs.
pub(super) fn of(documents: &[String], limit: usize) -> serde_json::Result<Page> {
    let bytes = documents.iter().map(String::len).sum();
    let more = documents.len() > limit || is_too_much(documents.len(), bytes);
    let shown = &documents[..documents.len() - usize::from(more)];
    let jobs: Vec<JobView> = shown.iter().map(|document| serde_json::from_str(document)).collect::<Result<_, _>>()?;
    let last = jobs.last().map(|job| Cursor { created_at: job.created_at, id: job.id });
    Ok(Page { next: last.filter(|_| more), jobs })
}

/// A page has one job at least.
const fn is_too_much(documents: usize, bytes: usize) -> bool {
    documents > 1 && bytes > MOST_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::entry;
    use futures::{FutureExt, stream};
    use schemas::view::Status;

    /// How many documents of `sizes` are read, how many are shown, and whether there are said to be more.
    fn page(sizes: &[usize], limit: usize) -> (usize, usize, bool) {
        let document = |size: &usize| {
            let view = serde_json::to_string(&entry(1, 1, Status::Completed).view).unwrap();
            let padding = " ".repeat(size.saturating_sub(view.len()));
            Ok(view + &padding)
        };
        let rows = stream::iter(sizes.iter().take(limit + 1).map(document));
        let documents = read(rows).now_or_never().unwrap().unwrap();
        let page = of(&documents, limit).unwrap();
        (documents.len(), page.jobs.len(), page.next.is_some())
    }

    #[test]
    fn a_page_ends_where_it_is_asked_to_or_grows_too_large() {
        assert_eq!(page(&[], 2), (0, 0, false));
        assert_eq!(page(&[1, 1], 2), (2, 2, false));
        assert_eq!(page(&[1, 1, 1], 2), (3, 2, true));
        let third = MOST_BYTES / 3;
        assert_eq!(page(&[third; 3], 100), (3, 3, false));
        assert_eq!(page(&[third; 10], 100), (4, 3, true));
    }

    #[test]
    fn a_job_larger_than_a_page_is_one() {
        let large = MOST_BYTES + 1;
        assert_eq!(page(&[large], 2), (1, 1, false));
        assert_eq!(page(&[large, 1], 2), (2, 1, true));
    }
}
