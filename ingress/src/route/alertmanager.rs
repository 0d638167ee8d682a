//! `POST /v1/alerts/alertmanager`: Alertmanager's webhook, version 4. Each of its alerts becomes an event of kind
//! `external`, so that Prometheus' alerts reach the incidents that our own reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use broker::{Broker, BrokerError};
use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use schemas::error::ErrorCode;
use schemas::timestamp::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::app::App;
use crate::body::JsonBody;
use crate::error::ApiError;

/// The version of the payload.
const VERSION: &str = "4";
/// Most alerts of one call. Alertmanager sends no more than `max_alerts` when told so.
const MOST_ALERTS: usize = 10_000;
/// Most labels of one alert; further ones are left out, by name.
const MOST_LABELS: usize = 64;
/// Most characters of a label's name or value, and of a summary; longer ones are cut.
const LONGEST_LABEL: usize = 256;
const LONGEST_SUMMARY: usize = 4000;
/// Events on their way to the broker at once.
const PARALLEL: usize = 64;
/// Which annotation says best what is wrong.
const SUMMARIES: [&str; 3] = ["summary", "description", "message"];

/// What Alertmanager sends, as far as we look at it.
#[derive(Debug, Deserialize)]
struct Payload {
    version: String,
    #[serde(default)]
    receiver: String,
    #[serde(default, rename = "truncatedAlerts")]
    truncated: u64,
    alerts: Vec<Alert>,
}

#[derive(Debug, Deserialize)]
struct Alert {
    status: AlertState,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    /// Year 1 while it fires.
    #[serde(default, rename = "endsAt")]
    ends_at: String,
}

/// Takes all of it in, or asks for all of it again: it answers once every event is durable.
pub(crate) async fn receive(
    State(app): State<Arc<App>>,
    body: JsonBody,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let JsonBody { object, hold: _hold, .. } = body;
    let payload = read(object)?;
    let (now, source) = (app.broker.now(), app.broker.instance());
    let receiver = payload.receiver.as_str();
    if payload.truncated > 0 {
        tracing::warn!(receiver, alerts = payload.truncated, "alertmanager left alerts out: raise its max_alerts");
    }
    let events: Vec<AlertEvent> = payload.alerts.into_iter().map(|alert| event(alert, now, source)).collect();
    let count = events.len();
    let told = timeout(app.config.ingress.body_timeout, publish(app.broker.clone(), events)).await;
    told.map_err(|_| ApiError::unavailable("the broker does not answer; try again"))??;
    tracing::info!(receiver, alerts = count, "alerts taken in from alertmanager");
    Ok((StatusCode::ACCEPTED, Json(json!({"object": "alerts", "kind": "external", "accepted": count}))))
}

async fn publish(broker: Broker, events: Vec<AlertEvent>) -> Result<(), BrokerError> {
    let published = stream::iter(events).map(|event| {
        let broker = broker.clone();
        async move { broker.alert(&event).await }
    });
    published.buffered(PARALLEL).try_collect().await
}

fn read(object: Map<String, Value>) -> Result<Payload, ApiError> {
    let invalid = |message: String| ApiError::new(ErrorCode::InvalidRequest, message);
    let payload: Payload = serde_json::from_value(Value::Object(object))
        .map_err(|error| invalid(format!("this is no webhook of Alertmanager: {error}")))?;
    if payload.version != VERSION {
        return Err(invalid(format!("version must be \"{VERSION}\", as Alertmanager's webhook has it")));
    }
    if payload.alerts.len() > MOST_ALERTS {
        let message = format!("more than {MOST_ALERTS} alerts: set max_alerts of Alertmanager's webhook");
        return Err(ApiError::new(ErrorCode::PayloadTooLarge, message));
    }
    Ok(payload)
}

fn event(alert: Alert, now: Timestamp, source: &str) -> AlertEvent {
    let Alert { status, labels, annotations, ends_at } = alert;
    let summary = SUMMARIES.iter().find_map(|name| annotations.get(*name)).or_else(|| labels.get("alertname"));
    let summary = cut(summary.map_or("an alert without a name", String::as_str), LONGEST_SUMMARY);
    let severity = severity(labels.get("severity").map_or("", String::as_str));
    let ended = (status == AlertState::Resolved).then(|| Timestamp::parse(&ends_at).ok()).flatten();
    // It cannot have ended later than now, nor in year 1.
    let at = ended.filter(|at| *at <= now && at.as_millis() > 0).unwrap_or(now);
    let labels = labels.into_iter().take(MOST_LABELS);
    AlertEvent {
        kind: AlertKind::External,
        severity,
        state: status,
        labels: labels.map(|(name, value)| (cut(&name, LONGEST_LABEL), cut(&value, LONGEST_LABEL))).collect(),
        summary,
        value: None,
        threshold: None,
        at,
        source: source.to_owned(),
    }
}

/// What people write into `severity`; one that is not known, or none, is a warning.
fn severity(word: &str) -> Severity {
    match word.to_ascii_lowercase().as_str() {
        "critical" | "page" | "emergency" | "fatal" | "error" => Severity::Critical,
        "info" | "information" | "informational" | "none" | "debug" => Severity::Info,
        _ => Severity::Warning,
    }
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_769_860_800_000);

    /// As Alertmanager 0.27 sends it.
    const SENT: &str = r#"{
        "receiver": "portbroker", "status": "firing", "version": "4", "truncatedAlerts": 0,
        "groupKey": "{}:{alertname=\"HighLoad\"}", "externalURL": "http://am:9093",
        "groupLabels": {"alertname": "HighLoad"}, "commonLabels": {"alertname": "HighLoad"}, "commonAnnotations": {},
        "alerts": [
            {"status": "firing", "labels": {"alertname": "HighLoad", "instance": "a:9100", "severity": "critical"},
             "annotations": {"description": "long", "summary": "load is high"}, "fingerprint": "c1",
             "startsAt": "2026-01-31T11:00:00.123456789Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://p"},
            {"status": "resolved", "labels": {"alertname": "HighLoad", "instance": "b:9100"},
             "annotations": {}, "startsAt": "2026-01-31T11:00:00Z", "endsAt": "2026-01-31T11:59:00.5Z"}
        ]}"#;

    fn object(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    fn events(text: &str) -> Vec<AlertEvent> {
        read(object(text)).unwrap().alerts.into_iter().map(|alert| event(alert, NOW, "i")).collect()
    }

    fn refused(text: &str) -> u16 {
        read(object(text)).unwrap_err().into_response().status().as_u16()
    }

    #[test]
    fn each_alert_is_an_event_with_its_labels() {
        let [one, other] = &events(SENT)[..] else { panic!() };
        assert_eq!((one.kind, one.state, one.severity), (AlertKind::External, AlertState::Firing, Severity::Critical));
        assert_eq!((one.summary.as_str(), one.at, one.labels["instance"].as_str()), ("load is high", NOW, "a:9100"));
        assert_eq!((other.state, other.severity), (AlertState::Resolved, Severity::Warning));
        assert_eq!((other.summary.as_str(), other.at.to_string().as_str()), ("HighLoad", "2026-01-31T11:59:00.5Z"));
    }

    #[test]
    fn an_end_is_that_of_its_beginning() {
        let ended = SENT.replacen("firing\", \"labels", "resolved\", \"labels", 1);
        assert_eq!(events(SENT)[0].fingerprint(), events(&ended)[0].fingerprint());
        assert_eq!(events(&ended)[0].at, NOW, "year 1 is no end");
    }

    #[test]
    fn what_is_none_of_alertmanagers_is_refused() {
        assert_eq!(refused("{}"), 400);
        assert_eq!(refused(&SENT.replace(r#""version": "4""#, r#""version": "3""#)), 400);
        assert_eq!(refused(&SENT.replace("resolved", "unknown")), 400);
        let one = r#"{"status": "firing", "labels": {}},"#;
        let many = format!(r#"{{"version": "4", "alerts": [{}]}}"#, one.repeat(MOST_ALERTS + 1).trim_end_matches(','));
        assert_eq!(refused(&many), 413);
    }

    proptest! {
        /// Whatever stands in it, an event is bounded.
        #[test]
        fn no_text_is_too_long(name in ".{0,600}", value in ".{0,600}", summary in ".{0,5000}", ends in ".{0,30}") {
            let labels = (0..100).map(|number| (format!("{number}{name}"), value.clone())).collect();
            let annotations = BTreeMap::from([("summary".to_owned(), summary)]);
            let event = event(Alert { status: AlertState::Resolved, labels, annotations, ends_at: ends }, NOW, "i");
            prop_assert!(event.labels.len() <= MOST_LABELS && event.at <= NOW);
            prop_assert!(event.labels.iter().flat_map(|(name, value)| [name, value]).all(|text| text.chars().count() <= LONGEST_LABEL));
            prop_assert!(event.summary.chars().count() <= LONGEST_SUMMARY);
        }
    }
}
