//! Counts beside those that the tokenizers themselves make of the corpus, which `tests/bench/calibrate.py` wrote down.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::calibration::Calibration;
use super::encoding::Encoding;
use super::tokenizer::{TextRule, Tokenizer};

/// Most that an estimate may be off on all of the held-out corpus.
const TOTAL: f64 = 0.02;
/// Most that one of Claude's or Mistral's may be off on a category of those named here, ...
const NAMED: (f64, [&str; 6]) = (0.05, ["prose", "cjk", "emoji", "code", "json", "base64"]);
/// ... and any on any: half of the texts in `markdown` are a diagram drawn with lines, of which few are in the training.
const ANY: f64 = 0.06;

/// What a tokenizer made of each text, by its title.
type Counts = BTreeMap<String, u64>;

#[derive(Deserialize)]
struct Reference {
    train: Counts,
    held: Counts,
    examples: Counts,
}

fn corpus(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(path)).unwrap()
}

fn references() -> BTreeMap<String, Reference> {
    serde_json::from_str(&corpus("counts.json")).unwrap()
}

/// Estimated and counted tokens of the held-out texts of each category, and of all under the name `total`.
fn by_category(reference: &Reference, by: Calibration) -> BTreeMap<String, (u64, u64)> {
    let mut sums = BTreeMap::<String, (u64, u64)>::new();
    for (title, counted) in &reference.held {
        let estimated = by.count(&corpus(&format!("held/{title}.txt")));
        for name in [title.split('-').next().unwrap(), "total"] {
            let sum = sums.entry(name.to_owned()).or_default();
            *sum = (sum.0 + estimated, sum.1 + counted);
        }
    }
    sums
}

#[test]
fn openais_encodings_count_as_tiktoken_does() {
    let references = references();
    for name in ["o200k_base", "cl100k_base"] {
        let (encoding, reference) = (Encoding::by_name(name).unwrap(), &references[name]);
        for (split, counts) in [("train", &reference.train), ("held", &reference.held)] {
            assert!(counts.len() > 30);
            for (title, counted) in counts {
                assert_eq!(encoding.count(&corpus(&format!("{split}/{title}.txt"))), *counted, "{title} by {name}");
            }
        }
        for (text, counted) in &reference.examples {
            assert_eq!(encoding.count(text), *counted, "{text:?} by {name}");
        }
    }
}

#[test]
fn models_have_the_encodings_that_tiktoken_gives_them() {
    let models: BTreeMap<String, String> = serde_json::from_str(&corpus("openai-models.json")).unwrap();
    let mut known = 0;
    for (model, encoding) in &models {
        // GPT-OSS adds marks of its own to o200k_base; text reads the same. Other encodings never had a chat API.
        let encoding = if encoding == "o200k_harmony" { "o200k_base" } else { encoding };
        if let Some(encoding) = Encoding::by_name(encoding) {
            assert_eq!(Tokenizer::of_name(model).text, TextRule::Exact(encoding), "{model}");
            known += 1;
        }
    }
    assert!(known >= 25, "{known}");
}

#[test]
fn estimates_are_within_bounds_on_texts_they_were_not_fitted_to() {
    let references = references();
    for (name, by) in [
        ("claude", Calibration::Claude),
        ("mistral_v3", Calibration::MistralV3),
        ("mistral_tekken", Calibration::MistralTekken),
        ("llama_3", Calibration::Llama3),
        ("llama_4", Calibration::Llama4),
        ("qwen", Calibration::Qwen),
        ("deepseek", Calibration::DeepSeek),
    ] {
        for (category, (estimated, counted)) in by_category(&references[name], by) {
            let strict = name == "claude" || name.starts_with("mistral");
            let bound = match &*category {
                "total" => TOTAL,
                one if strict && NAMED.1.contains(&one) => NAMED.0,
                _ => ANY,
            };
            let off = estimated as f64 / counted as f64 - 1.0;
            assert!(off.abs() <= bound, "{category} by {name}: {off:+.3} of {counted}");
        }
    }
}
