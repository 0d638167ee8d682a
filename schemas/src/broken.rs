//! Calls whose client lost its connection before it had its answer: for a while, the client's retry may join the job of
//! one of them. Pure; every change is a value that replaces the one it was made from, by compare-and-set.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::JobId;
use crate::state::Nonce;
use crate::timestamp::Timestamp;

/// Most calls kept under one key; the oldest go first.
pub const MOST: usize = 64;

/// One call that broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenCall {
    /// Its job.
    pub id: JobId,
    /// Names this break: the same one noted again, after a write of unknown outcome, changes nothing.
    pub nonce: Nonce,
    /// When it broke.
    pub at: Timestamp,
    /// The retry that has joined it. It stays, so that a late repetition of the note does not offer it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taker: Option<Nonce>,
}

/// The calls of one API key, route and body that broke lately, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrokenCalls(Vec<BrokenCall>);

/// What a retry finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taking {
    /// This job is the retry's already: an earlier write of unknown outcome has landed.
    Taken(JobId),
    /// This job is the retry's once the value is stored.
    Take(JobId, BrokenCalls),
    /// There is none.
    Nothing,
}

impl BrokenCalls {
    /// With `call` in it, and without those older than `keep`. `None` when it is there already.
    #[must_use]
    pub fn noted(&self, call: &BrokenCall, now: Timestamp, keep: Duration) -> Option<Self> {
        if self.0.iter().any(|known| known.nonce == call.nonce) {
            return None;
        }
        let mut calls = self.fresh(now, keep);
        calls.push(call.clone());
        let surplus = calls.len().saturating_sub(MOST);
        calls.drain(..surplus);
        Some(Self(calls))
    }

    /// The oldest call that no retry has joined, for the retry that `taker` names.
    #[must_use]
    pub fn taking(&self, taker: &Nonce, now: Timestamp, keep: Duration) -> Taking {
        if let Some(mine) = self.0.iter().find(|call| call.taker.as_ref() == Some(taker)) {
            return Taking::Taken(mine.id);
        }
        let mut calls = self.fresh(now, keep);
        let Some(call) = calls.iter_mut().find(|call| call.taker.is_none()) else { return Taking::Nothing };
        call.taker = Some(taker.clone());
        Taking::Take(call.id, Self(calls))
    }

    fn fresh(&self, now: Timestamp, keep: Duration) -> Vec<BrokenCall> {
        self.0.iter().filter(|call| now.since(call.at) < keep).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const KEEP: Duration = Duration::from_secs(120);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn call(number: u128, seconds: i64) -> BrokenCall {
        BrokenCall { id: JobId::new(at(0), number), nonce: Nonce::new(number), at: at(seconds), taker: None }
    }

    fn taken(calls: &BrokenCalls, taker: u128, seconds: i64) -> Option<(JobId, BrokenCalls)> {
        match calls.taking(&Nonce::new(taker), at(seconds), KEEP) {
            Taking::Take(id, calls) => Some((id, calls)),
            Taking::Taken(_) | Taking::Nothing => None,
        }
    }

    #[test]
    fn the_oldest_goes_first_and_each_once() {
        let calls = BrokenCalls::default().noted(&call(1, 0), at(0), KEEP).unwrap();
        let calls = calls.noted(&call(2, 1), at(1), KEEP).unwrap();
        let (first, calls) = taken(&calls, 10, 2).unwrap();
        let (second, calls) = taken(&calls, 11, 2).unwrap();
        assert_eq!((first, second), (call(1, 0).id, call(2, 1).id));
        assert_eq!(taken(&calls, 12, 2), None);
    }

    #[test]
    fn a_repeated_write_changes_nothing() {
        let calls = BrokenCalls::default().noted(&call(1, 0), at(0), KEEP).unwrap();
        let (id, calls) = taken(&calls, 10, 1).unwrap();
        assert_eq!(calls.taking(&Nonce::new(10), at(2), KEEP), Taking::Taken(id));
        assert_eq!(calls.noted(&call(1, 0), at(3), KEEP), None, "noted again it is not offered again");
    }

    #[test]
    fn what_is_too_old_is_not_joined() {
        let calls = BrokenCalls::default().noted(&call(1, 0), at(0), KEEP).unwrap();
        assert_eq!(taken(&calls, 10, 120), None);
        assert!(taken(&calls, 10, 119).is_some());
    }

    proptest! {
        #[test]
        fn no_break_is_ever_joined_by_two(steps in proptest::collection::vec((any::<bool>(), 0_u128..6, 0_i64..60), 0..80)) {
            let (mut calls, mut joined, mut now, mut taker) = (BrokenCalls::default(), BTreeSet::new(), 0, 100);
            for (note, number, pause) in steps {
                now += pause;
                if note {
                    // The same break may be noted again, however late.
                    calls = calls.noted(&call(number, 0), at(now.min(119)), KEEP).unwrap_or(calls);
                } else {
                    taker += 1;
                    if let Some((id, after)) = taken(&calls, taker, now) {
                        prop_assert!(joined.insert(id), "{id} was joined twice");
                        calls = after;
                    }
                }
                prop_assert!(calls.0.len() <= MOST);
            }
        }
    }
}
