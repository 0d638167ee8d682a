//! Forgets what is over and told. Each names the incidents that changed. Pure: time is an argument.

use std::collections::BTreeSet;
use std::time::Duration;

use schemas::alert::AlertState;
use schemas::timestamp::Timestamp;

use super::book::Book;
use super::episode::{Episode, Posted};
use super::incident::Incident;

/// How long an incident without episodes is remembered at least, so that a late redelivery is known for one: many times
/// the redelivery time of the consumer.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);

impl Book {
    /// Forgets what is over and will not be shown again; names the incidents that changed.
    pub(crate) fn prune(&mut self, now: Timestamp) -> BTreeSet<String> {
        let policy = self.policy;
        let shown: BTreeSet<Posted> = self
            .incidents
            .values()
            .flat_map(|incident| incident.unfinished(policy.cooldown, policy.max_age, now))
            .filter_map(|episode| episode.posted.clone())
            .collect();
        let mut changed = BTreeSet::new();
        for (key, incident) in &mut self.incidents {
            let unfinished: BTreeSet<u32> =
                incident.unfinished(policy.cooldown, policy.max_age, now).map(|episode| episode.number).collect();
            let kept = |episode: &Episode| {
                unfinished.contains(&episode.number)
                    || episode.posted.as_ref().is_some_and(|posted| shown.contains(posted))
            };
            // The last one is where things stand while any is kept.
            let some_kept = incident.episodes.iter().any(kept);
            let live = incident.live().filter(|_| some_kept).map(|episode| episode.number);
            let before = incident.episodes.len();
            incident.episodes.retain(|episode| kept(episode) || live == Some(episode.number));
            if incident.episodes.len() < before {
                changed.insert(key.clone());
            }
        }
        let remembered = policy.cooldown.max(REMEMBERED);
        self.incidents.retain(|key, incident| {
            let told = incident.episodes.is_empty() && incident.days.is_empty();
            let forgotten = told && now.since(incident.touched) > remembered;
            if forgotten {
                changed.insert(key.clone());
            }
            !forgotten
        });
        changed
    }

    /// Forgets what was counted for a digest that nobody wants; names the incidents that changed.
    pub(crate) fn forget_days(&mut self) -> BTreeSet<String> {
        let counted = self.incidents.iter_mut().filter(|(_, incident)| !incident.days.is_empty());
        counted.map(|(key, incident)| (key, incident.days.clear())).map(|(key, ())| key.clone()).collect()
    }

    /// Forgets what was counted up to `day`, which was told; names the incidents that changed.
    pub(crate) fn told_days(&mut self, day: i64) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        for (key, incident) in &mut self.incidents {
            let kept = incident.days.split_off(&(day + 1));
            if !std::mem::replace(&mut incident.days, kept).is_empty() {
                changed.insert(key.clone());
            }
        }
        changed
    }
}

impl Incident {
    /// Episodes that are still so, or of which something is still to be said.
    fn unfinished(&self, cooldown: Duration, max_age: Duration, now: Timestamp) -> impl Iterator<Item = &Episode> {
        let (moment, touched) = (self.is_moment(), self.touched);
        let live = self.live().map(|episode| episode.number);
        self.episodes.iter().filter(move |episode| {
            let heard = episode.last_seen.max(touched);
            let going_on = match episode.state {
                AlertState::Firing if !moment => now.since(heard) <= max_age,
                // For a while after it ended and that was told: heard of again, it is the same.
                _ => {
                    let ended = episode.resolved_at.unwrap_or_default();
                    now.since(heard.max(ended).max(episode.told_at())) <= cooldown
                }
            };
            !episode.is_told() || (live == Some(episode.number) && going_on)
        })
    }
}
