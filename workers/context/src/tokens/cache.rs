//! A bounded map of counts by content, in two generations: what is used moves to the young one, and when that is full
//! the old one is forgotten whole. Constant time, and never more entries than asked for.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

/// A content's digest. It is as good as random, so it is its own hash.
pub(super) type Key = u64;

type Counts = HashMap<Key, u64, BuildHasherDefault<Hashed>>;

#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

/// Most look-ups for which the lock is held.
const AT_ONCE: usize = 1024;

/// The cache. Its lock is held for look-ups or an insertion, never while counting.
pub(super) struct Cache {
    generations: Mutex<Generations>,
}

struct Generations {
    young: Counts,
    old: Counts,
    /// Most entries of one generation.
    most: usize,
}

impl Cache {
    /// Holds at most `entries` counts; fewer than two hold none.
    pub(super) fn new(entries: usize) -> Self {
        let generations = Generations { young: Counts::default(), old: Counts::default(), most: entries / 2 };
        Self { generations: Mutex::new(generations) }
    }

    pub(super) fn get(&self, key: Key) -> Option<u64> {
        self.with(|generations| generations.get(key))
    }

    /// The count of each of the keys, if it is there.
    pub(super) fn get_all(&self, keys: &[Key]) -> Vec<Option<u64>> {
        let mut counts = Vec::with_capacity(keys.len());
        for keys in keys.chunks(AT_ONCE) {
            self.with(|generations| counts.extend(keys.iter().map(|key| generations.get(*key))));
        }
        counts
    }

    pub(super) fn put(&self, key: Key, count: u64) {
        self.with(|generations| generations.put(key, count));
    }

    pub(super) fn len(&self) -> usize {
        self.with(|generations| generations.young.len() + generations.old.len())
    }

    /// A panic elsewhere cannot leave the maps half changed, so a poisoned lock is a lock.
    fn with<T>(&self, act: impl FnOnce(&mut Generations) -> T) -> T {
        act(&mut self.generations.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    fn get(&mut self, key: Key) -> Option<u64> {
        if let Some(count) = self.young.get(&key) {
            return Some(*count);
        }
        let count = self.old.remove(&key)?;
        self.put(key, count);
        Some(count)
    }

    fn put(&mut self, key: Key, count: u64) {
        if self.most == 0 {
            return;
        }
        if self.young.len() >= self.most && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Key {
        u64::from(n)
    }

    #[test]
    fn it_never_holds_more_than_it_may() {
        for entries in [0, 1, 2, 7, 8] {
            let cache = Cache::new(entries);
            for n in 0..100 {
                cache.put(key(n), u64::from(n));
                cache.get(key(n / 2));
                assert!(cache.len() <= entries, "{} of {entries}", cache.len());
            }
        }
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let cache = Cache::new(8);
        for n in 0..50 {
            cache.put(key(n), u64::from(n));
            assert_eq!(cache.get(key(0)), Some(0), "after {n}");
        }
        assert_eq!(cache.get_all(&[key(1), key(0)]), [None, Some(0)]);
    }
}
