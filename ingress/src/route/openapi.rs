//! `GET /openapi.json`: this API in its own words.

use axum::response::IntoResponse;
use http::header;

/// OpenAPI 3.1. Tests hold it against the router and against what is really sent.
pub(crate) const DOCUMENT: &str = include_str!("../openapi.json");

/// The document.
pub(crate) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use schemas::error::{ErrorBody, ErrorCode, Failure};
    use schemas::id::JobId;
    use schemas::timestamp::Timestamp;
    use schemas::view::{JobView, Status};
    use serde_json::{Value, json};
    use strum::IntoEnumIterator;

    use super::*;
    use crate::router::{Access, ROUTES};
    use crate::testing;

    /// What `runtime::ops` serves.
    const OPS: [&str; 5] = ["/health", "/health/detailed", "/health/ready", "/health/live", "/health/metrics"];

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    fn required(schema: &str) -> BTreeSet<String> {
        let schema = document()["components"]["schemas"][schema]["required"].take();
        serde_json::from_value(schema).unwrap()
    }

    fn fields(value: &Value) -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn it_lists_exactly_the_routes_that_there_are() {
        let mut served: BTreeSet<(String, String)> = ROUTES
            .iter()
            .flat_map(|route| {
                let path = route.path.replace("{*", "{");
                route.methods.iter().map(move |method| (path.clone(), method.to_ascii_lowercase()))
            })
            .collect();
        let prefixed = OPS.iter().flat_map(|path| [(*path).to_owned(), format!("/api/v1{path}")]);
        let aliases = ["/healthz", "/metrics"].map(str::to_owned);
        served.extend(prefixed.chain(aliases).map(|path| (path, "get".to_owned())));
        let document = document();
        let paths = document["paths"].as_object().unwrap().iter();
        let listed: BTreeSet<(String, String)> = paths
            .flat_map(|(path, methods)| fields(methods).into_iter().map(move |method| (path.clone(), method)))
            .collect();
        assert_eq!(listed, served);
    }

    #[test]
    fn it_asks_for_keys_where_the_router_does() {
        let document = document();
        for route in ROUTES {
            let path = &document["paths"][route.path.replace("{*", "{")];
            for method in route.methods {
                let operation = &path[method.to_ascii_lowercase()];
                let open = operation["security"] == json!([]);
                assert_eq!(open, route.access == Access::Open, "{method} {}", route.path);
                assert_eq!(operation["responses"]["403"].is_object(), route.access == Access::Admin);
            }
        }
    }

    #[test]
    fn a_job_has_every_field_that_it_promises() {
        let job = testing::job(JobId::new(Timestamp::from_millis(0), 1));
        assert_eq!(fields(&serde_json::to_value(JobView::queued(&job, false)).unwrap()), required("Job"));
    }

    #[test]
    fn errors_and_their_words_are_complete() {
        let body = ErrorBody::new(&Failure::new(ErrorCode::Internal, "x"), "id");
        assert_eq!(fields(&serde_json::to_value(body).unwrap()), required("Error"));
        let words = |values: Vec<&'static str>| json!(values);
        let document = document();
        let schemas = &document["components"]["schemas"];
        let codes = ErrorCode::iter().map(Into::into).collect();
        assert_eq!(schemas["Error"]["properties"]["code"]["enum"], words(codes));
        let known = schemas["Status"]["enum"].as_array().unwrap();
        assert!(known.iter().all(|word| word.as_str().unwrap().parse::<Status>().is_ok()));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let names = fields(&document["components"]["schemas"]);
        let marker = "\"$ref\":\"#/components/schemas/";
        let text = document.to_string();
        let used: BTreeSet<String> =
            text.split(marker).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
        assert_eq!(used, names);
    }
}
