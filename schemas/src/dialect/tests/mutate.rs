//! Real bodies and streams, damaged in any way: bytes flipped, cut, repeated, put elsewhere, numbers and words changed.

use std::ops::Range;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Damaged texts of one run of the suite.
const CASES: u32 = 2000;

/// Most bytes of a damaged text.
const MOST_BYTES: usize = 1 << 16;

/// One change of a text.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Remove(Index, Index),
    Repeat(Index, Index),
    Splice(Index, Index, Index),
    Number(Index, i64),
    Word(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(place, bits)| Change::Flip(place, bits)),
        (at(), at()).prop_map(|(from, to)| Change::Remove(from, to)),
        (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (at(), at(), at()).prop_map(|(from, to, place)| Change::Splice(from, to, place)),
        (at(), any::<i64>()).prop_map(|(place, number)| Change::Number(place, number)),
        (at(), at()).prop_map(|(from, to)| Change::Word(from, to)),
    ]
}

fn range(bytes: &[u8], from: Index, to: Index) -> Range<usize> {
    let (one, other) = (from.index(bytes.len()), to.index(bytes.len()));
    one.min(other)..one.max(other)
}

/// The places of `"..."`, as JSON and names of fields have them.
fn words(bytes: &[u8]) -> Vec<Range<usize>> {
    let quotes: Vec<_> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'"').map(|(at, _)| at).collect();
    quotes.windows(2).map(|pair| pair[0]..pair[1] + 1).collect()
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.is_empty() {
        return;
    }
    match *change {
        Change::Flip(place, bits) => {
            let place = place.index(bytes.len());
            bytes[place] ^= bits;
        }
        Change::Remove(from, to) => drop(bytes.drain(range(bytes, from, to))),
        Change::Repeat(from, to) => {
            let range = range(bytes, from, to);
            let part = bytes[range.clone()].to_vec();
            bytes.splice(range.end..range.end, part);
        }
        Change::Splice(from, to, place) => {
            let part = bytes[range(bytes, from, to)].to_vec();
            let place = place.index(bytes.len());
            bytes.splice(place..place, part);
        }
        Change::Number(place, number) => {
            let digits: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
            if !digits.is_empty() {
                let at = digits[place.index(digits.len())];
                bytes.splice(at..=at, number.to_string().into_bytes());
            }
        }
        Change::Word(from, to) => {
            let words = words(bytes);
            if !words.is_empty() {
                let word = bytes[words[from.index(words.len())].clone()].to_vec();
                bytes.splice(words[to.index(words.len())].clone(), word);
            }
        }
    }
    bytes.truncate(MOST_BYTES);
}

/// Gives `check` the `texts` damaged in many ways; for as long as `PORTBROKER_FUZZ_SECONDS` says, if it says.
pub(in crate::dialect) fn damaged(texts: &[&str], check: impl Fn(&[u8])) {
    let seconds = std::env::var("PORTBROKER_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let end = Instant::now() + Duration::from_secs(seconds);
    // The same changes in every run of the suite, others in every long one.
    let mut runner = if seconds == 0 { TestRunner::deterministic() } else { TestRunner::default() };
    let cases = (0..texts.len(), vec(change(), 1..6));
    let mut count = 0;
    while count < CASES || Instant::now() < end {
        let (text, changes) = cases.new_tree(&mut runner).unwrap().current();
        let mut bytes = texts[text].as_bytes().to_vec();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        check(&bytes);
        count += 1;
    }
    if seconds > 0 {
        println!("{count} damaged texts in {seconds} s");
    }
}
