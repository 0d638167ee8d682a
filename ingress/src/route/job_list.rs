//! `GET /v1/jobs`: the caller's jobs, newest first, by pages, as history has them.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};
use schemas::error::Failure;
use schemas::view::{JobView, Status};
use url::form_urlencoded;

use super::listing::{LIMIT, Listing, limit};
use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::lookup::history_away;
use crate::record::{Cursor, Filter};
use crate::submit::parse_lane;

/// One page of the caller's jobs.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Listing<JobView>>, ApiError> {
    let Query { filter, after, limit } = Query::parse(query.as_deref().unwrap_or_default())?;
    let page = app.store.list(&caller.tenant, &filter, after, limit).await.map_err(history_away)?;
    Ok(Json(Listing::new(page.jobs, page.next.map(|cursor| cursor.to_string()))))
}

#[derive(Debug)]
struct Query {
    filter: Filter,
    after: Option<Cursor>,
    limit: u32,
}

impl Query {
    fn parse(query: &str) -> Result<Self, Failure> {
        let mut parsed = Self { filter: Filter::default(), after: None, limit: LIMIT };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "limit" => parsed.limit = limit(&value)?,
                "cursor" => parsed.after = Some(cursor(&value)?),
                "status" => parsed.filter.status.extend(statuses(&value)?),
                "model" => parsed.filter.model = Some(value.into_owned()),
                "internal" => parsed.filter.internal = internal(&value)?,
                "lane" => parsed.filter.lane = Some(parse_lane("lane", &value)?),
                _ => return Err(unknown(&name)),
            }
        }
        Ok(parsed)
    }
}

fn cursor(text: &str) -> Result<Cursor, Failure> {
    text.parse().map_err(|error| Failure::invalid("cursor", format!("{error}")))
}

/// One status, or several separated by commas.
fn statuses(text: &str) -> Result<Vec<Status>, Failure> {
    let expected = "expected some of queued, running, completed, failed, cancelled, expired, incomplete";
    let status = |word: &str| word.trim().parse().map_err(|_| Failure::invalid("status", expected));
    text.split(',').map(status).collect()
}

/// Whether jobs that no client submitted are listed too.
fn internal(text: &str) -> Result<bool, Failure> {
    text.parse().map_err(|_| Failure::invalid("internal", "expected true or false"))
}

fn unknown(name: &str) -> Failure {
    let name: String = name.chars().take(64).collect();
    Failure::invalid(name, "unknown parameter: expected limit, cursor, status, model, lane or internal")
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::job::Lane;

    fn fault(query: &str) -> Option<String> {
        Query::parse(query).unwrap_err().param
    }

    #[test]
    fn every_parameter_is_read() {
        let query =
            Query::parse("limit=3&status=queued,running&status=failed&model=gpt%2F4&lane=low&internal=true").unwrap();
        assert_eq!(query.limit, 3);
        assert_eq!(query.filter.status, [Status::Queued, Status::Running, Status::Failed]);
        assert_eq!((query.filter.model.as_deref(), query.filter.lane), (Some("gpt/4"), Some(Lane::Low)));
        assert!(query.filter.internal && !Query::parse("").unwrap().filter.internal);
        assert_eq!(Query::parse("").unwrap().limit, 20);
    }

    #[test]
    fn a_bad_parameter_is_named() {
        for (query, name) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=x", "limit"),
            ("cursor=!!", "cursor"),
            ("status=nonsense", "status"),
            ("status=", "status"),
            ("lane=fast", "lane"),
            ("internal=1", "internal"),
            ("page=2", "page"),
        ] {
            assert_eq!(fault(query).as_deref(), Some(name), "{query}");
        }
    }
}
