//! When the Bot API may be called: within the limits of a chat and of all chats, never before a `retry_after` is over,
//! and backing off while it cannot be reached. Sends and edits count alike. Pure: time is an argument.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Telegram takes about one message a second in one chat.
const CHAT_SPACING: Duration = Duration::from_secs(1);
/// The span that `messages_per_minute` is counted over.
const MINUTE: Duration = Duration::from_secs(60);
/// Telegram takes 30 messages a second over all chats.
const OVERALL: usize = 30;
/// The longest wait between tries to reach Telegram.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// One call in so many is kept for critical alerts, and as many again for news.
const RESERVED: u32 = 5;

/// How urgent a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// What is known is brought up to date: evenly spaced, and leaves both reserves.
    Upkeep,
    /// Somebody waits for it: at once while the minute has room, then what is left of the minute is shared out.
    News,
    /// May use every call.
    Critical,
}

/// What was called when, and until when nothing may be.
#[derive(Debug)]
pub(crate) struct Pacer {
    per_minute: u32,
    chats: BTreeMap<String, VecDeque<Instant>>,
    overall: VecDeque<Instant>,
    closed: BTreeMap<String, Instant>,
    held_until: Option<Instant>,
    failures: u32,
}

/// What a successor must know, since Telegram counts calls of all of us: the last minute's, and until when none may be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Paced {
    /// By chat, oldest first.
    calls: BTreeMap<String, Vec<Timestamp>>,
    held_until: Option<Timestamp>,
    /// Chats that refuse us, and until when they are left out.
    closed: BTreeMap<String, Timestamp>,
}

impl Pacer {
    /// Nothing called yet; at most `per_minute` calls a minute go to one chat.
    pub(crate) const fn new(per_minute: u32) -> Self {
        let per_minute = if per_minute == 0 { 1 } else { per_minute };
        Self {
            per_minute,
            chats: BTreeMap::new(),
            overall: VecDeque::new(),
            closed: BTreeMap::new(),
            held_until: None,
            failures: 0,
        }
    }

    /// What a successor must know, by the clock that it shares with us.
    pub(crate) fn paced(&self, now: Instant, wall: Timestamp) -> Paced {
        let at = |moment: Instant| match moment.checked_duration_since(now) {
            Some(ahead) => wall.after(ahead),
            None => wall.before(now.duration_since(moment)),
        };
        let recent = |calls: &VecDeque<Instant>| {
            let recent = calls.iter().filter(|call| now.duration_since(**call) < MINUTE);
            recent.map(|call| at(*call)).collect::<Vec<_>>()
        };
        let calls = self.chats.iter().map(|(chat, calls)| (chat.clone(), recent(calls)));
        let closed = self.closed.iter().filter(|(_, until)| **until > now);
        Paced {
            calls: calls.filter(|(_, calls)| !calls.is_empty()).collect(),
            held_until: self.held_until.filter(|until| *until > now).map(at),
            closed: closed.map(|(chat, until)| (chat.clone(), at(*until))).collect(),
        }
    }

    /// Goes on where a predecessor left off.
    pub(crate) fn resume(&mut self, paced: &Paced, now: Instant, wall: Timestamp) {
        let ahead = |until: Timestamp| now + until.since(wall);
        for (chat, calls) in &paced.calls {
            let calls = calls.iter().filter_map(|call| now.checked_sub(wall.since(*call)));
            let calls: VecDeque<_> = calls.filter(|call| now.duration_since(*call) < MINUTE).collect();
            self.chats.insert(chat.clone(), calls);
        }
        self.held_until = paced.held_until.map(ahead);
        self.closed = paced.closed.iter().map(|(chat, until)| (chat.clone(), ahead(*until))).collect();
    }

    /// Whether a call to `chat` may be made now.
    pub(crate) fn admits(&self, chat: &str, urgency: Urgency, now: Instant) -> bool {
        self.held(now).is_zero() && self.overall_admits(now) && self.is_open(chat, now) && {
            let ages = self.chats.get(chat).into_iter().flatten().map(|call| now.duration_since(*call));
            let recent: Vec<_> = ages.filter(|age| *age < MINUTE).collect();
            let left = self.allowance(urgency).saturating_sub(u32::try_from(recent.len()).unwrap_or(u32::MAX));
            match (recent.first(), recent.last()) {
                (Some(oldest), Some(last)) => left > 0 && *last >= self.spacing(urgency, left, MINUTE - *oldest),
                _ => left > 0,
            }
        }
    }

    /// A call to `chat` begins. It counts from now, and again from its end.
    pub(crate) fn began(&mut self, chat: &str, now: Instant) {
        for calls in [self.chats.entry(chat.to_owned()).or_default(), &mut self.overall] {
            calls.push_back(now);
            while calls.front().is_some_and(|call| now.duration_since(*call) >= MINUTE) {
                calls.pop_front();
            }
        }
        self.chats.retain(|_, calls| calls.back().is_some_and(|call| now.duration_since(*call) < MINUTE));
    }

    /// The call that began last has ended: Telegram may have counted it as late as now, however long it took.
    pub(crate) fn ended(&mut self, chat: &str, now: Instant) {
        for calls in self.chats.get_mut(chat).into_iter().chain([&mut self.overall]) {
            if let Some(last) = calls.back_mut() {
                *last = now;
            }
        }
    }

    /// Telegram answered.
    pub(crate) const fn reached(&mut self) {
        self.failures = 0;
    }

    /// Telegram said to come back after `retry_after`: nothing is called before, in no chat, since it does not say
    /// whether it meant the chat or the bot.
    pub(crate) fn hold(&mut self, retry_after: Duration, now: Instant) {
        let until = now + retry_after;
        self.held_until = Some(self.held_until.map_or(until, |held| held.max(until)));
    }

    /// Telegram could not be reached: the next try waits 1 s, 2 s, 4 s, ... up to a minute.
    pub(crate) fn failed(&mut self, now: Instant) {
        let wait = Duration::from_secs(1 << self.failures.min(6)).min(MAX_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        self.hold(wait, now);
    }

    /// `chat` refuses us: it is left out for `pause`.
    pub(crate) fn close(&mut self, chat: &str, pause: Duration, now: Instant) {
        self.closed.retain(|_, until| *until > now);
        self.closed.insert(chat.to_owned(), now + pause);
    }

    /// Whether `chat` is not left out.
    pub(crate) fn is_open(&self, chat: &str, now: Instant) -> bool {
        self.closed.get(chat).is_none_or(|until| *until <= now)
    }

    /// For how long nothing may be called.
    pub(crate) fn held(&self, now: Instant) -> Duration {
        self.held_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn overall_admits(&self, now: Instant) -> bool {
        within(&self.overall, Duration::from_secs(1), now) < OVERALL
    }

    /// Most calls to a chat in a minute.
    fn allowance(&self, urgency: Urgency) -> u32 {
        let reserve = self.per_minute / RESERVED;
        match urgency {
            Urgency::Critical => self.per_minute,
            Urgency::News => self.per_minute - reserve,
            Urgency::Upkeep => self.per_minute - 2 * reserve,
        }
    }

    /// The distance from the call before, with so many calls left until `renewed`, when there is one more.
    fn spacing(&self, urgency: Urgency, left: u32, renewed: Duration) -> Duration {
        let allowance = self.allowance(urgency);
        match urgency {
            Urgency::Upkeep => CHAT_SPACING.max(MINUTE / allowance),
            Urgency::News if left <= allowance / 2 => CHAT_SPACING.max(renewed / left),
            Urgency::News | Urgency::Critical => CHAT_SPACING,
        }
    }
}

fn within(calls: &VecDeque<Instant>, span: Duration, now: Instant) -> usize {
    calls.iter().rev().take_while(|call| now.duration_since(**call) < span).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Greedy calls, each step some milliseconds after the last: when each began and ended, and in which chat.
    fn greedy(per_minute: u32, steps: &[(u64, u64, Urgency, u8)]) -> Vec<(usize, Instant, Instant)> {
        let mut pacer = Pacer::new(per_minute);
        let mut now = Instant::now();
        let mut calls = Vec::new();
        for &(wait, took, urgency, chat) in steps {
            now += Duration::from_millis(wait);
            let name = chat.to_string();
            if pacer.admits(&name, urgency, now) {
                let began = now;
                pacer.began(&name, began);
                now += Duration::from_millis(took);
                pacer.ended(&name, now);
                calls.push((usize::from(chat), began, now));
            }
        }
        calls
    }

    fn urgency() -> impl Strategy<Value = Urgency> {
        prop::sample::select(&[Urgency::Upkeep, Urgency::News, Urgency::Critical])
    }

    proptest! {
        /// Wherever within each call Telegram counts it, no minute of a chat holds more than the limit, and no second less
        /// than a second's distance.
        #[test]
        fn no_window_ever_holds_too_many(
            per_minute in 1_u32..40,
            steps in prop::collection::vec((0_u64..900, 0_u64..400, urgency(), 0_u8..3), 0..600),
        ) {
            let calls = greedy(per_minute, &steps);
            for chat in 0..3 {
                let calls: Vec<_> = calls.iter().filter(|call| call.0 == chat).collect();
                for pair in calls.windows(2) {
                    prop_assert!(pair[1].1 - pair[0].2 >= CHAT_SPACING);
                }
                let many = usize::try_from(per_minute).unwrap();
                for window in calls.windows(many + 1) {
                    prop_assert!(window[many].1 - window[0].2 >= MINUTE);
                }
            }
        }

        #[test]
        fn nothing_is_called_before_retry_after(
            holds in prop::collection::vec((0_u64..30_000, 0_u64..60_000), 1..10),
            probe in 0_u64..120_000,
        ) {
            let start = Instant::now();
            let mut pacer = Pacer::new(1000);
            let mut until = start;
            let mut at = start;
            for (wait, retry_after) in holds {
                at += Duration::from_millis(wait);
                pacer.hold(Duration::from_millis(retry_after), at);
                until = until.max(at + Duration::from_millis(retry_after));
            }
            let now = start + Duration::from_millis(probe);
            for chat in ["a", "b"] {
                prop_assert_eq!(pacer.admits(chat, Urgency::Critical, now), now >= until);
            }
        }
    }

    #[test]
    fn a_successor_goes_on_where_we_left_off() {
        let wall = crate::fixture::NOON;
        let start = Instant::now() + MINUTE;
        let mut pacer = Pacer::new(2);
        for second in [0, 10] {
            pacer.began("a", start + Duration::from_secs(second));
        }
        pacer.close("b", Duration::from_secs(300), start);
        let kept = pacer.paced(start + Duration::from_secs(20), wall);
        let kept: Paced = schemas::envelope::decode(&schemas::envelope::encode(&kept).unwrap()).unwrap();
        let mut successor = Pacer::new(2);
        // Its own clock counts from elsewhere; ten seconds went by.
        let now = Instant::now() + Duration::from_secs(1000);
        successor.resume(&kept, now, wall.after(Duration::from_secs(10)));
        assert!(!successor.admits("a", Urgency::Critical, now));
        assert!(successor.admits("a", Urgency::Critical, now + Duration::from_secs(30)));
        assert!(!successor.is_open("b", now + Duration::from_secs(269)));
        assert!(successor.is_open("b", now + Duration::from_secs(270)));
        pacer.hold(Duration::from_secs(7), start);
        let kept = pacer.paced(start, wall);
        successor.resume(&kept, now, wall);
        assert_eq!(successor.held(now).as_secs(), 7);
    }

    /// Calls whenever it may, ten times a second: how many calls, and the longest wait for one.
    fn saturate(pacer: &mut Pacer, urgency: Urgency, now: &mut Instant, span: Duration) -> (usize, Duration) {
        let (mut calls, mut last, mut longest) = (0, *now, Duration::ZERO);
        let end = *now + span;
        while *now < end {
            *now += Duration::from_millis(100);
            if pacer.admits("a", urgency, *now) {
                pacer.began("a", *now);
                longest = longest.max(now.duration_since(last));
                (calls, last) = (calls + 1, *now);
            }
        }
        (calls, longest)
    }

    #[test]
    fn what_is_more_urgent_finds_a_reserve() {
        let (mut pacer, mut now) = (Pacer::new(20), Instant::now());
        assert_eq!(saturate(&mut pacer, Urgency::Upkeep, &mut now, MINUTE).0, 12);
        assert!(saturate(&mut pacer, Urgency::News, &mut now, Duration::from_secs(5)).0 >= 4);
        assert!(!pacer.admits("a", Urgency::Upkeep, now));
        assert!(saturate(&mut pacer, Urgency::Critical, &mut now, Duration::from_secs(4)).0 >= 4);
    }

    #[test]
    fn news_goes_within_two_seconds_beside_any_upkeep() {
        let (mut pacer, mut now) = (Pacer::new(20), Instant::now());
        for _ in 0..40 {
            saturate(&mut pacer, Urgency::Upkeep, &mut now, Duration::from_secs(7));
            let (calls, waited) = saturate(&mut pacer, Urgency::News, &mut now, Duration::from_secs(2));
            assert!(calls > 0, "waited {waited:?}");
        }
    }

    #[test]
    fn a_minute_of_news_leaves_no_gap() {
        let (mut pacer, mut now) = (Pacer::new(20), Instant::now());
        let (first, _) = saturate(&mut pacer, Urgency::News, &mut now, Duration::from_secs(9));
        assert_eq!(first, 8);
        let (calls, longest) = saturate(&mut pacer, Urgency::News, &mut now, 4 * MINUTE);
        assert!(calls > 60 && longest < Duration::from_secs(8), "{calls}, {longest:?}");
    }

    #[test]
    fn all_chats_together_stay_within_thirty_a_second() {
        let mut pacer = Pacer::new(20);
        let now = Instant::now();
        let admitted = (0..100).map(|chat| chat.to_string()).filter(|chat| {
            let admitted = pacer.admits(chat, Urgency::Critical, now);
            if admitted {
                pacer.began(chat, now);
            }
            admitted
        });
        assert_eq!(admitted.count(), OVERALL);
    }

    #[test]
    fn an_unreachable_server_is_tried_ever_more_rarely() {
        let start = Instant::now();
        let mut pacer = Pacer::new(20);
        let waits = [1, 2, 4, 8, 16, 32, 60, 60].map(|_| {
            pacer.held_until = None;
            pacer.failed(start);
            pacer.held(start).as_secs()
        });
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        pacer.reached();
        pacer.held_until = None;
        pacer.failed(start);
        assert_eq!(pacer.held(start).as_secs(), 1);
    }

    #[test]
    fn a_closed_chat_is_left_out_for_its_pause() {
        let start = Instant::now();
        let mut pacer = Pacer::new(20);
        pacer.close("a", Duration::from_secs(5), start);
        assert!(!pacer.admits("a", Urgency::Critical, start + Duration::from_secs(4)));
        assert!(pacer.admits("b", Urgency::News, start));
        assert!(pacer.admits("a", Urgency::News, start + Duration::from_secs(5)));
    }
}
