//! Makes a text of foreign origin fit to be kept and shown: one line, bounded, and without anything shaped like a key.
//! Providers do repeat parts of the credential they refuse.

/// Stands where a key stood.
const REDACTED: &str = "[redacted]";

/// What the keys of well-known vendors begin with.
const KEY_PREFIXES: [&str; 16] = [
    "sk-", "sk_", "pk-", "pk_", "rk_", "gsk_", "xai-", "aiza", "hf_", "ghp_", "akia", "eyj", "r8_", "pplx-", "nvapi-",
    "tgp_",
];

/// `text` on one line, its keys redacted, cut to `max_chars`.
#[must_use]
pub fn foreign_text(text: &str, max_chars: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(4 * max_chars));
    let mut rest = text.trim();
    while !rest.is_empty() {
        let word = rest.find(|c| !is_key_char(c)).unwrap_or(rest.len());
        clean.push_str(if is_key(&rest[..word]) { REDACTED } else { &rest[..word] });
        rest = &rest[word..];
        let gap = rest.find(is_key_char).unwrap_or(rest.len());
        clean.extend(rest[..gap].chars().map(|c| if c.is_control() { ' ' } else { c }));
        rest = &rest[gap..];
    }
    cut(clean, max_chars)
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_*+/=.:~".contains(c)
}

/// Whether `word` holds what begins like a vendor's key, is masked with asterisks, or is a long run without a pattern.
fn is_key(word: &str) -> bool {
    word.contains("***")
        || is_uuid(word)
        || word.split(['=', ':', '/']).any(is_vendor_key)
        || word.split(['-', '.', ':', '=', '/']).any(is_random)
        || word.split(['-', '.', ':', '=']).any(|part| part.len() >= 32 && has_digit(part) && is_mixed_case(part))
}

fn is_vendor_key(part: &str) -> bool {
    let start = part.get(..8).unwrap_or_default().to_ascii_lowercase();
    KEY_PREFIXES.iter().any(|prefix| start.starts_with(prefix))
}

/// Long, and of letters and digits mixed; model names and dates, cut at their dashes, have no such part.
fn is_random(part: &str) -> bool {
    let has_letter = part.bytes().any(|byte| byte.is_ascii_alphabetic());
    (part.len() >= 16 && has_digit(part) && has_letter) || (part.len() >= 32 && is_mixed_case(part))
}

fn has_digit(part: &str) -> bool {
    part.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_mixed_case(part: &str) -> bool {
    part.bytes().any(|byte| byte.is_ascii_uppercase()) && part.bytes().any(|byte| byte.is_ascii_lowercase())
}

fn is_uuid(word: &str) -> bool {
    word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn cut(mut text: String, max_chars: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(max_chars) {
        let keep = text.char_indices().nth(max_chars.saturating_sub(1)).map_or(0, |(start, _)| start);
        text.truncate(keep.min(end));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_go_and_the_message_stays() {
        let told = "Incorrect API key provided: sk-proj-abc123def. See https://platform.openai.com/account/api-keys.";
        let kept = "Incorrect API key provided: [redacted] See https://platform.openai.com/account/api-keys.";
        assert_eq!(foreign_text(told, 300), kept);
        for key in [
            "AIzaSyD-9tSrke72PouQMnMX",
            "0123456789abcdef0123456789abcdef",
            "abcd****wxyz",
            "Zm9vYmFyYmF6cXV4MTIz",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ] {
            assert_eq!(foreign_text(&format!("key={key}!"), 300).matches(key).count(), 0, "{key}");
        }
        assert_eq!(foreign_text("123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", 300), REDACTED);
        assert_eq!(foreign_text("d3b07384-d9a0-4c9b-8f4e-0a1b2c3d4e5f", 300), REDACTED);
    }

    #[test]
    fn names_of_models_and_fields_stay() {
        for text in [
            "The model `gpt-4o-mini-2024-07-18` does not exist",
            "claude-3-5-sonnet-20241022, llama-3.1-70b-versatile",
            "max_completion_tokens must be below 128000 (context_length_exceeded)",
        ] {
            assert_eq!(foreign_text(text, 300), text);
        }
    }

    #[test]
    fn one_bounded_line() {
        assert_eq!(foreign_text(" a\nb\tc ", 300), "a b c");
        assert_eq!(foreign_text("ééééé", 4), "ééé…");
        assert_eq!(foreign_text("abcd", 4), "abcd");
    }

    proptest! {
        #[test]
        fn any_text_is_bounded(text: String, max in 1_usize..40) {
            let clean = foreign_text(&text, max);
            prop_assert!(clean.chars().count() <= max && !clean.contains(char::is_control));
        }

        #[test]
        fn no_key_survives_any_cut(key in "[a-z]{6}[A-Za-z0-9]{20,60}[0-9]", before in "[a-z ]{0,60} ", max in 20_usize..80) {
            let clean = foreign_text(&format!("{before}{key} rest"), max);
            prop_assert!(!clean.contains(&key[..16]), "{clean}");
        }
    }
}
