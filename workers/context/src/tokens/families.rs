//! What is known of each family of models, as data. In each table the first row that matches wins.

use schemas::catalog::Model;

use super::calibration::Calibration;
use super::encoding::Encoding::{self, Cl100kBase, O200kBase};
use super::tokenizer::{ImageRule, TextRule, Tokenizer, ToolRule};

/// OpenAI's models, by how their names begin; text counts exactly. Their encodings: `model.py` of tiktoken, less those
/// that never had a chat API. Their pictures: "Images and vision" in OpenAI's guides.
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
    ("text-embedding-", Cl100kBase, ImageRule::Flat { tokens: 0 }),
    ("davinci-002", Cl100kBase, ImageRule::Flat { tokens: 0 }),
    ("babbage-002", Cl100kBase, ImageRule::Flat { tokens: 0 }),
    ("echo", O200kBase, ImageRule::Tiles { base: 85, tile: 170 }),
];

/// Everyone else's, by a word anywhere in the name, are estimates.
const OTHERS: &[(&str, TextRule, ImageRule)] = &[
    // The one tokenizer of Claude's that was published was that of Claude 2.
    ("claude-2", as_fitted(Calibration::Claude), ImageRule::Area { most: 1600 }),
    ("claude-instant", as_fitted(Calibration::Claude), ImageRule::Area { most: 1600 }),
    // From Opus 4.7 on the vocabulary makes up to 1.35 times as many tokens, says Anthropic, and pictures are larger.
    ("claude-opus-4-7", CLAUDE_4_7, ImageRule::Area { most: 4784 }),
    ("claude-opus-4.7", CLAUDE_4_7, ImageRule::Area { most: 4784 }),
    ("claude-opus-4-8", CLAUDE_4_7, ImageRule::Area { most: 4784 }),
    ("claude-opus-4.8", CLAUDE_4_7, ImageRule::Area { most: 4784 }),
    ("claude-3", CLAUDE_3, ImageRule::Area { most: 1600 }),
    ("claude-haiku-4", CLAUDE_3, ImageRule::Area { most: 1600 }),
    ("claude-sonnet-4", CLAUDE_3, ImageRule::Area { most: 1600 }),
    ("claude-opus-4", CLAUDE_3, ImageRule::Area { most: 1600 }),
    ("claude", CLAUDE_4_7, ImageRule::Area { most: 4784 }),
    ("llama-4", as_fitted(Calibration::Llama4), ImageRule::Flat { tokens: 6500 }),
    ("llama4", as_fitted(Calibration::Llama4), ImageRule::Flat { tokens: 6500 }),
    ("llama-3", as_fitted(Calibration::Llama3), ImageRule::Flat { tokens: 6500 }),
    ("llama3", as_fitted(Calibration::Llama3), ImageRule::Flat { tokens: 6500 }),
    ("qwen", as_fitted(Calibration::Qwen), ImageRule::Flat { tokens: 1300 }),
    ("qwq", as_fitted(Calibration::Qwen), ImageRule::Flat { tokens: 1300 }),
    ("deepseek", as_fitted(Calibration::DeepSeek), ImageRule::Flat { tokens: 1300 }),
    // Before "tekken"; which are so, `mistral-common` says.
    ("mistral-7b", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("mistral-tiny", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("mistral-small-2312", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("mistral-small-2402", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("mistral-medium-2312", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("mistral-large-2402", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("mistral-large-2407", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("mistral-large-2411", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("mixtral", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("mathstral", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("codestral-2405", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("codestral-22b", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("codestral-mamba", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("pixtral-large", as_fitted(Calibration::MistralV3), ImageRule::Flat { tokens: 4100 }),
    ("mistral", as_fitted(Calibration::MistralTekken), ImageRule::Flat { tokens: 4100 }),
    ("ministral", as_fitted(Calibration::MistralTekken), ImageRule::Flat { tokens: 4100 }),
    ("pixtral", as_fitted(Calibration::MistralTekken), ImageRule::Flat { tokens: 4100 }),
    ("codestral", as_fitted(Calibration::MistralTekken), ImageRule::Flat { tokens: 4100 }),
    ("devstral", as_fitted(Calibration::MistralTekken), ImageRule::Flat { tokens: 4100 }),
    ("magistral", as_fitted(Calibration::MistralTekken), ImageRule::Flat { tokens: 4100 }),
    ("voxtral", as_fitted(Calibration::MistralTekken), ImageRule::Flat { tokens: 4100 }),
    // Guesses from here on, meant to be high: one too high prunes early, one too low makes the provider refuse.
    ("gemini", guess(120), ImageRule::Flat { tokens: 1290 }),
    ("gemma", guess(120), ImageRule::Flat { tokens: 260 }),
    ("grok", guess(120), ImageRule::Flat { tokens: 1800 }),
];

/// The vocabulary of Claude 3 to 4.6 is unpublished: a guess. Published comparisons of Claude 3.5 with GPT-4o found 16 %
/// more tokens for English, 21 % for mathematics and 30 % for Python; that is about a seventh above Claude 2's, rounded up.
const CLAUDE_3: TextRule = TextRule::Calibrated { by: Calibration::Claude, percent: 120 };
/// 1.35 times that.
const CLAUDE_4_7: TextRule = TextRule::Calibrated { by: Calibration::Claude, percent: 162 };

/// A model that no row knows.
const UNKNOWN: (TextRule, ImageRule) = (guess(130), ImageRule::Flat { tokens: 1600 });

const fn as_fitted(by: Calibration) -> TextRule {
    TextRule::Calibrated { by, percent: 100 }
}

const fn guess(percent: u32) -> TextRule {
    TextRule::Scaled { encoding: O200kBase, percent }
}

impl Tokenizer {
    /// How `model` counts under its name `upstream` at its provider. `Model.encoding` overrules what the name says of
    /// the text and makes it exact.
    #[must_use]
    pub fn of_model(model: &Model, upstream: &str) -> Self {
        let family = Self::of_name(upstream);
        match model.encoding.as_deref().and_then(Encoding::by_name) {
            Some(encoding) => Self { text: TextRule::Exact(encoding), ..family },
            None => family,
        }
    }

    /// How a model counts, by its name alone. Case, a path before the name (`openai/gpt-4o`) and `ft:` do not matter.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let name = name.rsplit('/').next().unwrap_or_default();
        let name = name.strip_prefix("ft:").unwrap_or(name);
        if let Some((_, encoding, images)) = OPENAI.iter().find(|(word, ..)| name.starts_with(word)) {
            return openai(*encoding, *images);
        }
        let row = OTHERS.iter().find(|(word, ..)| name.contains(word));
        let (text, images) = row.map_or(UNKNOWN, |(_, text, images)| (*text, *images));
        // Anthropic's figure for the instructions that come with tools is the largest that is documented.
        Self { text, images, frame: frame(text), tool_call: 24, tools: ToolRule::Json { base: 350 } }
    }
}

/// Marks and role around a message, by the chat template of the family, or more than those have that are known.
const fn frame(text: TextRule) -> u32 {
    use Calibration::{Claude, DeepSeek, Llama3, Llama4, MistralTekken, MistralV3, Qwen};
    match text {
        TextRule::Calibrated { by: MistralV3 | MistralTekken | DeepSeek, .. } => 2,
        TextRule::Calibrated { by: Claude, .. } => 4,
        TextRule::Calibrated { by: Llama3 | Llama4 | Qwen, .. } => 5,
        TextRule::Exact(_) | TextRule::Scaled { .. } => 6,
    }
}

fn openai(encoding: Encoding, images: ImageRule) -> Tokenizer {
    let function = if encoding == O200kBase { 7 } else { 10 };
    let tools = ToolRule::Cookbook { function };
    Tokenizer { text: TextRule::Exact(encoding), images, frame: 4, tool_call: 8, tools }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_family() {
        let exact = TextRule::Exact;
        for (name, text) in [
            ("gpt-4o-2024-08-06", exact(O200kBase)),
            ("openai/gpt-4.1-mini", exact(O200kBase)),
            ("ft:gpt-4o-mini:acme::x", exact(O200kBase)),
            ("gpt-4-turbo", exact(Cl100kBase)),
            ("gpt-35-turbo-16k", exact(Cl100kBase)),
            ("o3-mini", exact(O200kBase)),
            ("echo-slow-500ms", exact(O200kBase)),
            ("claude-2.1", as_fitted(Calibration::Claude)),
            ("claude-sonnet-4-5", CLAUDE_3),
            ("claude-opus-4-1-20250805", CLAUDE_3),
            ("us.anthropic.claude-opus-4-7-v1:0", CLAUDE_4_7),
            ("meta-llama/Llama-3.3-70B-Instruct", as_fitted(Calibration::Llama3)),
            ("open-mistral-7b", as_fitted(Calibration::MistralV3)),
            ("mistral-large-latest", as_fitted(Calibration::MistralTekken)),
            ("somebody-7b", guess(130)),
            ("", guess(130)),
        ] {
            assert_eq!(Tokenizer::of_name(name).text, text, "{name}");
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
