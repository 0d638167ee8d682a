//! What a block costs that only its dialect understands: audio, a file.

use serde_json::Value;

use super::part::Part;

/// Texts up to this size are read as text whatever they look like.
const SHORT: usize = 4096;
/// Base64 characters for one token. A page of PDF (some 50 kB) is billed at up to 1500 tokens and a second of audio
/// (8 kB or more) at 10; both cost less than this.
const ENCODED: u64 = 32;

/// Hands out what is counted of `value`: its JSON text, but one token for every 32 characters of an embedded file.
pub(super) fn parts(value: &Value, each: &mut impl FnMut(Part<'_>)) {
    match value {
        Value::String(text) if text.len() > SHORT && is_encoded(text) => each(Part::Tokens(encoded(text))),
        Value::String(text) => {
            each(Part::Text(text));
            each(Part::Tokens(2));
        }
        Value::Array(items) => {
            each(Part::Tokens(2 + items.len() as u64));
            items.iter().for_each(|item| parts(item, each));
        }
        Value::Object(fields) => {
            each(Part::Tokens(2 + 3 * fields.len() as u64));
            for (name, value) in fields {
                each(Part::Text(name));
                parts(value, each);
            }
        }
        Value::Null | Value::Bool(_) => each(Part::Tokens(1)),
        Value::Number(number) => each(Part::Text(&number.to_string())),
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
    use crate::tokens::Tokenizer;

    fn count(value: &Value) -> u64 {
        let (tokenizer, mut sum) = (Tokenizer::of_name("gpt-4o"), 0);
        parts(value, &mut |part| sum += part.tokens(&tokenizer));
        sum
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
