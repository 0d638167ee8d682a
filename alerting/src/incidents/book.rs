//! All that is known of alerts: every incident, and what keeps some of them quiet. What happens to it, and when, is in
//! the files beside this one. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::alert::Severity;
use schemas::timestamp::Timestamp;

use super::incident::{Incident, Standing};
use super::inhibition::Inhibition;
use super::silence::Silence;

/// How events are folded, and when what came of them is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// An alert heard of again after this much quiet is told anew.
    pub(crate) cooldown: Duration,
    /// Changes are gathered for this long before they are told.
    pub(crate) group_wait: Duration,
    /// Least time between two changes of a message, and between two messages about one alert.
    pub(crate) group_interval: Duration,
    /// A firing alert is told again after this time.
    pub(crate) repeat_interval: Duration,
    /// So is one that somebody acknowledged, after this time.
    pub(crate) acknowledge_timeout: Duration,
    /// A firing alert of which nothing was heard for this long is forgotten.
    pub(crate) max_age: Duration,
    /// Most silences at once.
    pub(crate) max_silences: usize,
    /// How long a silence may last.
    pub(crate) longest_silence: Duration,
}

/// All incidents by fingerprint, and what keeps some of them quiet.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    pub(crate) policy: Policy,
    pub(crate) incidents: BTreeMap<String, Incident>,
    /// By id.
    pub(crate) silences: BTreeMap<String, Silence>,
    /// When the next of them begins or ends.
    pub(crate) silences_due: Timestamp,
    pub(crate) inhibitions: Vec<Inhibition>,
    /// What is kept quiet by a cause that fires, and that cause; as of the last review.
    pub(crate) inhibited: BTreeMap<String, String>,
}

impl Book {
    /// The incidents as they were kept.
    pub(crate) fn new(policy: Policy, incidents: BTreeMap<String, Incident>) -> Self {
        Self {
            policy,
            incidents,
            silences: BTreeMap::new(),
            silences_due: Timestamp::default(),
            inhibitions: Vec::new(),
            inhibited: BTreeMap::new(),
        }
    }

    /// Whether no new message may tell of it now.
    pub(crate) fn is_muted(&self, key: &str) -> bool {
        self.inhibited.contains_key(key) || self.incidents.get(key).is_some_and(|incident| incident.silenced.is_some())
    }

    /// Whether this alert is so right now.
    pub(crate) fn is_firing(&self, key: &str) -> bool {
        self.incidents.get(key).is_some_and(Incident::is_firing)
    }

    /// Firing alerts of one severity.
    pub(crate) fn firing(&self, severity: Severity) -> usize {
        let live = self.incidents.values().filter(|incident| incident.is_firing());
        live.filter(|incident| incident.live().is_some_and(|episode| episode.severity == severity)).count()
    }

    /// Silences, the one that ends next first.
    pub(crate) fn silences(&self) -> Vec<&Silence> {
        let mut silences: Vec<_> = self.silences.values().collect();
        silences.sort_by_key(|silence| (silence.until, &silence.id));
        silences
    }

    /// Alerts that were told or are to be told, by fingerprint: what fires and is nobody's first, then the worst, then the
    /// earliest.
    pub(crate) fn incidents(&self) -> Vec<(&str, &Incident, Standing)> {
        let with_episodes = self.incidents.iter().filter(|(_, incident)| incident.live().is_some());
        let mut listed: Vec<_> =
            with_episodes.map(|(key, incident)| (key.as_str(), incident, incident.standing())).collect();
        listed.sort_by_key(|(key, incident, standing)| {
            let live = incident.live().map(|episode| (std::cmp::Reverse(episode.severity), episode.first_seen));
            (*standing, live, *key)
        });
        listed
    }
}
