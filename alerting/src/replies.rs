//! What operators asked for, waiting to be told in their chats at the pace of everything else there. Bounded, and not
//! kept over a restart: who is still waiting asks again. Pure: time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::errand::Place;
use crate::pace::{Pacer, Urgency};
use crate::rich::Rich;

/// Most answers waiting at once.
const MOST: usize = 64;
/// An answer that could not be told for this long is of no use any more.
const STALE: Duration = Duration::from_secs(300);

/// One message to send.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) place: Place,
    pub(crate) text: Rich,
    /// Telegram refused its markup.
    pub(crate) plain: bool,
    since: Instant,
}

/// Answers in the order in which they are told.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    waiting: VecDeque<Reply>,
}

impl Replies {
    /// Takes in an answer of several messages, all of it or nothing.
    pub(crate) fn add(&mut self, place: &Place, texts: Vec<Rich>, now: Instant) -> bool {
        self.waiting.retain(|reply| now.duration_since(reply.since) < STALE);
        let fits = self.waiting.len() + texts.len() <= MOST;
        if fits {
            let replies = texts.into_iter().filter(|text| !text.is_empty());
            self.waiting.extend(replies.map(|text| Reply { place: place.clone(), text, plain: false, since: now }));
        }
        fits
    }

    /// The next that may be told now; it is out of the queue.
    pub(crate) fn next(&mut self, pacer: &Pacer, now: Instant) -> Option<Reply> {
        self.waiting.retain(|reply| now.duration_since(reply.since) < STALE);
        let admitted = |reply: &Reply| {
            pacer.is_open(&reply.place.chat, now) && pacer.admits(&reply.place.chat, Urgency::News, now)
        };
        let position = self.waiting.iter().position(admitted)?;
        self.waiting.remove(position)
    }

    /// It was not told, and is next again.
    pub(crate) fn put_back(&mut self, reply: Reply) {
        self.waiting.push_front(reply);
    }

    /// A chat moved.
    pub(crate) fn moved(&mut self, from: &str, to: &str) {
        let there = self.waiting.iter_mut().filter(|reply| reply.place.chat == from);
        there.for_each(|reply| to.clone_into(&mut reply.place.chat));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rich::sentence;

    fn place(chat: &str) -> Place {
        Place { chat: chat.to_owned(), topic: None, reply_to: None }
    }

    #[test]
    fn answers_are_told_in_order_at_the_pace_of_their_chat() {
        let (mut replies, mut pacer, mut now) = (Replies::default(), Pacer::new(20), Instant::now());
        assert!(replies.add(&place("-1"), vec![sentence("1"), sentence(""), sentence("2")], now));
        assert!(replies.add(&place("-2"), vec![sentence("3")], now));
        let mut told = Vec::new();
        for _ in 0..100 {
            now += Duration::from_millis(100);
            if let Some(reply) = replies.next(&pacer, now) {
                pacer.began(&reply.place.chat, now);
                pacer.ended(&reply.place.chat, now);
                told.push(reply.text.plain().to_owned());
            }
        }
        assert_eq!(told, ["1", "3", "2"]);
    }

    #[test]
    fn they_are_bounded_in_number_and_time() {
        let (mut replies, pacer, now) = (Replies::default(), Pacer::new(20), Instant::now());
        assert!(replies.add(&place("-1"), vec![sentence("x"); MOST], now));
        assert!(!replies.add(&place("-1"), vec![sentence("x")], now));
        assert!(replies.next(&pacer, now + STALE).is_none());
        assert!(replies.add(&place("-1"), vec![sentence("x")], now + STALE));
    }

    #[test]
    fn what_was_not_told_is_next_again_wherever_its_chat_went() {
        let (mut replies, pacer, now) = (Replies::default(), Pacer::new(20), Instant::now());
        replies.add(&place("-1"), vec![sentence("1"), sentence("2")], now);
        let first = replies.next(&pacer, now).unwrap();
        replies.put_back(first);
        replies.moved("-1", "-9");
        let again = replies.next(&pacer, now).unwrap();
        assert_eq!((again.text.plain(), again.place.chat.as_str()), ("1", "-9"));
    }
}
