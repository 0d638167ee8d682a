//! The byte pair encodings, compiled in, behind a guard against texts made to be slow.

use std::collections::HashSet;
use std::sync::OnceLock;

use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

use super::features::{Features, Shape};
use super::split::{Chunk, chunks};

/// More than any encoding has.
const MOST_TOKENS: u32 = 200_100;

/// Most bytes given to the encoder at once. It needs some 60 bytes of memory for each byte of a run, and its regular
/// expression gives up after a million steps back: both stay far away at this size.
const CHUNK_BYTES: usize = 16 * 1024;

/// Added for each cut within a run. A cut shifts how the text around it is read; over 300,000 random texts that never
/// saved more than 2 tokens a cut.
const CUT: u64 = 8;

/// A byte pair encoding of OpenAI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// GPT-4o and everything after it.
    O200kBase,
    /// GPT-4 and GPT-3.5.
    Cl100kBase,
}

impl Encoding {
    /// By its name in tiktoken: `o200k_base` or `cl100k_base`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "o200k_base" => Some(Self::O200kBase),
            "cl100k_base" => Some(Self::Cl100kBase),
            _ => None,
        }
    }

    /// Builds the tables of this encoding (tens of megabytes, some hundred milliseconds), which the first count does
    /// otherwise. Roles call it at start, so that neither falls on a request.
    pub fn warm_up(self) {
        shapes(self);
    }

    /// Tokens of `text`, special tokens read as plain text, as providers do.
    ///
    /// Exact for any text in which no 16 KiB go by without a place where the encoding always splits: a blank after a
    /// word, or a line end before one. A longer run is cut, and each cut adds some tokens, so that the sum errs upwards.
    #[must_use]
    pub fn count(self, text: &str) -> u64 {
        self.count_in_chunks(text, CHUNK_BYTES)
    }

    fn count_in_chunks(self, text: &str, limit: usize) -> u64 {
        let count = |chunk: Chunk<'_>| self.count_chunk(chunk.text) + if chunk.forced { CUT } else { 0 };
        chunks(text, limit).map(count).sum()
    }

    /// Of what kinds the tokens of `text` are, in the same chunks. Another tokenizer's count is estimated from them.
    #[must_use]
    pub fn features(self, text: &str) -> Features {
        let shapes = shapes(self);
        let mut features = Features::default();
        for chunk in chunks(text, CHUNK_BYTES) {
            match self.encode(chunk.text) {
                Some(tokens) => features.extend(tokens.iter().filter_map(|token| shapes.get(*token as usize))),
                None => features.add(chunk.text.len() as u64),
            }
            if chunk.forced {
                features.add(CUT);
            }
        }
        features
    }

    /// The bytes of one token.
    fn bytes(self, token: u32) -> Option<Vec<u8>> {
        self.tables().decode_bytes(&[token]).ok()
    }

    fn count_chunk(self, text: &str) -> u64 {
        self.encode(text).map_or(text.len(), |tokens| tokens.len()) as u64
    }

    /// The regular expression cannot fail on a text of a chunk's size; were it to, a token has at least one byte.
    fn encode(self, text: &str) -> Option<Vec<u32>> {
        self.tables().encode(text, &HashSet::new()).ok().map(|(tokens, _)| tokens)
    }

    fn tables(self) -> &'static CoreBPE {
        match self {
            Self::O200kBase => o200k_base_singleton(),
            Self::Cl100kBase => cl100k_base_singleton(),
        }
    }
}

/// The shapes of an encoding's tokens, by number: made once, three bytes each.
fn shapes(encoding: Encoding) -> &'static [Shape] {
    static O200K: OnceLock<Vec<Shape>> = OnceLock::new();
    static CL100K: OnceLock<Vec<Shape>> = OnceLock::new();
    let shapes = match encoding {
        Encoding::O200kBase => &O200K,
        Encoding::Cl100kBase => &CL100K,
    };
    let shape = |token| encoding.bytes(token).map(|bytes| Shape::of(token, &bytes));
    shapes.get_or_init(|| (0..MOST_TOKENS).map_while(shape).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tokens::kind::KINDS;

    const BOTH: [Encoding; 2] = [Encoding::O200kBase, Encoding::Cl100kBase];

    #[test]
    fn every_token_of_an_encoding_has_a_shape() {
        assert_eq!(shapes(Encoding::O200kBase).len(), 199_998);
        assert_eq!(shapes(Encoding::Cl100kBase).len(), 100_256);
    }

    #[test]
    fn there_are_as_many_as_tokens() {
        for text in ["", "The 12345 cats, naïve & 日本語 🎉\n\n", "\u{0301}\u{0301}a\u{200d}", "x == -1;\r\n"] {
            for encoding in BOTH {
                let features = encoding.features(text);
                assert_eq!(features.0[..KINDS].iter().sum::<u64>(), encoding.count(text), "{text:?}");
            }
        }
    }

    #[test]
    fn counts_are_those_of_openai() {
        // From OpenAI's cookbook, "How to count tokens with tiktoken": (text, cl100k_base, o200k_base).
        let known = [
            ("tiktoken is great!", 6, 6),
            ("antidisestablishmentarianism", 6, 6),
            ("2 + 2 = 4", 7, 7),
            ("お誕生日おめでとう", 9, 8),
            ("", 0, 0),
        ];
        for (text, cl100k, o200k) in known {
            assert_eq!(Encoding::Cl100kBase.count(text), cl100k, "{text}");
            assert_eq!(Encoding::O200kBase.count(text), o200k, "{text}");
        }
    }

    #[test]
    fn special_tokens_are_plain_text() {
        for encoding in BOTH {
            assert!(encoding.count("<|endoftext|>") > 1);
        }
    }

    #[test]
    fn a_text_longer_than_a_chunk_counts_as_the_encoder_counts_it_whole() {
        let text =
            "Every queue, buffer and wait is bounded; so is this.\n\n\tfn main() { run() }\n/* 12345 */ ".repeat(600);
        assert!(text.len() > 3 * CHUNK_BYTES);
        for encoding in BOTH {
            assert_eq!(encoding.count(&text), encoding.tables().count_ordinary(&text) as u64);
        }
    }

    #[test]
    fn a_run_without_end_counts_as_the_encoder_counts_it_whole_and_some_for_each_cut() {
        let text = "a".repeat(4 * CHUNK_BYTES);
        for encoding in BOTH {
            assert_eq!(encoding.count(&text), encoding.tables().count_ordinary(&text) as u64 + 3 * CUT);
        }
    }

    #[test]
    fn a_cut_never_makes_a_text_smaller() {
        let text = "aaaAAaaAAAAAAaA\u{13000}\r\r\r\n\n\n";
        for encoding in BOTH {
            assert!(chunks(text, 23).any(|chunk| chunk.forced));
            assert!(encoding.count_in_chunks(text, 23) >= encoding.count_chunk(text));
        }
    }

    /// Words, blanks, line ends and runs of the kinds that the patterns of the encodings tell apart.
    const RUNS: &str = "([a-zA-Z'é日]{1,6}|[ \t]{1,9}|[\r\n]{1,4}|[0-9]{1,40}|[.,;!/=-]{1,30}|[aA]{1,60}|\\PC){0,60}";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn chunks_add_up_to_the_whole_or_more(text in RUNS, limit in 16_usize..100) {
            for encoding in BOTH {
                let (sum, whole) = (encoding.count_in_chunks(&text, limit), encoding.count_chunk(&text));
                let exact = !chunks(&text, limit).any(|chunk| chunk.forced);
                prop_assert!(if exact { sum == whole } else { sum >= whole }, "{sum} for {whole}");
            }
        }
    }
}
