//! Keeps alerts quiet that are silenced or inhibited, and lets them go. Pure: time is an argument.

use std::collections::BTreeSet;

use schemas::timestamp::Timestamp;

use super::book::Book;
use super::incident::Incident;
use super::inhibition::inhibited;
use super::silence::kept_as;

impl Book {
    /// Forgets silences that are over, and brings every incident under those in force or out of them. Names what changed.
    pub(crate) fn apply_silences(&mut self, now: Timestamp) -> BTreeSet<String> {
        let over = self.silences.extract_if(.., |_, silence| silence.until <= now);
        let mut changed: BTreeSet<String> = over.map(|(id, _)| kept_as(&id)).collect();
        let moments = self.silences.values().flat_map(|silence| [silence.starts, silence.until]);
        let next = moments.filter(|moment| *moment > now).min();
        self.silences_due = next.unwrap_or(Timestamp::from_millis(i64::MAX));
        for (key, incident) in &mut self.incidents {
            if incident.match_silences(key, &self.silences, now) {
                changed.insert(key.clone());
            }
        }
        changed
    }

    /// Finds out anew what is inhibited. What is let go and fires still waits a little before it is told: symptoms end
    /// after their cause. Names the incidents that changed.
    pub(crate) fn apply_inhibitions(&mut self, now: Timestamp) -> BTreeSet<String> {
        let inhibited = inhibited(&self.inhibitions, &self.incidents, now);
        let before = std::mem::replace(&mut self.inhibited, inhibited);
        let mut changed = BTreeSet::new();
        for key in self.inhibited.keys().filter(|key| !before.contains_key(*key)) {
            if self.incidents.get_mut(key).is_some_and(Incident::hush) {
                changed.insert(key.clone());
            }
        }
        let not_before = now.after(self.policy.group_interval);
        for key in before.into_keys().filter(|key| !self.inhibited.contains_key(key)) {
            if self.incidents.get_mut(&key).is_some_and(|incident| incident.let_go(not_before, now)) {
                changed.insert(key);
            }
        }
        changed
    }
}

impl Incident {
    /// Its cause is over. Tells whether that changes anything.
    fn let_go(&mut self, not_before: Timestamp, now: Timestamp) -> bool {
        let firing = self.is_firing();
        let Some(episode) = self.episodes.last_mut().filter(|episode| firing && episode.posted.is_none()) else {
            return false;
        };
        episode.not_before = episode.not_before.max(not_before);
        episode.untold_since = Some(now);
        true
    }
}

#[cfg(test)]
mod tests;
