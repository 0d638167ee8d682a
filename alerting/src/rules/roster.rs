//! Who was there, and who is gone without saying goodbye and was not replaced. Pure: time is an argument, and it is ours.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::timestamp::Timestamp;

/// A process that has said nothing for this long is gone: three of its reports.
pub(crate) const ALIVE: Duration = Duration::from_secs(15);
/// Most processes remembered; the longest silent one gives way.
const MOST: usize = 2000;

/// Everyone heard since we began to listen.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    known: BTreeMap<(String, String), Known>,
    heard_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// When it began: by its own clock, but not after we first heard of it.
    began: Timestamp,
    last: Timestamp,
    leaving: bool,
}

/// One process that went silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost<'a> {
    pub(crate) role: &'a str,
    pub(crate) instance: &'a str,
    /// When it was last heard.
    pub(crate) last: Timestamp,
    /// Another of its role has come since.
    pub(crate) replaced: bool,
}

impl Roster {
    /// Nobody heard yet.
    pub(crate) const fn new() -> Self {
        Self { known: BTreeMap::new(), heard_at: None }
    }

    /// A process of this role and name spoke, which began at `started` by its own clock if it says so.
    pub(crate) fn hear(&mut self, key: &(String, String), started: Timestamp, leaving: bool, now: Timestamp) {
        self.heard_at = Some(now);
        if self.known.len() >= MOST && !self.known.contains_key(key) {
            let silent = self.known.iter().min_by_key(|(_, known)| known.last).map(|(key, _)| key.clone());
            silent.map(|key| self.known.remove(&key));
        }
        let began = if started == Timestamp::default() { now } else { started.min(now) };
        let known = self.known.entry(key.clone()).or_insert(Known { began, last: now, leaving });
        // One that comes back under its name is a new process if it said goodbye before.
        if known.leaving && !leaving {
            known.began = began;
        }
        (known.last, known.leaving) = (now, leaving);
    }

    /// When anybody was last heard.
    pub(crate) const fn heard_at(&self) -> Option<Timestamp> {
        self.heard_at
    }

    /// Whether this process was ever heard.
    pub(crate) fn knows(&self, role: &str, instance: &str) -> bool {
        self.known.keys().any(|(known, name)| known == role && name == instance)
    }

    /// Everyone who is silent and did not say goodbye. Of a role, each newcomer replaces the one that went silent first
    /// before it came.
    pub(crate) fn lost(&self, now: Timestamp) -> Vec<Lost<'_>> {
        let silent = |known: &Known| !known.leaving && now.since(known.last) > ALIVE;
        let mut lost: Vec<(Lost<'_>, Timestamp)> = Vec::new();
        for ((role, instance), known) in self.known.iter().filter(|(_, known)| silent(known)) {
            lost.push((Lost { role, instance, last: known.last, replaced: false }, known.last));
        }
        lost.sort_by_key(|(_, last)| *last);
        let mut newcomers: Vec<(&str, Timestamp)> =
            self.known.iter().map(|((role, _), known)| (role.as_str(), known.began)).collect();
        newcomers.sort_by_key(|(_, began)| *began);
        for (role, began) in newcomers {
            let free = |(one, last): &&mut (Lost<'_>, Timestamp)| one.role == role && !one.replaced && *last < began;
            if let Some((one, _)) = lost.iter_mut().find(free) {
                one.replaced = true;
            }
        }
        lost.into_iter().map(|(one, _)| one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::NOON;

    fn at(second: u64) -> Timestamp {
        NOON.after(Duration::from_secs(second))
    }

    fn hear(roster: &mut Roster, instance: &str, second: u64) {
        roster.hear(&("worker".to_owned(), instance.to_owned()), Timestamp::default(), false, at(second));
    }

    fn missing(roster: &Roster, second: u64) -> Vec<&str> {
        let lost = roster.lost(at(second)).into_iter();
        lost.filter(|lost| !lost.replaced).map(|lost| lost.instance).collect()
    }

    #[test]
    fn the_silent_are_lost_and_the_leaving_are_not() {
        let mut roster = Roster::new();
        hear(&mut roster, "a", 0);
        hear(&mut roster, "b", 0);
        roster.hear(&("worker".to_owned(), "b".to_owned()), at(0), true, at(1));
        assert_eq!(missing(&roster, 15), Vec::<&str>::new());
        assert_eq!(missing(&roster, 16), ["a"]);
        hear(&mut roster, "a", 60);
        assert_eq!(missing(&roster, 60), Vec::<&str>::new());
    }

    #[test]
    fn a_newcomer_replaces_one_of_its_role() {
        let mut roster = Roster::new();
        hear(&mut roster, "a", 0);
        hear(&mut roster, "b", 0);
        roster.hear(&("ingress".to_owned(), "i".to_owned()), at(5), true, at(5));
        assert_eq!(missing(&roster, 20), ["a", "b"]);
        hear(&mut roster, "c", 20);
        assert_eq!(missing(&roster, 20), ["b"]);
        hear(&mut roster, "d", 21);
        assert_eq!(missing(&roster, 21), Vec::<&str>::new());
        // A replacement that is lost itself has replaced all the same, and is missing in its turn.
        hear(&mut roster, "c", 22);
        assert_eq!(missing(&roster, 37), ["d"]);
    }

    #[test]
    fn one_that_was_there_before_replaces_nobody() {
        let mut roster = Roster::new();
        hear(&mut roster, "a", 2);
        let b = ("worker".to_owned(), "b".to_owned());
        roster.hear(&b, at(1), false, at(4));
        roster.hear(&b, at(1), false, at(20));
        assert_eq!(missing(&roster, 20), ["a"]);
        // Nor does one whose clock is ahead, before it is there.
        roster.hear(&("worker".to_owned(), "c".to_owned()), at(900), false, at(20));
        assert_eq!(roster.known[&("worker".to_owned(), "c".to_owned())].began, at(20));
        assert_eq!(missing(&roster, 20), Vec::<&str>::new());
    }

    #[test]
    fn memory_is_bounded() {
        let mut roster = Roster::new();
        for number in 0..3000 {
            hear(&mut roster, &format!("w-{number}"), number);
        }
        assert_eq!(roster.known.len(), MOST);
        assert!(roster.knows("worker", "w-2999") && !roster.knows("worker", "w-0"));
    }
}
