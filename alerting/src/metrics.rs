//! What alerting counts of itself.

use prometheus::{
    Error, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use runtime::metrics::registered;

/// The series of this role.
#[derive(Debug, Clone)]
pub(crate) struct AlertMetrics {
    /// Events taken in, by kind, severity and what became of them.
    pub(crate) events: IntCounterVec,
    /// Calls to the Bot API (or the log), by operation and outcome.
    pub(crate) calls: IntCounterVec,
    /// How long they took.
    pub(crate) call_seconds: HistogramVec,
    /// Calls that Telegram answered with 429.
    pub(crate) throttled: IntCounter,
    /// Alerts told by a digest rather than by a message of their own.
    pub(crate) digested: IntCounter,
    /// Chats given up for a while since they refused us.
    pub(crate) chats_refused: IntCounter,
    /// Groups followed to where they moved.
    pub(crate) chats_moved: IntCounter,
    /// Firing alerts by severity.
    pub(crate) open: IntGaugeVec,
    /// Firing alerts that are not told, by reason.
    pub(crate) muted: IntGaugeVec,
    /// Alerts kept, firing or not yet forgotten.
    pub(crate) incidents: IntGauge,
    /// How long the oldest news has been waiting to be told.
    pub(crate) oldest_unsent_seconds: IntGauge,
    /// For how long no call may be made.
    pub(crate) hold_seconds: IntGauge,
    /// Messages that may stand twice in a chat, over all leaders so far.
    pub(crate) possible_duplicates: IntGauge,
    /// What operators did, by operation and outcome.
    pub(crate) operations: IntCounterVec,
    /// 1 while this replica leads.
    pub(crate) leader: IntGauge,
    /// Writes of incidents by outcome.
    pub(crate) writes: IntCounterVec,
    /// Evaluations of a rule by its result.
    pub(crate) evaluations: IntCounterVec,
    /// Events raised by rules, by kind and state.
    pub(crate) raised: IntCounterVec,
    /// Processes heard lately, ourselves among them, a role each.
    pub(crate) processes: IntGauge,
    /// Times that the rules were read again, by outcome.
    pub(crate) reloads: IntCounterVec,
    /// Posts to the webhook by outcome.
    pub(crate) webhook_posts: IntCounterVec,
    /// For how long the oldest event has been waiting for the webhook.
    pub(crate) webhook_oldest_seconds: IntGauge,
    /// Heartbeats by outcome.
    pub(crate) heartbeats: IntCounterVec,
}

impl AlertMetrics {
    /// Registers every series, once a process.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntCounterVec::new(Opts::new(format!("portbroker_alerts_{name}"), help), labels)?)
        };
        let counter =
            |name: &str, help: &str| registered(registry, IntCounter::new(format!("portbroker_alerts_{name}"), help)?);
        let gauge =
            |name: &str, help: &str| registered(registry, IntGauge::new(format!("portbroker_alerts_{name}"), help)?);
        let open = Opts::new("portbroker_alerts_open", "Firing alerts by severity");
        let muted = Opts::new("portbroker_alerts_muted", "Firing alerts that are not told, by reason");
        let seconds = HistogramOpts::new("portbroker_alerts_call_duration_seconds", "How long a call to Telegram took");
        Ok(Self {
            events: counters("events_total", "Alert events taken in", &["kind", "severity", "outcome"])?,
            calls: counters("messages_total", "Calls to Telegram", &["operation", "outcome"])?,
            call_seconds: registered(registry, HistogramVec::new(seconds, &["operation"])?)?,
            throttled: counter("throttled_total", "Calls that Telegram answered with 429")?,
            digested: counter("digested_total", "Alerts told by a digest")?,
            chats_refused: counter("chats_refused_total", "Chats given up for a while since they refused us")?,
            chats_moved: counter("chats_moved_total", "Groups followed to where they moved")?,
            open: registered(registry, IntGaugeVec::new(open, &["severity"])?)?,
            muted: registered(registry, IntGaugeVec::new(muted, &["reason"])?)?,
            incidents: gauge("incidents", "Alerts kept, firing or not yet forgotten")?,
            oldest_unsent_seconds: gauge(
                "oldest_unsent_seconds",
                "How long the oldest news has been waiting to be told",
            )?,
            hold_seconds: gauge("hold_seconds", "For how long no call to Telegram may be made")?,
            possible_duplicates: gauge(
                "possible_duplicates",
                "Messages that may stand twice in a chat, since nobody learnt whether they were sent at first",
            )?,
            operations: counters("operations_total", "What operators did", &["operation", "outcome"])?,
            leader: gauge("leader", "1 while this replica evaluates rules and sends")?,
            writes: counters("writes_total", "Writes of kept alerts", &["outcome"])?,
            evaluations: counters("rule_evaluations_total", "Evaluations of a rule", &["kind", "result"])?,
            raised: counters("raised_total", "Events raised by rules", &["kind", "state"])?,
            processes: gauge("processes", "Processes heard lately, by whoever evaluates the rules")?,
            reloads: counters("rule_reloads_total", "Times that the rules were read again", &["outcome"])?,
            webhook_posts: counters("webhook_posts_total", "Posts to the webhook", &["outcome"])?,
            webhook_oldest_seconds: gauge(
                "webhook_oldest_seconds",
                "How long the oldest event has been waiting for the webhook",
            )?,
            heartbeats: counters("heartbeats_total", "Heartbeats due, by outcome", &["outcome"])?,
        })
    }
}
