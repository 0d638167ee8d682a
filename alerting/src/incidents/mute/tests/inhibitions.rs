//! Causes and their symptoms.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime::config::InhibitionConfig;
use schemas::alert::{AlertEvent, AlertKind};

use crate::fixture::{self, NOON, firing, resolved};
use crate::incidents::{Book, Inhibition, Policy};

const AUTH: AlertKind = AlertKind::ProviderAuth;
const BREAKER: AlertKind = AlertKind::BreakerOpen;

fn rule(source: &str, target: &str, within: Option<Duration>) -> Inhibition {
    let (source, target) = (vec![source.to_owned()], vec![target.to_owned()]);
    let config = InhibitionConfig { source, target, equal: vec!["provider".to_owned()], within };
    Inhibition::new(&config).unwrap()
}

struct Cases {
    book: Book,
    sequence: u64,
}

impl Cases {
    fn new(rules: impl IntoIterator<Item = Inhibition>) -> Self {
        let policy = Policy { group_interval: Duration::from_secs(15), ..fixture::policy() };
        let mut book = Book::new(policy, BTreeMap::new());
        book.inhibitions.extend(rules);
        Self { book, sequence: 0 }
    }

    fn fold(&mut self, event: &AlertEvent) {
        self.sequence += 1;
        self.book.fold(self.sequence, event, NOON);
    }

    /// Which alerts are kept quiet at this second.
    fn quiet(&mut self, second: u64) -> Vec<(AlertKind, &str)> {
        self.book.review(NOON.after(Duration::from_secs(second)));
        let inhibited = self.book.inhibited.keys().map(|key| &self.book.incidents[key]);
        let mut quiet: Vec<_> =
            inhibited.map(|incident| (incident.kind, incident.labels["provider"].as_str())).collect();
        quiet.sort_unstable();
        quiet
    }
}

#[test]
fn a_cause_keeps_its_own_symptoms_quiet_while_it_fires() {
    let mut cases = Cases::new([rule("kind=provider_auth", "kind=breaker_open", None)]);
    cases.fold(&firing(BREAKER, "a"));
    cases.fold(&firing(BREAKER, "b"));
    assert_eq!(cases.quiet(0), []);
    cases.fold(&firing(AUTH, "a"));
    assert_eq!(cases.quiet(1), [(BREAKER, "a")]);
    cases.fold(&resolved(AUTH, "a"));
    assert_eq!(cases.quiet(2), []);
}

#[test]
fn a_symptom_that_outlives_its_cause_is_told_a_little_later() {
    let mut cases = Cases::new([rule("kind=provider_auth", "kind=breaker_open", None)]);
    cases.fold(&firing(AUTH, "a"));
    cases.quiet(0);
    cases.fold(&firing(BREAKER, "a"));
    cases.quiet(1);
    cases.fold(&resolved(AUTH, "a"));
    cases.quiet(2);
    let key = firing(BREAKER, "a").fingerprint();
    let episode = cases.book.incidents[&key].live().unwrap().clone();
    assert!(!cases.book.is_muted(&key));
    assert_eq!(episode.not_before, NOON.after(Duration::from_secs(17)));
    assert_eq!(episode.untold_since, Some(NOON.after(Duration::from_secs(2))));
    // Over before that, it was a symptom and no more.
    cases.fold(&resolved(BREAKER, "a"));
    assert!(cases.book.incidents[&key].live().unwrap().is_told());
}

#[test]
fn a_cause_that_nobody_resolves_counts_for_a_while() {
    let within = Some(Duration::from_secs(600));
    let mut cases = Cases::new([rule("kind=provider_auth", "kind=breaker_open", within)]);
    cases.fold(&firing(AUTH, "a"));
    cases.fold(&firing(BREAKER, "a"));
    assert_eq!(cases.quiet(599), [(BREAKER, "a")]);
    assert_eq!(cases.quiet(600), []);
}

#[test]
fn no_circle_keeps_all_of_itself_quiet() {
    let circle = [("provider_auth", "breaker_open"), ("breaker_open", "latency"), ("latency", "provider_auth")];
    let rules = circle.map(|(cause, symptom)| rule(&format!("kind={cause}"), &format!("kind={symptom}"), None));
    let mut cases = Cases::new(rules);
    for kind in [AUTH, BREAKER, AlertKind::Latency] {
        cases.fold(&firing(kind, "a"));
    }
    assert_eq!(cases.quiet(0), [(BREAKER, "a"), (AUTH, "a")]);
    let mut own = Cases::new([rule("kind=~breaker_open|latency", "kind=~latency|breaker_open", None)]);
    own.fold(&firing(BREAKER, "a"));
    own.fold(&firing(AlertKind::Latency, "a"));
    assert_eq!(own.quiet(0), []);
}

#[test]
fn the_embedded_rules_can_be_read() {
    let config = runtime::config::load(None, &BTreeMap::new()).unwrap();
    assert!(config.alerts.inhibitions.len() > 3);
    for inhibition in &config.alerts.inhibitions {
        Inhibition::new(inhibition).unwrap();
    }
}
