//! What a client wants: drawn from the seed and its number, so that the same seed makes the same wishes.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schemas::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::provider::NAME;

/// Sessions that are gone on with at a time.
const SESSIONS: u64 = 4;
/// How many turns each of them has, about.
const TURNS: u64 = 25;

/// What is done beside submitting and polling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Manner {
    /// Nothing.
    Plain,
    /// Submitted under a key, this many times at once, until accepted.
    Keyed(usize),
    /// Read as a stream of events.
    Streamed,
    /// Cancelled this much later.
    Cancelled(Duration),
    /// Not to be started for this many seconds.
    Delayed(u64),
    /// A call of the chat API, streamed or not, which waits for its answer.
    Chat(bool),
}

/// One wish.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wish {
    /// The word in its prompt that nobody else uses.
    pub(crate) marker: String,
    /// How it is made.
    pub(crate) manner: Manner,
    /// The seconds after which it may end unanswered, if it sets a deadline.
    pub(crate) deadline: Option<u64>,
    /// Its lane.
    pub(crate) lane: &'static str,
    /// The session that it is a turn of.
    pub(crate) session: Option<String>,
    /// What to do after a lost call.
    pub(crate) on_ambiguous: &'static str,
    /// Which ingress it goes to first.
    pub(crate) door: usize,
    /// How long after its end it is read again.
    pub(crate) second_look: Duration,
}

impl Wish {
    /// The `number`th wish of this seed, where this share are turns of sessions.
    pub(crate) fn draw(seed: u64, number: u64, share: f64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed.rotate_left(32) ^ number);
        let manner = match rng.random_range(0..100) {
            0..15 => Manner::Keyed(rng.random_range(1..4)),
            15..25 => Manner::Streamed,
            25..33 => Manner::Cancelled(Duration::from_millis(rng.random_range(0..900))),
            33..41 => Manner::Delayed(rng.random_range(1..5)),
            41..51 => Manner::Chat(rng.random_bool(0.5)),
            _ => Manner::Plain,
        };
        let wish = Self {
            marker: format!("wish{number}of{seed}"),
            manner,
            deadline: rng.random_bool(0.06).then(|| rng.random_range(1..5)),
            lane: ["high", "normal", "low"][rng.random_range(0..3)],
            on_ambiguous: if rng.random_bool(0.15) { "fail" } else { "retry" },
            door: rng.random_range(0..64),
            second_look: Duration::from_millis(rng.random_range(0..4000)),
            session: None,
        };
        if rng.random::<f64>() < share { wish.in_session(&mut rng, seed, number, share) } else { wish }
    }

    /// The wish as a turn of one of the sessions of its time. The chat API has no sessions.
    fn in_session(self, rng: &mut StdRng, seed: u64, number: u64, share: f64) -> Self {
        let manner = if matches!(self.manner, Manner::Chat(_)) { Manner::Keyed(1) } else { self.manner };
        let time = (number as f64 * share) as u64 / (SESSIONS * TURNS);
        let session = Some(format!("talk {time}.{} of {seed}", rng.random_range(0..SESSIONS)));
        Self { manner, session, ..self }
    }

    /// The body of its submit. A repeated submit of it is the same to the byte.
    pub(crate) fn body(&self, now: Timestamp) -> Value {
        let content = format!("{} please", self.marker);
        let mut body = json!({
            "model": NAME, "messages": [{"role": "user", "content": content}],
            "lane": self.lane, "on_ambiguous": self.on_ambiguous, "metadata": {"marker": self.marker},
        });
        let moment = |seconds| json!(now.after(Duration::from_secs(seconds)).to_string());
        if let Some(seconds) = self.deadline {
            body["deadline"] = moment(seconds + self.delay());
        }
        if let Some(session) = &self.session {
            body["session"] = json!(session);
        }
        match self.manner {
            Manner::Streamed => body["stream"] = json!(true),
            Manner::Delayed(seconds) => body["not_before"] = moment(seconds),
            _ => {}
        }
        body
    }

    const fn delay(&self) -> u64 {
        if let Manner::Delayed(seconds) = self.manner { seconds } else { 0 }
    }

    /// The body of its chat call.
    pub(crate) fn chat_body(&self, stream: bool) -> Value {
        let content = format!("{} please", self.marker);
        json!({"model": NAME, "messages": [{"role": "user", "content": content}], "stream": stream})
    }

    /// Its idempotency key, if it has one.
    pub(crate) fn key(&self) -> Option<String> {
        matches!(self.manner, Manner::Keyed(_)).then(|| format!("key-{}", self.marker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_list_of_wishes() {
        let draw = |seed| (0..200).map(|number| Wish::draw(seed, number, 0.2)).collect::<Vec<_>>();
        let wishes = draw(7);
        assert_eq!(wishes, draw(7));
        assert_ne!(wishes, draw(8));
        let some = |test: fn(&Manner) -> bool| wishes.iter().any(|wish| test(&wish.manner));
        assert!(some(|manner| matches!(manner, Manner::Keyed(2..))) && some(|manner| *manner == Manner::Streamed));
        assert!(
            some(|manner| matches!(manner, Manner::Cancelled(_)))
                && some(|manner| matches!(manner, Manner::Delayed(_)))
        );
    }
    #[test]
    fn sessions_have_several_turns_each_and_others_follow() {
        let mut turns: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
        for wish in (0..2000).map(|number| Wish::draw(7, number, 0.2)) {
            assert!(wish.session.is_none() || !matches!(wish.manner, Manner::Chat(_)));
            if let Some(session) = wish.session {
                *turns.entry(session).or_default() += 1;
            }
        }
        let (most, all) = (turns.values().max().unwrap(), turns.values().sum::<usize>());
        assert_eq!(turns.len(), 16, "{turns:?}");
        assert!(*most < 50 && (300..500).contains(&all), "{turns:?}");
        assert!((0..200).all(|number| Wish::draw(7, number, 0.0).session.is_none()));
    }
}
