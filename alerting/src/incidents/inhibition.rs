//! Inhibition: while a cause fires, its symptoms are counted and not told. Nothing of it is kept: it follows from what
//! fires. Rules are looked at in order, and what an earlier one inhibits causes nothing, so that no circle of causes
//! keeps all of itself quiet. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime::config::InhibitionConfig;
use schemas::matcher::{Matcher, MatcherError, all_match};
use schemas::timestamp::Timestamp;

use super::incident::Incident;

/// While an alert that matches `source` fires, those that match `target` are not told.
#[derive(Debug, Clone)]
pub(crate) struct Inhibition {
    source: Vec<Matcher>,
    target: Vec<Matcher>,
    equal: Vec<String>,
    within: Option<Duration>,
}

impl Inhibition {
    /// As configured.
    pub(crate) fn new(config: &InhibitionConfig) -> Result<Self, MatcherError> {
        let (source, target) = config.matchers()?;
        Ok(Self { source, target, equal: config.equal.clone(), within: config.within })
    }

    /// Whether it is a cause now. What is a symptom by the same rule is none: it would keep itself quiet.
    fn is_cause(&self, key: &str, incident: &Incident, now: Timestamp) -> bool {
        let facts = incident.facts(key);
        let heard_of = self.within.is_none_or(|within| now.since(incident.touched) < within);
        incident.is_firing() && heard_of && all_match(&self.source, &facts) && !all_match(&self.target, &facts)
    }

    /// What a cause and its symptom have alike.
    fn alike<'a>(&self, incident: &'a Incident) -> Vec<&'a str> {
        let value = |label: &String| incident.labels.get(label).map_or("", String::as_str);
        self.equal.iter().map(value).collect()
    }
}

/// What is kept quiet now, and the cause of each.
pub(super) fn inhibited(
    rules: &[Inhibition],
    incidents: &BTreeMap<String, Incident>,
    now: Timestamp,
) -> BTreeMap<String, String> {
    let mut inhibited = BTreeMap::new();
    for rule in rules {
        let free = incidents.iter().filter(|(key, _)| !inhibited.contains_key(*key));
        let causes = free.filter(|(key, incident)| rule.is_cause(key, incident, now));
        let causes: BTreeMap<_, _> = causes.map(|(key, incident)| (rule.alike(incident), key)).collect();
        if causes.is_empty() {
            continue;
        }
        for (key, incident) in incidents {
            if let Some(cause) = causes.get(&rule.alike(incident))
                && all_match(&rule.target, &incident.facts(key))
            {
                inhibited.entry(key.clone()).or_insert_with(|| (*cause).clone());
            }
        }
    }
    inhibited
}
