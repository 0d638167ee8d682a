//! What is known of each family of models, as data. In each table the first row that matches wins.

use super::encoding::Encoding::{self, Cl100kBase, O200kBase};
use super::tokenizer::{ImageRule, Tokenizer, ToolRule};

/// OpenAI's models, by how their names begin; text counts exactly. Their pictures: "Images and vision" in OpenAI's
/// guides.
const OPENAI: &[(&str, Encoding, ImageRule)] = &[
    ("gpt-4o-mini", O200kBase, ImageRule::Tiles { base: 2833, tile: 5667 }),
    ("gpt-4o", O200kBase, ImageRule::Tiles { base: 85, tile: 170 }),
    ("chatgpt-4o", O200kBase, ImageRule::Tiles { base: 85, tile: 170 }),
    ("gpt-4.1-mini", O200kBase, ImageRule::Patches { percent: 162 }),
    ("gpt-4.1-nano", O200kBase, ImageRule::Patches { percent: 246 }),
    ("gpt-4.1", O200kBase, ImageRule::Tiles { base: 85, tile: 170 }),
    ("gpt-4.5", O200kBase, ImageRule::Tiles { base: 85, tile: 170 }),
    ("gpt-5-mini", O200kBase, ImageRule::Patches { percent: 162 }),
    ("gpt-5-nano", O200kBase, ImageRule::Patches { percent: 246 }),
    // Point versions differ among themselves; this is the largest factor that one of them has.
    ("gpt-5.", O200kBase, ImageRule::Patches { percent: 246 }),
    ("gpt-5", O200kBase, ImageRule::Tiles { base: 70, tile: 140 }),
    ("gpt-oss", O200kBase, ImageRule::Tiles { base: 85, tile: 170 }),
    ("codex-mini", O200kBase, ImageRule::Patches { percent: 172 }),
    ("o4-mini", O200kBase, ImageRule::Patches { percent: 172 }),
    ("o1", O200kBase, ImageRule::Tiles { base: 75, tile: 150 }),
    ("o3", O200kBase, ImageRule::Tiles { base: 75, tile: 150 }),
    ("o4", O200kBase, ImageRule::Tiles { base: 75, tile: 150 }),
    ("gpt-4", Cl100kBase, ImageRule::Tiles { base: 85, tile: 170 }),
    ("gpt-3.5", Cl100kBase, ImageRule::Tiles { base: 85, tile: 170 }),
    ("gpt-35", Cl100kBase, ImageRule::Tiles { base: 85, tile: 170 }),
    ("echo", O200kBase, ImageRule::Tiles { base: 85, tile: 170 }),
];

/// Everyone else's, by a word anywhere in the name, are estimates: the nearest encoding, and tokens for each hundred of
/// it. The factors are meant to be high: one too high prunes early, one too low makes the provider refuse.
const OTHERS: &[(&str, Encoding, u32, ImageRule)] = &[
    // Before Opus 4.7, whose vocabulary makes up to 1.35 times as many tokens, and sees larger pictures.
    ("claude-3", O200kBase, 140, ImageRule::Area { most: 1600 }),
    ("claude-haiku-4", O200kBase, 140, ImageRule::Area { most: 1600 }),
    ("claude-sonnet-4", O200kBase, 140, ImageRule::Area { most: 1600 }),
    ("claude", O200kBase, 180, ImageRule::Area { most: 4784 }),
    // Vocabularies grown from tiktoken's own.
    ("llama-3", Cl100kBase, 105, ImageRule::Flat { tokens: 6500 }),
    ("llama3", Cl100kBase, 105, ImageRule::Flat { tokens: 6500 }),
    ("qwen", Cl100kBase, 110, ImageRule::Flat { tokens: 1300 }),
    // Vocabularies of 100,000 to 260,000.
    ("gemini", O200kBase, 120, ImageRule::Flat { tokens: 1290 }),
    ("gemma", O200kBase, 120, ImageRule::Flat { tokens: 260 }),
    ("deepseek", O200kBase, 115, ImageRule::Flat { tokens: 1300 }),
    ("grok", O200kBase, 120, ImageRule::Flat { tokens: 1800 }),
    // Vocabularies of 32,000 for the older of them.
    ("mistral", Cl100kBase, 130, ImageRule::Flat { tokens: 4100 }),
    ("mixtral", Cl100kBase, 130, ImageRule::Flat { tokens: 4100 }),
    ("ministral", Cl100kBase, 130, ImageRule::Flat { tokens: 4100 }),
    ("pixtral", Cl100kBase, 130, ImageRule::Flat { tokens: 4100 }),
    ("codestral", Cl100kBase, 130, ImageRule::Flat { tokens: 4100 }),
];

/// A model that no row knows.
const UNKNOWN: (Encoding, u32, ImageRule) = (O200kBase, 130, ImageRule::Flat { tokens: 1600 });

/// How the model `name` counts. Case, a path before the name (`openai/gpt-4o`) and `ft:` do not matter.
pub(super) fn of_name(name: &str) -> Tokenizer {
    let name = name.to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default();
    let name = name.strip_prefix("ft:").unwrap_or(name);
    if let Some((_, encoding, images)) = OPENAI.iter().find(|(word, ..)| name.starts_with(word)) {
        return openai(*encoding, *images);
    }
    let row = OTHERS.iter().find(|(word, ..)| name.contains(word));
    let (encoding, percent, images) =
        row.map_or(UNKNOWN, |(_, encoding, percent, images)| (*encoding, *percent, *images));
    // Anthropic's figure for the instructions that come with tools is the largest that is documented.
    Tokenizer { encoding, percent, images, frame: 6, tool_call: 24, tools: ToolRule::Json { base: 350 } }
}

fn openai(encoding: Encoding, images: ImageRule) -> Tokenizer {
    let function = if encoding == O200kBase { 7 } else { 10 };
    Tokenizer { encoding, percent: 100, images, frame: 4, tool_call: 8, tools: ToolRule::Cookbook { function } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_family() {
        for (name, encoding, percent) in [
            ("gpt-4o-2024-08-06", O200kBase, 100),
            ("openai/gpt-4.1-mini", O200kBase, 100),
            ("ft:gpt-4o-mini:acme::x", O200kBase, 100),
            ("gpt-4-turbo", Cl100kBase, 100),
            ("gpt-35-turbo-16k", Cl100kBase, 100),
            ("o3-mini", O200kBase, 100),
            ("echo-slow-500ms", O200kBase, 100),
            ("claude-sonnet-4-5", O200kBase, 140),
            ("us.anthropic.claude-opus-4-7-v1:0", O200kBase, 180),
            ("meta-llama/Llama-3.3-70B-Instruct", Cl100kBase, 105),
            ("somebody-7b", O200kBase, 130),
            ("", O200kBase, 130),
        ] {
            let tokenizer = of_name(name);
            assert_eq!((tokenizer.encoding, tokenizer.percent), (encoding, percent), "{name}");
        }
    }

    #[test]
    fn no_row_hides_behind_an_earlier_one() {
        for (index, (word, ..)) in OPENAI.iter().enumerate() {
            assert!(!OPENAI[..index].iter().any(|(earlier, ..)| word.starts_with(earlier)), "{word}");
        }
        for (index, (word, ..)) in OTHERS.iter().enumerate() {
            assert!(!OTHERS[..index].iter().any(|(earlier, ..)| word.contains(earlier)), "{word}");
        }
    }
}
