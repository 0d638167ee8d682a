//! `GET /v1/responses/{id}/input_items`: what a response was made from, by pages.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::{Extension, Json};
use schemas::dialect::openai_responses;
use schemas::error::Failure;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::about;
use super::listing::{LIMIT, limit};
use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::responses::{self, kept};

/// One page of the items, newest first unless `order=asc`.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref().unwrap_or_default())?;
    let known = responses::find(&app, &caller, path).await?;
    let (request, _hold) = kept::request(&app, known.id, &known.found).await?;
    let messages = openai_responses::without_instructions(&request.messages, &known.options);
    let items = openai_responses::input_items(messages, &request.tools, &known.id.prefixed("resp_"));
    Ok(about(known.id, Json(query.page(items)?)))
}

/// Which page of a list of items.
#[derive(Debug)]
pub(super) struct Query {
    limit: usize,
    ascending: bool,
    after: Option<String>,
}

impl Query {
    /// Reads what a path asks for.
    pub(super) fn parse(query: &str) -> Result<Self, Failure> {
        let mut parsed = Self { limit: LIMIT as usize, ascending: false, after: None };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (&*name, &*value) {
                ("limit", text) => parsed.limit = limit(text)? as usize,
                ("after", text) => parsed.after = Some(text.to_owned()),
                ("order", "asc") => parsed.ascending = true,
                ("order", "desc") => parsed.ascending = false,
                ("order", _) => return Err(Failure::invalid("order", "expected `asc` or `desc`")),
                _ => {}
            }
        }
        Ok(parsed)
    }

    /// One page of `items`, which are oldest first.
    pub(super) fn page(&self, mut items: Vec<Value>) -> Result<Value, Failure> {
        if !self.ascending {
            items.reverse();
        }
        let start = match &self.after {
            None => 0,
            Some(after) => {
                let found = items.iter().position(|item| item["id"] == after.as_str());
                found.ok_or_else(|| Failure::invalid("after", "there is no item with this id"))? + 1
            }
        };
        let rest = items.split_off(start);
        let has_more = rest.len() > self.limit;
        let data: Vec<_> = rest.into_iter().take(self.limit).collect();
        let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
        let (first_id, last_id) = (id(data.first()), id(data.last()));
        Ok(json!({"object": "list", "data": data, "first_id": first_id, "last_id": last_id, "has_more": has_more}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> (Vec<i64>, bool) {
        let items = (0..5).map(|n| json!({"id": format!("i{n}"), "n": n})).collect();
        let page = Query::parse(query).unwrap().page(items).unwrap();
        let data = page["data"].as_array().unwrap().iter().map(|item| item["n"].as_i64().unwrap());
        (data.collect(), page["has_more"].as_bool().unwrap())
    }

    #[test]
    fn pages_go_on_behind_an_item() {
        assert_eq!(page(""), (vec![4, 3, 2, 1, 0], false));
        assert_eq!(page("order=asc&limit=2"), (vec![0, 1], true));
        assert_eq!(page("order=asc&limit=2&after=i2"), (vec![3, 4], false));
        assert!(Query::parse("after=x").unwrap().page(Vec::new()).is_err());
        assert!(Query::parse("order=up").is_err() && Query::parse("limit=0").is_err());
    }
}
