//! Who may press and command: only these people, only in our own chats, and not faster than this. Pure: time is an
//! argument.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::telegram::{Person, Spot};

/// The span that is counted over.
const MINUTE: Duration = Duration::from_secs(60);
/// Most that one person may do in it.
const DEEDS: usize = 30;
/// Most lines that refusals may add to the log in it; the rest is counted.
const REFUSALS: usize = 20;

/// Whether somebody may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Verdict {
    /// They may.
    Welcome,
    /// They are none of the people we know.
    Stranger,
    /// It is none of our chats.
    Elsewhere,
    /// They did too much lately.
    Hurried,
}

/// Watches who comes in.
#[derive(Debug)]
pub(crate) struct Door {
    people: BTreeSet<i64>,
    deeds: BTreeMap<i64, VecDeque<Instant>>,
    refusals: VecDeque<Instant>,
    unsaid: u64,
}

impl Door {
    /// Open to these people.
    pub(crate) fn new(people: impl IntoIterator<Item = i64>) -> Self {
        Self { people: people.into_iter().collect(), deeds: BTreeMap::new(), refusals: VecDeque::new(), unsaid: 0 }
    }

    /// Judges `person` at `spot`, our chats being `chats`. What is let in is counted.
    pub(crate) fn judge(
        &mut self,
        person: Option<&Person>,
        spot: Option<&Spot>,
        chats: &BTreeSet<String>,
        now: Instant,
    ) -> Verdict {
        let Some(person) = person.filter(|person| self.people.contains(&person.id)) else { return Verdict::Stranger };
        if !spot.is_some_and(|spot| is_ours(spot, chats)) {
            return Verdict::Elsewhere;
        }
        let deeds = self.deeds.entry(person.id).or_default();
        if admit(deeds, DEEDS, now) { Verdict::Welcome } else { Verdict::Hurried }
    }

    /// Whether a refusal is to be told in the log, and if so how many were not told before it.
    pub(crate) fn tells_refusal(&mut self, now: Instant) -> Option<u64> {
        if admit(&mut self.refusals, REFUSALS, now) {
            return Some(std::mem::take(&mut self.unsaid));
        }
        self.unsaid += 1;
        None
    }
}

/// By its number, or by its name as a channel is configured.
fn is_ours(spot: &Spot, chats: &BTreeSet<String>) -> bool {
    let named = |name: &String| chats.iter().any(|chat| chat.eq_ignore_ascii_case(name));
    chats.contains(&spot.chat.to_string()) || spot.name.as_ref().is_some_and(named)
}

/// Whether fewer than `most` were within the last minute; counts this one if so.
fn admit(times: &mut VecDeque<Instant>, most: usize, now: Instant) -> bool {
    while times.front().is_some_and(|time| now.duration_since(*time) >= MINUTE) {
        times.pop_front();
    }
    let admitted = times.len() < most;
    if admitted {
        times.push_back(now);
    }
    admitted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: i64) -> Person {
        Person { id, name: "@x".to_owned() }
    }

    fn spot(chat: i64, name: Option<&str>) -> Spot {
        Spot { chat, name: name.map(str::to_owned), topic: None, message: 1 }
    }

    fn judge(door: &mut Door, id: i64, spot: &Spot, now: Instant) -> Verdict {
        let chats = BTreeSet::from(["-1".to_owned(), "@Alerts".to_owned()]);
        door.judge(Some(&person(id)), Some(spot), &chats, now)
    }

    #[test]
    fn only_known_people_in_our_own_chats() {
        let (mut door, now) = (Door::new([7]), Instant::now());
        assert_eq!(judge(&mut door, 7, &spot(-1, None), now), Verdict::Welcome);
        assert_eq!(judge(&mut door, 7, &spot(-5, Some("@alerts")), now), Verdict::Welcome);
        assert_eq!(judge(&mut door, 7, &spot(7, Some("@ann")), now), Verdict::Elsewhere);
        assert_eq!(judge(&mut door, 8, &spot(-1, None), now), Verdict::Stranger);
        assert_eq!(door.judge(None, Some(&spot(-1, None)), &BTreeSet::new(), now), Verdict::Stranger);
        assert_eq!(door.judge(Some(&person(7)), None, &BTreeSet::new(), now), Verdict::Elsewhere);
    }

    #[test]
    fn nobody_is_let_in_without_end() {
        let (mut door, now) = (Door::new([7, 8]), Instant::now());
        let welcome = (0..100).filter(|_| judge(&mut door, 7, &spot(-1, None), now) == Verdict::Welcome).count();
        assert_eq!(welcome, DEEDS);
        assert_eq!(judge(&mut door, 8, &spot(-1, None), now), Verdict::Welcome);
        assert_eq!(judge(&mut door, 7, &spot(-1, None), now + MINUTE), Verdict::Welcome);
    }

    #[test]
    fn refusals_do_not_flood_the_log_and_are_counted() {
        let (mut door, now) = (Door::new([]), Instant::now());
        let told = (0..100).filter(|_| door.tells_refusal(now).is_some()).count();
        assert_eq!(told, REFUSALS);
        assert_eq!(door.tells_refusal(now + MINUTE), Some(100 - REFUSALS as u64));
        assert_eq!(door.tells_refusal(now + MINUTE), Some(0));
    }
}
