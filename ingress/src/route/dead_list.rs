//! `GET /v1/dead`: dead jobs, the oldest and so the next to be forgotten first, by pages that cost no more than a page.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::DeadEntries;
use futures::stream::{self, StreamExt};
use schemas::error::Failure;
use schemas::job::Lane;
use tokio::time::timeout;
use url::form_urlencoded;

use super::listing::{LIMIT, Listing, limit};
use crate::app::App;
use crate::auth::Caller;
use crate::dead::{self, DeadView};
use crate::error::ApiError;
use crate::submit::parse_lane;

/// Most entries that one page looks at, of which a filter by model may leave none.
const LOOKED_AT: usize = 500;
/// Entries that are judged at once.
const AT_ONCE: usize = 8;

/// One page of the dead jobs that the caller may see.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Listing<DeadView>>, ApiError> {
    let query = Query::parse(query.as_deref().unwrap_or_default())?;
    let page = timeout(app.config.ingress.submit_timeout, page(&app, &caller, &query)).await;
    page.map_err(|_| dead::silent())?.map(Json)
}

async fn page(app: &App, caller: &Caller, query: &Query) -> Result<Listing<DeadView>, ApiError> {
    let limit = query.limit as usize;
    let most = if query.model.is_some() { LOOKED_AT } else { limit };
    let filter = dead::visible(caller, query.lane);
    let DeadEntries { entries, mut more } = app.broker.dead_entries(&filter, query.after, most).await?;
    let last = entries.last().map(|entry| entry.seq);
    let mut judged =
        stream::iter(entries).map(async |entry| Ok((entry, dead::judged(app, entry, None).await?))).buffered(AT_ONCE);
    let (mut data, mut seen) = (Vec::new(), query.after);
    while data.len() < limit
        && let Some(looked) = judged.next().await
    {
        let (entry, state) = looked.map_err(|error: ApiError| error)?;
        seen = entry.seq;
        let wanted = |model: &str| query.model.as_deref().is_none_or(|wanted| wanted == model);
        data.extend(state.filter(|state| wanted(&state.head.model)).map(|state| DeadView::new(entry, &state)));
    }
    more |= last.is_some_and(|last| last > seen);
    Ok(Listing::new(data, more.then(|| cursor(seen))))
}

#[derive(Debug, PartialEq)]
struct Query {
    lane: Option<Lane>,
    model: Option<String>,
    after: u64,
    limit: u32,
}

impl Query {
    fn parse(query: &str) -> Result<Self, Failure> {
        let mut parsed = Self { lane: None, model: None, after: 0, limit: LIMIT };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "limit" => parsed.limit = limit(&value)?,
                "after" => parsed.after = place(&value)?,
                "model" => parsed.model = Some(value.into_owned()),
                "lane" => parsed.lane = Some(parse_lane("lane", &value)?),
                _ => return Err(unknown(&name)),
            }
        }
        Ok(parsed)
    }
}

/// Where a page ended: opaque to clients, and stable while entries come and go.
fn cursor(seq: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("dead.{seq}"))
}

fn place(text: &str) -> Result<u64, Failure> {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let seq = decoded.as_deref().and_then(|text| text.strip_prefix("dead.")).and_then(|seq| seq.parse().ok());
    // One place has one cursor: other spellings of it are none.
    seq.filter(|seq| cursor(*seq) == text).ok_or_else(|| {
        let message = "not a cursor that this API gave: pass next_cursor of the page before, or nothing to begin";
        Failure::invalid("after", message)
    })
}

fn unknown(name: &str) -> Failure {
    let name: String = name.chars().take(64).collect();
    Failure::invalid(name, "unknown parameter: expected limit, after, model or lane")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_parameter_is_read() {
        let query = Query::parse(&format!("limit=3&model=gpt%2F4&lane=low&after={}", cursor(7))).unwrap();
        assert_eq!(query, Query { lane: Some(Lane::Low), model: Some("gpt/4".to_owned()), after: 7, limit: 3 });
        assert_eq!(Query::parse("").unwrap(), Query { lane: None, model: None, after: 0, limit: 20 });
    }

    #[test]
    fn a_bad_parameter_is_named() {
        for (query, name) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("after=!!", "after"),
            ("lane=fast", "lane"),
            ("cursor=2", "cursor"),
        ] {
            assert_eq!(Query::parse(query).unwrap_err().param.as_deref(), Some(name), "{query}");
        }
        assert!(place(&URL_SAFE_NO_PAD.encode("dead.07")).is_err(), "another spelling");
    }

    proptest! {
        #[test]
        fn a_cursor_leads_back_to_its_place(seq: u64) {
            prop_assert_eq!(place(&cursor(seq)), Ok(seq));
        }

        #[test]
        fn any_text_is_a_place_or_an_error(text: String) {
            if let Ok(seq) = place(&text) {
                prop_assert_eq!(cursor(seq), text);
            }
        }
    }
}
