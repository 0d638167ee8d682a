//! Counting with memory: each message once, however often its conversation comes back.

use std::fmt;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use schemas::chat::{ChatRequest, Message, Tool};

use super::cache::{Cache, Key};
use super::correction::Factor;
use super::digest::{Digest, Digests};
use super::message;
use super::part::Part;
use super::tokenizer::Tokenizer;
use super::tools;

/// A shared cache of token counts. Clones share it.
#[derive(Clone)]
pub struct Counter(Arc<Inner>);

struct Inner {
    cache: Cache,
    digests: Digests,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What the cache has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Counts that were remembered.
    pub hits: u64,
    /// Counts that had to be made.
    pub misses: u64,
    /// Counts held now.
    pub entries: usize,
}

impl fmt::Debug for Counter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Counter").field(&self.stats()).finish()
    }
}

impl Counter {
    /// Remembers at most `entries` counts, each of some 60 bytes.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner { cache: Cache::new(entries), digests: Digests::new(), hits, misses }))
    }

    /// Counts as `tokenizer` does.
    #[must_use]
    pub fn meter(&self, tokenizer: Tokenizer) -> Meter<'_> {
        Meter { counter: self, tokenizer, factor: Factor::ONE, message: self.0.digests.begin(&tokenizer, b'm') }
    }

    /// Tokens of `messages`, as the tokenizer of a model's name counts.
    #[must_use]
    pub fn messages(&self, model: &str, messages: &[Message]) -> u64 {
        let meter = self.meter(Tokenizer::of_name(model));
        meter.messages(messages).iter().sum()
    }

    /// [`Counter::messages`] by itself, for whoever knows of no counter.
    pub fn by_model(&self) -> impl Fn(&str, &[Message]) -> u64 + Send + Sync + use<> {
        let counter = self.clone();
        move |model, messages| counter.messages(model, messages)
    }

    /// What the cache has done so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.0.hits.load(Ordering::Relaxed),
            misses: self.0.misses.load(Ordering::Relaxed),
            entries: self.0.cache.len(),
        }
    }

    /// The counts of the contents that have these digests; `count` makes the one at an index that is not remembered.
    fn remembered(&self, keys: &[Key], count: impl Fn(usize) -> u64) -> Vec<u64> {
        let Inner { cache, hits, misses, .. } = &*self.0;
        let mut made = 0;
        let make = |(index, (key, known)): (usize, (&Key, Option<u64>))| {
            // One like it may have been counted since.
            known.or_else(|| cache.get(*key)).unwrap_or_else(|| {
                made += 1;
                let count = count(index);
                cache.put(*key, count);
                count
            })
        };
        let counts = keys.iter().zip(cache.get_all(keys)).enumerate().map(make).collect();
        misses.fetch_add(made, Ordering::Relaxed);
        hits.fetch_add(keys.len() as u64 - made, Ordering::Relaxed);
        counts
    }
}

/// A [`Counter`] for one model.
#[derive(Debug, Clone)]
pub struct Meter<'a> {
    counter: &'a Counter,
    tokenizer: Tokenizer,
    factor: Factor,
    /// The digest of every message begins so.
    message: Digest,
}

impl Meter<'_> {
    /// Counts so many times as much, if this is an estimate: what the model's providers reported of earlier ones.
    #[must_use]
    pub const fn corrected(self, factor: Factor) -> Self {
        let factor = if self.tokenizer.is_exact() { Factor::ONE } else { factor };
        Self { factor, ..self }
    }

    /// Tokens of a text by itself. Not remembered.
    #[must_use]
    pub fn text(&self, text: &str) -> u64 {
        self.factor.apply(self.tokenizer.text(text))
    }

    /// Tokens of one message within a request.
    #[must_use]
    pub fn message(&self, message: &Message) -> u64 {
        self.messages(slice::from_ref(message)).iter().sum()
    }

    /// Tokens of each of the messages within a request.
    #[must_use]
    pub fn messages(&self, messages: &[Message]) -> Vec<u64> {
        let keys: Vec<_> = messages.iter().map(|message| self.key(message)).collect();
        let mut counts = self.counter.remembered(&keys, |index| self.count(&messages[index]));
        counts.iter_mut().for_each(|count| *count = self.factor.apply(*count));
        counts
    }

    fn key(&self, message: &Message) -> Key {
        let mut digest = self.message.clone();
        message::in_request(&self.tokenizer, message, &mut |part| digest.push(part));
        digest.finish()
    }

    fn count(&self, message: &Message) -> u64 {
        let mut sum = 0;
        message::in_request(&self.tokenizer, message, &mut |part| sum += part.tokens(&self.tokenizer));
        sum
    }

    /// Tokens of an assistant's message as an answer: what it says and calls, without the frame of a request.
    #[must_use]
    pub fn answer(&self, message: &Message) -> u64 {
        let mut sum = 0;
        message::content(&self.tokenizer, message, &mut |part| sum += part.tokens(&self.tokenizer));
        self.factor.apply(sum)
    }

    /// Tokens of a request's tools.
    #[must_use]
    pub fn tools(&self, tools: &[Tool]) -> u64 {
        if tools.is_empty() {
            return 0;
        }
        let count = || tools::count(&self.tokenizer, tools);
        self.factor.apply(match serde_json::to_string(tools) {
            Ok(text) => {
                let mut digest = self.counter.0.digests.begin(&self.tokenizer, b't');
                digest.push(Part::Text(&text));
                self.counter.remembered(&[digest.finish()], |_| count()).iter().sum()
            }
            Err(_) => count(),
        })
    }

    /// Tokens of everything in a request that is not a message: tools, the answer's form, the start of the reply.
    #[must_use]
    pub fn overhead(&self, request: &ChatRequest) -> u64 {
        let format = request.response_format.as_ref().map_or(0, |format| tools::format(&self.tokenizer, format));
        message::REPLY + self.tools(&request.tools) + self.factor.apply(format)
    }

    /// Tokens of a whole request, as its provider will bill them for input.
    #[must_use]
    pub fn request(&self, request: &ChatRequest) -> u64 {
        self.messages(&request.messages).iter().sum::<u64>() + self.overhead(request)
    }
}

#[cfg(test)]
mod tests {
    use schemas::chat::{Block, Extra, ImageSource, Role};

    use super::*;
    use crate::tokens::Correction;
    use crate::tokens::image_size::tests::png;

    fn jargon() -> ChatRequest {
        let named =
            |name: &str, text: &str| Message { name: Some(name.to_owned()), ..Message::text(Role::System, text) };
        let messages = vec![
            Message::text(
                Role::System,
                "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
            ),
            named("example_user", "New synergies will help drive top-line growth."),
            named("example_assistant", "Things working well together will increase revenue."),
            named(
                "example_user",
                "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
            ),
            named("example_assistant", "Let's talk later when we're less busy about how to do better."),
            Message::text(
                Role::User,
                "This late pivot means we don't have time to boil the ocean for the client deliverable.",
            ),
        ];
        ChatRequest { messages, ..ChatRequest::default() }
    }

    #[test]
    fn messages_count_as_in_openais_cookbook() {
        // "How to count tokens with tiktoken": what OpenAI's API counted for these messages.
        let counter = Counter::new(64);
        for (model, tokens) in [("gpt-4o", 124), ("gpt-4o-mini", 124), ("gpt-4-0613", 129), ("gpt-3.5-turbo", 129)] {
            assert_eq!(counter.meter(Tokenizer::of_name(model)).request(&jargon()), tokens, "{model}");
        }
    }

    #[test]
    fn every_role_is_one_token() {
        for name in ["system", "developer", "user", "assistant", "tool"] {
            for model in ["gpt-4o", "gpt-4"] {
                assert_eq!(Tokenizer::of_name(model).text(name), 1, "{name}");
            }
        }
    }

    #[test]
    fn each_message_is_counted_once() {
        let counter = Counter::new(64);
        let mut request = jargon();
        let meter = counter.meter(Tokenizer::of_name("gpt-4o"));
        let first = meter.request(&request);
        assert_eq!(counter.stats(), CacheStats { hits: 0, misses: 6, entries: 6 });
        assert_eq!(counter.clone().meter(Tokenizer::of_name("gpt-4o")).request(&request), first);
        (0..2).for_each(|_| request.messages.push(Message::text(Role::User, "And now?")));
        assert!(meter.request(&request) > first);
        assert_eq!(counter.stats(), CacheStats { hits: 13, misses: 7, entries: 7 });
    }

    #[test]
    fn models_that_count_alike_share_counts_and_others_do_not() {
        let counter = Counter::new(64);
        for (model, misses) in [("gpt-4o", 6), ("gpt-4.1", 6), ("gpt-4", 12)] {
            assert!(counter.meter(Tokenizer::of_name(model)).request(&jargon()) > 100);
            assert_eq!(counter.stats().misses, misses, "{model}");
        }
    }

    #[test]
    fn an_estimate_follows_what_was_reported_and_an_exact_count_does_not() {
        let mut correction = Correction::default();
        (0..20).for_each(|_| correction.observe(1000, 1200));
        let counter = Counter::new(64);
        for (model, percent) in [("claude-2", 120), ("somebody-7b", 120), ("gpt-4o", 100)] {
            let meter = counter.meter(Tokenizer::of_name(model));
            let (plain, corrected) =
                (meter.request(&jargon()), meter.corrected(correction.factor()).request(&jargon()));
            assert!(corrected.abs_diff(plain * percent / 100) <= 6, "{model}: {plain}, then {corrected}");
        }
        assert_eq!(counter.stats().hits, 18, "what is remembered is not corrected");
    }

    #[test]
    fn a_picture_counts_by_its_size_whatever_it_shows() {
        let picture = |data: String| Message {
            content: vec![Block::Image {
                source: ImageSource::Base64 { media_type: "image/png".into(), data },
                detail: None,
                extra: Extra::new(),
            }],
            ..Message::text(Role::User, "")
        };
        let (small, large) = (png(32, 32).replace('=', ""), png(1024, 1024));
        let counter = Counter::new(64);
        let meter = counter.meter(Tokenizer::of_name("gpt-4o"));
        let counts =
            [format!("{small}AAAAA"), large, format!("{small}BBBBB")].map(|data| meter.message(&picture(data)));
        assert_eq!(counts, [4 + 255, 4 + 765, 4 + 255]);
        assert_eq!(counter.stats().misses, 2);
    }

    #[test]
    fn an_estimate_is_above_the_nearest_encoding() {
        let counter = Counter::new(64);
        let exact = counter.meter(Tokenizer::of_name("gpt-4o")).request(&jargon());
        let estimate = counter.meter(Tokenizer::of_name("claude-sonnet-4-5")).request(&jargon());
        assert!(estimate > exact * 12 / 10 && estimate < exact * 15 / 10, "{estimate} for {exact}");
    }
}
