//! What a block costs that only its dialect understands: audio, a file.

use serde_json::Value;

use super::tokenizer::Tokenizer;

/// Texts up to this size are read as text whatever they look like.
const SHORT: usize = 4096;
/// Base64 characters for one token. A page of PDF (some 50 kB) is billed at up to 1500 tokens and a second of audio
/// (8 kB or more) at 10; both cost less than this.
const ENCODED: u64 = 32;

/// Tokens of `value`: its JSON text, but one for every 32 characters of an embedded file.
pub(super) fn tokens(tokenizer: &Tokenizer, value: &Value) -> u64 {
    match value {
        Value::String(text) if text.len() > SHORT && is_encoded(text) => encoded(text),
        Value::String(text) => tokenizer.text(text) + 2,
        Value::Array(items) => items.iter().map(|item| tokens(tokenizer, item) + 1).sum::<u64>() + 2,
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| tokenizer.text(name) + tokens(tokenizer, value) + 3).sum::<u64>() + 2
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => tokenizer.text(&value.to_string()),
    }
}

/// Tokens of a file in base64.
pub(super) const fn encoded(data: &str) -> u64 {
    (data.len() as u64).div_ceil(ENCODED)
}

/// Whether this is base64, with or without `data:...;base64,` before it.
fn is_encoded(text: &str) -> bool {
    let data = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(',').map_or(rest, |(_, data)| data),
        None => text,
    };
    data.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_\r\n".contains(&byte))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn count(value: &Value) -> u64 {
        tokens(&Tokenizer::of_name("gpt-4o"), value)
    }

    #[test]
    fn a_file_is_counted_by_its_size() {
        let data = "QUJD".repeat(16_000);
        for value in [json!(data), json!(format!("data:application/pdf;base64,{data}"))] {
            assert!((2000..2010).contains(&count(&value)), "{}", count(&value));
        }
        let audio = json!({ "type": "input_audio", "input_audio": { "data": data, "format": "wav" } });
        assert!((2000..2050).contains(&count(&audio)), "{}", count(&audio));
    }

    #[test]
    fn text_is_counted_as_text_however_long() {
        let prose = "every word of it counts. ".repeat(1000);
        assert!(count(&json!({ "type": "input_text", "text": prose })) > 5000);
    }

    #[test]
    fn it_is_no_less_than_its_json() {
        let value = json!({ "type": "file", "ids": [1, 2.5, null, true], "nested": { "file_id": "file-abc123" } });
        assert!(count(&value) >= Tokenizer::of_name("gpt-4o").text(&value.to_string()));
    }
}
