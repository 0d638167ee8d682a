//! What time alone brings about: silences begin and end, causes and their symptoms part, acknowledgements run out, and
//! what fires on is told again. Pure: time is an argument.

use std::collections::BTreeSet;

use schemas::timestamp::Timestamp;

use super::book::{Book, Policy};
use super::episode::Cause;
use super::incident::Incident;

impl Book {
    /// Brings about what is due; names what changed.
    pub(crate) fn review(&mut self, now: Timestamp) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        if self.silences_due <= now {
            changed = self.apply_silences(now);
        }
        changed.extend(self.apply_inhibitions(now));
        for (key, incident) in &mut self.incidents {
            if incident.remind(&self.policy, self.inhibited.contains_key(key), now) {
                changed.insert(key.clone());
            }
        }
        changed
    }
}

impl Incident {
    /// Tells it anew when it has fired on for long. Tells whether it is so.
    fn remind(&mut self, policy: &Policy, inhibited: bool, now: Timestamp) -> bool {
        if !self.is_firing() {
            return false;
        }
        if let Some(acknowledged) = &self.acknowledged {
            let since = acknowledged.at;
            let goes_on = !self.is_moment() || self.touched > since;
            let over = now.since(since) >= policy.acknowledge_timeout && goes_on;
            if over {
                self.acknowledged = None;
                self.tell_anew(Cause::AcknowledgeTimeout, now);
            }
            return over;
        }
        let told_at = self.live().and_then(|episode| episode.posted.as_ref()).map(|posted| posted.at);
        let long_ago = told_at.is_some_and(|at| now.since(at) >= policy.repeat_interval);
        let due = long_ago && !self.is_moment() && !inhibited && self.silenced.is_none();
        if due {
            self.tell_anew(Cause::Repeated, now);
        }
        due
    }
}
