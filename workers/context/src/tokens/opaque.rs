//! What a block costs that only its dialect understands: audio, a file.

use serde_json::Value;

use super::file;
use super::part::Part;
use super::tokenizer::Tokenizer;

/// Texts up to this size are read as text whatever they look like.
const SHORT: usize = 4096;

/// Hands out what is counted of `value`: its JSON text, but an embedded file as such.
pub(super) fn parts(tokenizer: &Tokenizer, value: &Value, each: &mut impl FnMut(Part<'_>)) {
    walk(tokenizer, value, false, each);
}

/// `is_audio`: within a field that says so.
fn walk(tokenizer: &Tokenizer, value: &Value, is_audio: bool, each: &mut impl FnMut(Part<'_>)) {
    match value {
        Value::String(text) if is_file(text) => {
            each(Part::Tokens(file::tokens(tokenizer.images, text, is_audio)));
        }
        Value::String(text) => {
            each(Part::Text(text));
            each(Part::Tokens(2));
        }
        Value::Array(items) => {
            each(Part::Tokens(2 + items.len() as u64));
            items.iter().for_each(|item| walk(tokenizer, item, is_audio, each));
        }
        Value::Object(fields) => {
            each(Part::Tokens(2 + 3 * fields.len() as u64));
            for (name, value) in fields {
                each(Part::Text(name));
                walk(tokenizer, value, is_audio || name == "input_audio", each);
            }
        }
        Value::Null | Value::Bool(_) => each(Part::Tokens(1)),
        Value::Number(number) => each(Part::Text(&number.to_string())),
    }
}

/// Whether this is a file: a picture of any size, or long enough to be told from text.
fn is_file(text: &str) -> bool {
    (text.len() > SHORT || text.starts_with("data:image/")) && is_encoded(text)
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
    use crate::tokens::image_size::tests::png;

    fn count(value: &Value) -> u64 {
        let (tokenizer, mut sum) = (Tokenizer::of_name("gpt-4o"), 0);
        parts(&tokenizer, value, &mut |part| sum += part.tokens(&tokenizer));
        sum
    }

    #[test]
    fn a_file_is_counted_by_its_size() {
        let data = "QUJD".repeat(16_000);
        for value in [json!(data), json!(format!("data:application/pdf;base64,{data}"))] {
            assert_eq!(count(&value), 2000);
        }
        let audio = json!({ "type": "input_audio", "input_audio": { "data": data, "format": "pcm16" } });
        assert!((60..100).contains(&count(&audio)), "{}", count(&audio));
    }

    #[test]
    fn a_picture_is_counted_as_one() {
        let item =
            json!({ "type": "computer_screenshot", "image_url": format!("data:image/png;base64,{}", png(1024, 1024)) });
        assert!((765..790).contains(&count(&item)), "{}", count(&item));
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
