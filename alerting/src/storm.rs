//! Storms under simulated time: whatever the order of events, ends, redeliveries, crashes, refusals and operators' doings,
//! what the messages finally say adds up to what happened, and each message had its reason and its time.

mod op;
mod witness;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use schemas::alert::{AlertEvent, AlertKind, Severity};
use schemas::envelope;
use tokio::time::Instant;

use crate::chats::Chats;
use crate::fixture::{self, NOON};
use crate::incidents::{Book, Folded, Operation, Placed, Policy, SILENCE_PREFIX, Settled};
use crate::pace::Pacer;
use crate::plan::{self, Now};
use crate::task::{Action, Task};
use op::{apply, inhibition, op};
use witness::Witness;

const STEP: Duration = Duration::from_millis(250);
const ACK_WAIT: Duration = Duration::from_secs(60);
const CALL: Duration = Duration::from_millis(80);

/// The leader without its I/O, and the chats as people see them.
struct World {
    book: Book,
    chats: Chats,
    pacer: Pacer,
    now: Now,
    sequence: u64,
    fired: u64,
    /// The bucket.
    kept: BTreeMap<String, Bytes>,
    /// Delivered, but not acknowledged for certain; and when.
    unacknowledged: Vec<(Instant, (u64, AlertEvent))>,
    messages: BTreeMap<(String, i32), String>,
    calls: usize,
    parses_html: bool,
    /// Events that ended unseen and were forgotten.
    forgotten: u64,
    witness: Witness,
}

impl World {
    fn new() -> Self {
        let policy = Policy {
            group_wait: Duration::from_secs(2),
            group_interval: Duration::from_secs(15),
            repeat_interval: Duration::from_secs(600),
            acknowledge_timeout: Duration::from_secs(400),
            ..fixture::policy()
        };
        let mut config = fixture::telegram();
        config.chat_id_critical = "-2".to_owned();
        let mut book = Book::new(policy, BTreeMap::new());
        book.inhibitions.push(inhibition());
        Self {
            book,
            chats: Chats::new(&config),
            pacer: Pacer::new(config.messages_per_minute),
            now: Now { wall: NOON, monotonic: Instant::now() },
            sequence: 0,
            fired: 0,
            kept: BTreeMap::new(),
            unacknowledged: Vec::new(),
            messages: BTreeMap::new(),
            calls: 0,
            parses_html: true,
            forgotten: 0,
            witness: Witness::default(),
        }
    }

    fn publish(&mut self, mut event: AlertEvent) -> (u64, AlertEvent) {
        self.sequence += 1;
        self.fired += u64::from(event.state == schemas::alert::AlertState::Firing);
        event.at = self.now.wall;
        (self.sequence, event)
    }

    fn deliver(&mut self, (sequence, event): &(u64, AlertEvent)) -> Folded {
        let Placed { key, folded, .. } = self.book.fold(*sequence, event, self.now.wall);
        if folded == Folded::Resolved {
            self.witness.ended(&key);
        }
        self.keep([key]);
        folded
    }

    fn operate(&mut self, operation: Operation) {
        let now = self.now.wall;
        if let Ok(changed) = self.book.operate(operation.clone(), "somebody", now) {
            self.witness.operated(&operation, now);
            self.keep(changed);
        }
    }

    fn keep(&mut self, keys: impl IntoIterator<Item = String>) {
        for key in keys {
            let value = match key.strip_prefix(SILENCE_PREFIX) {
                Some(id) => self.book.silences.get(id).map(envelope::encode),
                None => self.book.incidents.get(&key).map(envelope::encode),
            };
            match value {
                Some(value) => self.kept.insert(key, value.unwrap()),
                None => self.kept.remove(&key),
            };
        }
    }

    /// The process dies and another reads what was kept.
    fn crash(&mut self) {
        let is_silence = |key: &&String| key.starts_with(SILENCE_PREFIX);
        let incidents = self.kept.iter().filter(|(key, _)| !is_silence(key));
        let incidents = incidents.map(|(key, bytes)| (key.clone(), envelope::decode(bytes).unwrap()));
        let mut book = Book::new(self.book.policy, incidents.collect());
        for (key, bytes) in self.kept.iter().filter(|(key, _)| is_silence(key)) {
            let id = key.trim_start_matches(SILENCE_PREFIX);
            book.silences.insert(id.to_owned(), envelope::decode(bytes).unwrap());
        }
        book.inhibitions.push(inhibition());
        self.book = book;
        self.pacer = Pacer::new(20);
    }

    fn hear(&mut self, event: AlertEvent) {
        let delivery = self.publish(event);
        self.deliver(&delivery);
    }

    fn lose(&mut self, delivery: (u64, AlertEvent)) {
        self.unacknowledged.push((self.now.monotonic, delivery));
    }

    /// What was delivered at least `ago` and not acknowledged comes again, in any order with what is new.
    fn redeliver(&mut self, ago: Duration) {
        let now = self.now.monotonic;
        for (at, delivery) in std::mem::take(&mut self.unacknowledged) {
            if now.duration_since(at) >= ago {
                self.deliver(&delivery);
            } else {
                self.unacknowledged.push((at, delivery));
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.monotonic + time;
        while self.now.monotonic < end {
            self.step(STEP);
            self.redeliver(ACK_WAIT);
            let before = self.unseen();
            let pruned = self.book.prune(self.now.wall);
            self.forgotten += before - self.unseen();
            self.witness.forgets(&self.book);
            self.keep(pruned);
            let reviewed = self.book.review(self.now.wall);
            self.keep(reviewed);
            if let Some(task) = plan::next(&self.book, &self.chats, &self.pacer, self.now) {
                if self.accepts(&task) {
                    self.witness.sees(&task, &self.book, self.now.wall);
                }
                self.call(&task);
            }
            self.witness.nobody_waits_too_long(&self.book, self.now.wall);
        }
    }

    /// Events that no message tells.
    fn unseen(&self) -> u64 {
        let episodes = self.book.incidents.values().flat_map(|incident| &incident.episodes);
        episodes.filter(|episode| episode.posted.is_none()).map(|episode| episode.count).sum()
    }

    fn step(&mut self, time: Duration) {
        self.now = Now { wall: self.now.wall.after(time), monotonic: self.now.monotonic + time };
    }

    fn call(&mut self, task: &Task) {
        self.calls += 1;
        self.pacer.began(&task.chat, self.now.monotonic);
        self.step(CALL);
        self.pacer.ended(&task.chat, self.now.monotonic);
        let settled = if self.accepts(task) { self.take(task) } else { Settled::Unparsable };
        let changed = self.book.settle(task, settled, self.now.wall);
        self.keep(changed);
    }

    const fn accepts(&self, task: &Task) -> bool {
        self.parses_html || task.plain
    }

    fn take(&mut self, task: &Task) -> Settled {
        let text = if task.plain { task.text.plain() } else { task.text.html() };
        let number = match task.action {
            Action::Edit { message } => message,
            Action::Send | Action::Notice { .. } => i32::try_from(self.messages.len()).unwrap() + 1,
        };
        let known = self.messages.insert((task.chat.clone(), number), text.to_owned()).is_some();
        assert_eq!(known, matches!(task.action, Action::Edit { .. }));
        Settled::Told(number)
    }

    /// Until nothing is left to tell.
    fn settle_down(&mut self) {
        self.redeliver(Duration::ZERO);
        for _ in 0..600 {
            self.pass(Duration::from_secs(10));
            if plan::untold_since(&self.book, &self.chats, self.now.wall).is_none() {
                return;
            }
        }
        panic!("never quiet: {:?}", self.book);
    }

    fn told(&self) -> u64 {
        self.messages.values().map(|text| events_in(text)).sum()
    }
}

/// How many events a reader of this message believes in.
fn events_in(text: &str) -> u64 {
    let text = text.replace("<b>", "").replace("</b>", "");
    let first = text.lines().next().unwrap();
    if let Some((_, events)) = first.strip_suffix(" events").and_then(|line| line.split_once(" alerts, ")) {
        return events.parse().unwrap();
    }
    let count = text.lines().find_map(|line| line.strip_prefix("Count: "));
    count.map_or(0, |count| count.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn counts_add_up_whatever_happens(ops in prop::collection::vec(op(false), 0..120), parses_html in any::<bool>()) {
        let mut world = World::new();
        world.parses_html = parses_html;
        for op in ops {
            apply(&mut world, op);
        }
        world.settle_down();
        prop_assert_eq!(world.told(), world.fired);
    }

    #[test]
    fn every_message_has_its_reason_and_its_time(ops in prop::collection::vec(op(true), 0..120)) {
        let mut world = World::new();
        for op in ops {
            apply(&mut world, op);
        }
        world.settle_down();
        prop_assert_eq!(world.told() + world.unseen() + world.forgotten, world.fired);
        world.witness.everything_is_told(&world.book);
    }
}

#[test]
fn two_thousand_alerts_of_forty_fingerprints_are_a_few_messages() {
    let mut world = World::new();
    for number in 0..2000 {
        let delivery = world.publish(fixture::firing(AlertKind::BreakerOpen, &(number % 40).to_string()));
        world.deliver(&delivery);
        if number % 2 == 0 {
            world.step(Duration::from_millis(1));
        }
    }
    world.settle_down();
    assert_eq!(world.told(), 2000);
    assert_eq!((world.messages.len(), world.calls), (1, 1));
}

#[test]
fn a_slow_storm_is_told_while_it_lasts() {
    let mut world = World::new();
    for number in 0..2000 {
        let delivery = world.publish(fixture::firing(AlertKind::BreakerOpen, &(number % 40).to_string()));
        world.deliver(&delivery);
        if number % 20 == 0 {
            world.pass(Duration::from_secs(1));
        }
    }
    assert!(world.told() > 1000);
    world.settle_down();
    assert_eq!(world.told(), 2000);
    assert!(world.messages.len() <= 40, "{} messages", world.messages.len());
}

#[test]
fn ten_thousand_different_alerts_are_summed_up() {
    let (mut world, mut began) = (World::new(), 0);
    for number in 0..10_500 {
        let delivery = world.publish(fixture::firing(AlertKind::DeadLetter, &number.to_string()));
        let placed = world.book.fold(delivery.0, &delivery.1, world.now.wall);
        assert_ne!(placed.folded, Folded::Duplicate);
        began += u64::from(!placed.fired);
    }
    assert_eq!(began, 10_001, "all that there was no room for is one");
    world.step(Duration::from_secs(2));
    let task = plan::next(&world.book, &world.chats, &world.pacer, world.now).unwrap();
    assert_eq!(task.members.len(), 10_001);
    assert_eq!(events_in(task.text.plain()), 10_500);
}

#[test]
fn critical_alerts_are_told_first() {
    let mut world = World::new();
    world.chats = Chats::only("-1");
    for (concern, severity) in [("a", Severity::Info), ("b", Severity::Critical), ("c", Severity::Warning)] {
        let delivery = world.publish(AlertEvent { severity, ..fixture::firing(AlertKind::BreakerOpen, concern) });
        world.deliver(&delivery);
    }
    world.settle_down();
    let words: Vec<_> = world.messages.values().map(|text| text.split(':').next().unwrap()).collect();
    assert_eq!(words, ["<b>CRITICAL", "<b>WARNING", "<b>INFO"]);
}
