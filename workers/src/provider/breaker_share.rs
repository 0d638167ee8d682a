//! Breakers for the whole fleet: opening, claiming the probe and closing are compare-and-set writes to the KV bucket
//! BREAKERS, so that all workers open together and send one probe. Each process counts its own failures. With the
//! broker away, or without one, it works alone.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::kv::{Entry, Operation, Store, UpdateErrorKind};
use futures::StreamExt;
use runtime::config::BreakerConfig;
use schemas::breaker::{self, BreakerPhase, BreakerRecord};
use schemas::envelope;
use schemas::timestamp::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::breaker::{Admission, Breaker, Ticket, Verdict};
use super::label::Labels;
use super::metrics::ProviderMetrics;
use super::transition::Transition;

/// Breakers that are not closed, or count failures, at most: clients choose model names where a provider serves `*`.
const MOST_TRACKED: usize = 4096;
/// Pause before the watch is opened again.
const WATCH_AGAIN: Duration = Duration::from_secs(1);

/// All breakers of one worker.
#[derive(Debug)]
pub struct BreakerShare {
    config: BreakerConfig,
    store: Option<Store>,
    timeout: Duration,
    known: Mutex<HashMap<String, Known>>,
    transitions: mpsc::Sender<Transition>,
    labels: Labels,
    metrics: ProviderMetrics,
}

/// One breaker, and the revision of its record; 0 while there is none.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    breaker: Breaker,
    revision: u64,
}

/// What became of a change.
enum Written {
    Stored(u64),
    Refused,
    Unreachable,
}

impl BreakerShare {
    /// Breakers that live in `store`, or in this process alone. A write may take `timeout`. Every change that this
    /// process makes goes to `transitions`.
    #[must_use]
    pub fn new(
        config: BreakerConfig,
        store: Option<Store>,
        timeout: Duration,
        transitions: mpsc::Sender<Transition>,
        metrics: ProviderMetrics,
    ) -> Self {
        Self { config, store, timeout, known: Mutex::default(), transitions, labels: Labels::default(), metrics }
    }

    /// The same with these labels. Of several models with one label, the series shows the one that changed last.
    #[must_use]
    pub(super) fn labelled(self, labels: Labels) -> Self {
        Self { labels, ..self }
    }

    /// When calls may pass again, if they may not at `now`. Asks nobody.
    #[must_use]
    pub fn shut_until(&self, provider: &str, model: &str, now: Timestamp) -> Option<Timestamp> {
        let known = self.lock().get(&breaker::key(provider, model)).copied()?;
        match known.breaker.admit(now, 0, &self.config) {
            Admission::Refuse { until } => Some(until),
            Admission::Pass | Admission::Probe { .. } => None,
        }
    }

    /// Admits one call. `probe` is random.
    ///
    /// # Errors
    /// When to ask again.
    pub async fn admit(&self, provider: &str, model: &str, now: Timestamp, probe: u64) -> Result<Ticket, Timestamp> {
        let key = breaker::key(provider, model);
        let known = self.lock().get(&key).copied().unwrap_or_default();
        match known.breaker.admit(now, probe, &self.config) {
            Admission::Pass => Ok(Ticket::Ordinary),
            Admission::Refuse { until } => Err(until),
            Admission::Probe { claim } if self.change(&key, provider, model, known, claim).await => {
                Ok(Ticket::Probe(probe))
            }
            // Another process has the probe: its time is the one to wait for.
            Admission::Probe { .. } => {
                Err(self.shut_until(provider, model, now).unwrap_or_else(|| now.after(self.config.probe_timeout)))
            }
        }
    }

    /// Takes the outcome of an admitted call in.
    pub async fn judge(&self, provider: &str, model: &str, ticket: Ticket, verdict: Verdict, now: Timestamp) {
        let key = breaker::key(provider, model);
        let wanted = {
            let mut all = self.lock();
            if !all.contains_key(&key) && (verdict != Verdict::Sick || !self.make_room(&mut all, now)) {
                return;
            }
            let known = all.entry(key.clone()).or_default();
            let next = known.breaker.judge(ticket, verdict, now, &self.config).map(|phase| (*known, phase));
            if known.revision == 0 && known.breaker.is_idle() {
                all.remove(&key);
            }
            next
        };
        if let Some((known, phase)) = wanted {
            self.change(&key, provider, model, known, phase).await;
        }
    }

    /// Follows what other processes write, until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let Some(store) = &self.store else {
            return;
        };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.follow(store) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(WATCH_AGAIN) => {}
            }
        }
    }

    /// Takes every record in, then every change, until the watch breaks.
    async fn follow(&self, store: &Store) {
        let mut entries = match store.watch_with_history(">").await {
            Ok(entries) => entries,
            Err(error) => return tracing::debug!(error = &error as &dyn std::error::Error, "breakers are not watched"),
        };
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(entry) => self.heard(&entry),
                Err(error) => {
                    return tracing::debug!(error = &error as &dyn std::error::Error, "the watch of breakers broke");
                }
            }
        }
    }

    fn heard(&self, entry: &Entry) {
        let newer = self.lock().get(&entry.key).is_none_or(|known| entry.revision > known.revision);
        if newer {
            self.adopt(entry);
        }
    }

    /// Makes `phase` that of the fleet, unless another process changed it from what `seen` says. True when it was us.
    async fn change(&self, key: &str, provider: &str, model: &str, seen: Known, phase: BreakerPhase) -> bool {
        let mut revision = seen.revision;
        let record = BreakerRecord { provider: provider.to_owned(), model: model.to_owned(), state: phase };
        // Once more when the record was only unknown to us, and says what we thought.
        for _ in 0..2 {
            match self.write(key, &record, revision).await {
                Written::Stored(revision) => {
                    self.enter_own(key, &record, revision);
                    self.tell(record, true);
                    return true;
                }
                Written::Unreachable => return self.change_alone(key, seen, record),
                Written::Refused => match self.read(key).await {
                    Some(known) if known.breaker.phase() == seen.breaker.phase() => revision = known.revision,
                    _ => break,
                },
            }
        }
        self.metrics.breaker_conflicts.inc();
        false
    }

    /// The same in this process alone; the check and the change are one step, so that it sends one probe.
    fn change_alone(&self, key: &str, seen: Known, record: BreakerRecord) -> bool {
        {
            let mut all = self.lock();
            let known = all.entry(key.to_owned()).or_default();
            if known.breaker.phase() != seen.breaker.phase() {
                return false;
            }
            known.breaker.enter(record.state);
        }
        self.show(&record);
        self.tell(record, self.store.is_none());
        true
    }

    async fn write(&self, key: &str, record: &BreakerRecord, revision: u64) -> Written {
        let (Some(store), Ok(value)) = (&self.store, envelope::encode(record)) else {
            return Written::Unreachable;
        };
        match tokio::time::timeout(self.timeout, store.update(key, value, revision)).await {
            Ok(Ok(revision)) => Written::Stored(revision),
            Ok(Err(error)) if error.kind() == UpdateErrorKind::WrongLastRevision => Written::Refused,
            Ok(Err(_)) | Err(_) => {
                self.metrics.breaker_local.inc();
                Written::Unreachable
            }
        }
    }

    /// Takes in what the bucket says now.
    async fn read(&self, key: &str) -> Option<Known> {
        let store = self.store.as_ref()?;
        let entry = tokio::time::timeout(self.timeout, store.entry(key)).await.ok()?.ok()?;
        if let Some(entry) = &entry {
            self.adopt(entry);
        }
        let mut all = self.lock();
        let known = all.get_mut(key)?;
        if entry.is_none() {
            // The bucket forgot it with age, and tells nobody: what we know of it stands, and is written anew.
            known.revision = 0;
        }
        Some(*known)
    }

    fn adopt(&self, entry: &Entry) {
        if entry.operation != Operation::Put {
            self.lock().remove(&entry.key);
            return;
        }
        match envelope::decode::<BreakerRecord>(&entry.value) {
            Ok(record) => self.enter(&entry.key, &record, entry.revision),
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "a breaker's record is unreadable"),
        }
    }

    /// The watch may have told of our own write already, or of one after it.
    fn enter_own(&self, key: &str, record: &BreakerRecord, revision: u64) {
        if self.lock().get(key).is_none_or(|known| known.revision < revision) {
            self.enter(key, record, revision);
        }
    }

    fn enter(&self, key: &str, record: &BreakerRecord, revision: u64) {
        {
            let mut all = self.lock();
            if all.len() >= MOST_TRACKED && !all.contains_key(key) {
                all.retain(|_, known| known.breaker.phase() != BreakerPhase::Closed);
            }
            // The rest is nobody's fault but a client's that makes names up: the bucket knows them.
            if all.len() < MOST_TRACKED || all.contains_key(key) {
                let known = all.entry(key.to_owned()).or_default();
                known.breaker.enter(record.state);
                known.revision = revision;
            }
        }
        self.show(record);
    }

    /// When too many are known, those that hold nothing back are forgotten; the bucket still knows what was shared.
    fn make_room(&self, all: &mut HashMap<String, Known>, now: Timestamp) -> bool {
        if all.len() >= MOST_TRACKED {
            all.retain(|_, known| matches!(known.breaker.admit(now, 0, &self.config), Admission::Refuse { .. }));
        }
        all.len() < MOST_TRACKED
    }

    fn show(&self, record: &BreakerRecord) {
        let labels = [record.provider.as_str(), self.labels.model(&record.provider, &record.model)];
        self.metrics.circuit_breaker.with_label_values(&labels).set(record.state.gauge());
    }

    fn tell(&self, record: BreakerRecord, shared: bool) {
        let BreakerRecord { provider, model, state } = record;
        let labels = [provider.as_str(), self.labels.model(&provider, &model), state.word()];
        self.metrics.breaker_transitions.with_label_values(&labels).inc();
        tracing::info!(provider, model, state = state.word(), shared, "breaker changed");
        if self.transitions.try_send(Transition { provider, model, phase: state, shared }).is_err() {
            tracing::warn!("nobody takes breaker changes: an alert is lost");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use runtime::metrics::Metrics;
    use schemas::catalog_file;

    use super::*;

    fn share(metrics: &Metrics) -> BreakerShare {
        let config =
            BreakerConfig { failures: 3, open_for: Duration::from_secs(60), probe_timeout: Duration::from_secs(30) };
        let series = ProviderMetrics::register(&metrics.registry, &metrics.chat).unwrap();
        let (transitions, _) = mpsc::channel(1);
        BreakerShare::new(config, None, Duration::from_secs(1), transitions, series)
    }

    fn hear(share: &BreakerShare, model: &str, state: BreakerPhase) {
        let record = BreakerRecord { provider: "p".to_owned(), model: model.to_owned(), state };
        share.enter(&breaker::key("p", model), &record, 1);
    }

    #[test]
    fn names_that_others_write_are_kept_within_bounds() {
        let metrics = Metrics::new().unwrap();
        let share = share(&metrics);
        let open = BreakerPhase::Open { until: Timestamp::from_millis(60_000) };
        hear(&share, "known", open);
        for number in 0..2 * MOST_TRACKED {
            hear(&share, &format!("closed-{number}"), BreakerPhase::Closed);
        }
        assert!(share.lock().len() <= MOST_TRACKED);
        assert!(share.shut_until("p", "known", Timestamp::from_millis(0)).is_some(), "what is open stays open");
        for number in 0..2 * MOST_TRACKED {
            hear(&share, &format!("open-{number}"), open);
        }
        assert!(share.lock().len() <= MOST_TRACKED);
    }

    #[test]
    fn no_series_carries_a_name_that_a_client_made_up() {
        let metrics = Metrics::new().unwrap();
        let file = r#"provider = [{ name = "p", dialect = "echo", model = [{ name = "gpt*" }] }]"#;
        let share = share(&metrics).labelled(Labels::of(&catalog_file::parse(file, |_| None).unwrap()));
        for number in 0..100 {
            let model = format!("gpt-made-up-{number}");
            hear(&share, &model, BreakerPhase::Closed);
            let record = BreakerRecord { provider: "p".to_owned(), model, state: BreakerPhase::Closed };
            share.tell(record, true);
        }
        let text = prometheus::TextEncoder::new().encode_to_string(&metrics.registry.gather()).unwrap();
        assert!(!text.contains("made-up") && text.contains(r#"model="gpt*""#), "{text}");
    }
}
