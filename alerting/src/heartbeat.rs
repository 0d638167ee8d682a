//! A dead man's signal: a call to a URL as long as we lead by the key that all replicas see, evaluate the rules and get our
//! news out. Its silence is the alert that we cannot raise ourselves.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv::Store;
use broker::Broker;
use reqwest::{Client, Method, Url};
use runtime::clock;
use runtime::config::{Config, HeartbeatConfig};
use secrecy::ExposeSecret;
use tokio::time::MissedTickBehavior;

use crate::error::AlertingError;
use crate::http;
use crate::leader;
use crate::metrics::AlertMetrics;
use crate::rules::Pulse;

/// The rules have not been evaluated for so many intervals: something is wrong.
const MISSED: u32 = 4;

/// Where the signal goes. Without `Debug`: the address may be a secret.
pub(crate) struct Heartbeat {
    config: HeartbeatConfig,
    url: Url,
    method: Method,
    client: Client,
    pulse: Arc<Pulse>,
    /// How long the rules may be silent.
    silence: Duration,
    /// How long news may wait.
    stuck: Duration,
    metrics: AlertMetrics,
}

/// Whether the signal is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Condition {
    /// It is.
    Well,
    /// Another leads, or nobody can tell.
    NotLeading,
    /// The rules are not evaluated.
    RulesSilent,
    /// News does not get out.
    OutboxStuck,
}

impl Heartbeat {
    /// The configured one, if there is one. `pulse` tells of the rules.
    pub(crate) fn new(
        config: &Config,
        pulse: Arc<Pulse>,
        metrics: AlertMetrics,
    ) -> Result<Option<Self>, AlertingError> {
        let (heartbeat, alerts) = (&config.heartbeat, &config.alerts);
        if heartbeat.url.expose_secret().is_empty() {
            return Ok(None);
        }
        let url = Url::parse(heartbeat.url.expose_secret()).map_err(AlertingError::HeartbeatUrl)?;
        Ok(Some(Self {
            url,
            method: if heartbeat.method == "POST" { Method::POST } else { Method::GET },
            client: http::client(heartbeat.timeout, heartbeat.timeout)?,
            config: heartbeat.clone(),
            pulse,
            // One evaluation may take a while when a part of what it looks at does not answer.
            silence: alerts.interval.saturating_mul(MISSED).max(Duration::from_secs(30)),
            stuck: alerts.rules.outbox_stuck.threshold.0,
            metrics,
        }))
    }

    /// Calls every interval while all is well, until dropped. The first call is one interval from now: the rules of a new
    /// leader have to be evaluated first.
    pub(crate) async fn run(&self, broker: &Broker, bucket: &Store) {
        let mut tick = tokio::time::interval(self.config.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        loop {
            tick.tick().await;
            let leads = leader::is_held_by(bucket, broker.instance(), broker.now()).await;
            let word = match self.condition(leads) {
                Condition::Well if self.call().await => "sent",
                Condition::Well => "failed",
                withheld => withheld.into(),
            };
            self.metrics.heartbeats.with_label_values(&[word]).inc();
            if word != "sent" {
                tracing::warn!(outcome = word, "heartbeat not sent");
            }
        }
    }

    fn condition(&self, leads: bool) -> Condition {
        let waiting = Duration::from_secs(self.metrics.oldest_unsent_seconds.get().try_into().unwrap_or_default());
        if !leads {
            Condition::NotLeading
        } else if clock::now().since(self.pulse.last()) > self.silence {
            Condition::RulesSilent
        } else if waiting > self.stuck {
            Condition::OutboxStuck
        } else {
            Condition::Well
        }
    }

    async fn call(&self) -> bool {
        let answer = self.client.request(self.method.clone(), self.url.clone()).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prometheus::Registry;
    use runtime::config::Source;

    use super::*;

    #[tokio::test]
    async fn it_is_withheld_for_each_thing_that_is_wrong() {
        let mut config = Source::new(None, BTreeMap::new()).load().unwrap();
        let metrics = AlertMetrics::register(&Registry::new()).unwrap();
        let pulse = Arc::new(Pulse::default());
        assert!(Heartbeat::new(&config, pulse.clone(), metrics.clone()).unwrap().is_none());
        config.heartbeat.url = "http://127.0.0.1:1/beat".to_owned().into();
        let heartbeat = Heartbeat::new(&config, pulse.clone(), metrics.clone()).unwrap().unwrap();
        assert_eq!(heartbeat.condition(false), Condition::NotLeading);
        assert_eq!(heartbeat.condition(true), Condition::RulesSilent);
        pulse.beat(clock::now());
        assert_eq!(heartbeat.condition(true), Condition::Well);
        metrics.oldest_unsent_seconds.set(301);
        assert_eq!(heartbeat.condition(true), Condition::OutboxStuck);
        assert!(!heartbeat.call().await, "nobody listens there");
    }
}
