//! What ingress stands on, looked at in parallel and kept for a while, and the alerts when one of them goes or comes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use broker::Broker;
use futures::FutureExt;
use futures::future::BoxFuture;
use prometheus::IntCounter;
use runtime::config::Config;
use runtime::health::{self, Finding, Health, Transition};
use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::disk;
use crate::error::chain;

mod providers;
mod redis;

/// Alerts that wait for the broker. Components flap rarely; more than this is noise.
const MOST_WAITING: usize = 64;
const AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(2);

/// Registers every component of ingress. Only the broker is required: without the others jobs still flow.
pub(crate) fn register(health: &Health, app: &Arc<App>) {
    let config = &app.config;
    health.register("nats", true, nats(app.broker.clone()));
    health.register("sql", false, sql(Arc::clone(app)));
    health.register("providers", false, providers::check(Arc::clone(app)));
    health.register("telegram", false, telegram(Arc::clone(app)));
    health.register("disk", false, health::disk(disk::folder(config), config.disk.min_free_bytes));
    health.register("memory", false, health::memory(config.alerts.rules.memory.threshold));
    if let Some(check) = redis::check(config) {
        health.register("redis", false, check);
    }
}

fn nats(broker: Broker) -> impl Fn() -> BoxFuture<'static, Finding> + Send + Sync {
    move || {
        let broker = broker.clone();
        async move {
            let elapsed = broker.ping().await.map_err(|error| {
                tracing::debug!(error = chain(&error), "broker check failed");
                "the broker does not answer".to_owned()
            })?;
            Ok(format!("JetStream answers in {} ms", elapsed.as_millis()))
        }
        .boxed()
    }
}

fn sql(app: Arc<App>) -> impl Fn() -> BoxFuture<'static, Finding> + Send + Sync {
    move || {
        let store = app.store.clone();
        // The error may name hosts and users: it goes to the logs only.
        async move {
            store.ping().await.map(|()| "answers".to_owned()).map_err(|error| {
                tracing::debug!(error = chain(&error), "history check failed");
                "the database does not answer".to_owned()
            })
        }
        .boxed()
    }
}

/// Telegram is alerting's to reach; here it counts as up when it is not configured or somebody does alerting.
fn telegram(app: Arc<App>) -> impl Fn() -> BoxFuture<'static, Finding> + Send + Sync {
    move || {
        let finding = telegram_finding(&app.config, app.queue.borrow().as_ref().map(|queue| queue.alerting));
        std::future::ready(finding).boxed()
    }
}

fn telegram_finding(config: &Config, alerting: Option<u64>) -> Finding {
    use secrecy::ExposeSecret;
    if config.telegram.token.expose_secret().is_empty() {
        return Ok("not configured".to_owned());
    }
    match alerting {
        None => Ok("not known yet".to_owned()),
        Some(0) => Err("no alerting process is alive; alerts wait in the broker".to_owned()),
        Some(_) => Ok("sent by alerting".to_owned()),
    }
}

/// Raises an alert for every component that goes down and resolves it when it is back. While the broker is away the
/// alerts wait, the oldest giving way.
pub(crate) async fn alert(
    broker: &Broker,
    mut transitions: Receiver<Transition>,
    dropped: &IntCounter,
    shutdown: &CancellationToken,
) {
    let mut waiting: VecDeque<AlertEvent> = VecDeque::new();
    loop {
        let publish = publish_first(broker, &waiting);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = publish => {
                waiting.pop_front();
            }
            heard = transitions.recv() => match heard {
                Ok(transition) => {
                    if waiting.len() >= MOST_WAITING {
                        waiting.pop_front();
                        dropped.inc();
                    }
                    waiting.push_back(event(&transition, broker.instance()));
                }
                Err(RecvError::Lagged(missed)) => dropped.inc_by(missed),
                Err(RecvError::Closed) => return,
            },
        }
    }
}

/// Returns once the first of them is durable; never when there is none.
async fn publish_first(broker: &Broker, waiting: &VecDeque<AlertEvent>) {
    let Some(event) = waiting.front() else { return std::future::pending().await };
    while let Err(error) = broker.alert(event).await {
        tracing::debug!(error = chain(&error), "alert not published yet");
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

fn event(transition: &Transition, source: &str) -> AlertEvent {
    let Transition { component, required, up, detail, at } = transition;
    let (state, summary) = if *up {
        (AlertState::Resolved, format!("{component} is back: {detail}"))
    } else {
        (AlertState::Firing, format!("{component} is down: {detail}"))
    };
    let kind = if *component == "disk" { AlertKind::Disk } else { AlertKind::ComponentDown };
    let grave = *required || kind == AlertKind::Disk;
    AlertEvent {
        kind,
        severity: if grave { Severity::Critical } else { Severity::Warning },
        state,
        labels: BTreeMap::from([("component".to_owned(), (*component).to_owned())]),
        summary,
        value: None,
        threshold: None,
        at: *at,
        source: source.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::timestamp::Timestamp;

    fn transition(component: &'static str, required: bool, up: bool) -> Transition {
        Transition { component, required, up, detail: "because".to_owned(), at: Timestamp::from_millis(1) }
    }

    #[test]
    fn an_end_resolves_its_beginning() {
        let (down, up) = (event(&transition("sql", false, false), "i"), event(&transition("sql", false, true), "i"));
        assert_eq!((down.state, up.state), (AlertState::Firing, AlertState::Resolved));
        assert_eq!(down.fingerprint(), up.fingerprint());
        assert_eq!((down.severity, down.summary.as_str()), (Severity::Warning, "sql is down: because"));
        assert_eq!(event(&transition("nats", true, false), "i").severity, Severity::Critical);
        assert_eq!(event(&transition("disk", false, false), "i").kind, AlertKind::Disk);
    }
}
