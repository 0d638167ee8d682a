//! What names a content in the cache of counts: a keyed hash over exactly what is counted. Without the key, which each
//! process draws for itself, nobody can make two contents that have the same; two that have it by chance are met once
//! in some 2^48 look-ups, and then only a count is wrong.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

use ahash::{AHasher, RandomState};

use super::part::Part;

/// Draws digests under one key.
pub(super) struct Digests(RandomState);

/// A digest in the making.
#[derive(Clone)]
pub(super) struct Digest(AHasher);

/// Says nothing: its state is the key.
impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Digest")
    }
}

impl Digests {
    /// With a random key of its own.
    pub(super) fn new() -> Self {
        Self(RandomState::new())
    }

    /// Begins the digest of a content that is counted as `how` says; `kind` keeps apart what is counted differently.
    pub(super) fn begin(&self, how: &impl Hash, kind: u8) -> Digest {
        let mut hasher = self.0.build_hasher();
        how.hash(&mut hasher);
        hasher.write_u8(kind);
        Digest(hasher)
    }
}

impl Digest {
    /// Takes in a part of what is counted. Its length goes first, so that no two lists of parts read the same.
    pub(super) fn push(&mut self, part: Part<'_>) {
        match part {
            Part::Text(text) => {
                self.0.write_u64((text.len() as u64) << 1);
                self.0.write(text.as_bytes());
            }
            Part::Tokens(tokens) => self.0.write_u64(tokens << 1 | 1),
        }
    }

    pub(super) fn finish(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokenizer;

    fn digest(digests: &Digests, model: &str, kind: u8, parts: &[Part<'_>]) -> u64 {
        let mut digest = digests.begin(&Tokenizer::of_name(model), kind);
        parts.iter().for_each(|part| digest.push(*part));
        digest.finish()
    }

    #[test]
    fn what_is_counted_differently_has_another_digest() {
        let digests = Digests::new();
        let (ab, a, b) = (Part::Text("ab"), Part::Text("a"), Part::Text("b"));
        let lists: [&[Part<'_>]; 8] = [
            &[],
            &[ab],
            &[a, b],
            &[b, a],
            &[Part::Text(""), ab],
            &[Part::Tokens(1)],
            &[Part::Tokens(1), Part::Tokens(1)],
            &[Part::Tokens(2), ab],
        ];
        let mut seen: Vec<u64> = lists.iter().map(|parts| digest(&digests, "gpt-4o", b'm', parts)).collect();
        seen.push(digest(&digests, "gpt-4o", b't', &[ab]));
        seen.push(digest(&digests, "gpt-4", b'm', &[ab]));
        let distinct: std::collections::HashSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len());
        assert_eq!(digest(&digests, "gpt-4.1", b'm', &[ab]), seen[1], "which counts as gpt-4o does");
    }

    #[test]
    fn nobody_can_know_a_digest_beforehand() {
        let [one, other] = [Digests::new(), Digests::new()].map(|it| digest(&it, "gpt-4o", b'm', &[Part::Text("a")]));
        assert_ne!(one, other);
    }
}
