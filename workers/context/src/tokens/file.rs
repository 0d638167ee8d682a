//! What an embedded file costs: a PDF by its pages, audio by its seconds, a picture by its size, any other by its length.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::image;
use super::tokenizer::ImageRule;

/// A page of text, at most ("PDF support" in Anthropic's documentation: 1500 to 3000 tokens a page).
const PAGE: u64 = 3000;
/// Bytes of a page whose object cannot be seen: few, so that pages are rather too many, ...
const PAGE_BYTES: u64 = 20_000;
/// ... but never more than a request may have there (the same document).
const MOST_PAGES: u64 = 100;
/// OpenAI bills ten tokens for a second of audio ("Audio" in its guides), of which compressed formats take so many bytes.
const SECOND: u64 = 10;
const SECOND_BYTES: u64 = 8000;
/// Bytes for one token of any other file.
const BYTES: u64 = 24;
/// Base64 characters of a PDF that are looked at: as much as any provider takes.
const MOST: usize = 48 << 20;
/// Base64 characters decoded at once.
const PIECE: usize = 64 << 10;
/// Bytes within which a page's type stands.
const TAIL: usize = 24;

/// Tokens of the file that `text` is in base64, with or without `data:...;base64,` before it.
pub(super) fn tokens(images: ImageRule, text: &str, is_audio: bool) -> u64 {
    let (kind, data) = text.strip_prefix("data:").and_then(|rest| rest.split_once(',')).unwrap_or(("", text));
    let head = STANDARD.decode(data.get(..64).unwrap_or_default()).unwrap_or_default();
    let bytes = data.trim_end_matches('=').len() as u64 * 3 / 4;
    match head.as_slice() {
        _ if kind.starts_with("image/") => image::of_data(images, data),
        [b'%', b'P', b'D', b'F', ..] => pages(data, bytes) * PAGE,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => seconds(bytes, byte_rate(&head)),
        _ if is_audio || kind.starts_with("audio/") || head.starts_with(b"ID3") => seconds(bytes, SECOND_BYTES),
        _ => bytes.div_ceil(BYTES),
    }
}

const fn seconds(bytes: u64, rate: u64) -> u64 {
    bytes.div_ceil(rate) * SECOND
}

/// What the header of a WAV file tells, from the slowest speech to four channels of 32 bits at 192 kHz.
fn byte_rate(head: &[u8]) -> u64 {
    let field = head.get(28..32).and_then(|rate| <[u8; 4]>::try_from(rate).ok());
    field.map_or(SECOND_BYTES, |rate| u64::from(u32::from_le_bytes(rate)).clamp(1000, 3_072_000))
}

/// The objects of pages; where they are packed, a guess by size. A page that shows something has a stream, and none of
/// these is ever packed.
fn pages(data: &str, bytes: u64) -> u64 {
    let guess = bytes.div_ceil(PAGE_BYTES).min(MOST_PAGES);
    let (mut pages, mut streams, mut buffer) = (0, 0, Vec::new());
    let all = &data.as_bytes()[..data.len().min(MOST)];
    for piece in all.chunks(PIECE) {
        let Ok(decoded) = STANDARD.decode(piece) else { return guess.max(pages) };
        buffer.extend(decoded);
        let seen = buffer.len().saturating_sub(TAIL);
        count(&buffer, seen, &mut pages, &mut streams);
        buffer.drain(..seen);
    }
    buffer.resize(buffer.len() + TAIL, b' ');
    count(&buffer, buffer.len() - TAIL, &mut pages, &mut streams);
    if pages > 0 { pages } else { guess.min(streams.max(1)) }
}

/// Counts what begins before `end`.
fn count(bytes: &[u8], end: usize, pages: &mut u64, streams: &mut u64) {
    for at in (0..end).filter(|at| matches!(bytes[*at], b'/' | b'e')) {
        *pages += u64::from(is_page(&bytes[at..]));
        *streams += u64::from(bytes[at..].starts_with(b"endstream"));
    }
}

/// `/Type /Page`, and not `/Pages`.
fn is_page(bytes: &[u8]) -> bool {
    let name = bytes.strip_prefix(b"/Type").map(<[u8]>::trim_ascii_start);
    let rest = name.and_then(|name| name.strip_prefix(b"/Page"));
    rest.is_some_and(|rest| rest.first().is_none_or(|next| !next.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::image_size::tests::png;

    const RULE: ImageRule = ImageRule::Area { most: 1600 };

    fn of(bytes: &[u8]) -> u64 {
        tokens(RULE, &STANDARD.encode(bytes), false)
    }

    #[test]
    fn a_pdf_costs_its_pages() {
        let page = |space: &str| format!("3 0 obj<</Type{space}/Page/Parent 1 0 R>>endobj {} ", "x".repeat(30_001));
        let pdf = format!("%PDF-1.4 <</Type /Pages /Count 5>> {}", [" ", "", "\n", " ", "\r\n"].map(page).concat());
        assert_eq!(of(pdf.as_bytes()), 5 * PAGE);
        let url = format!("data:application/pdf;base64,{}", STANDARD.encode(&pdf));
        assert_eq!(tokens(RULE, &url, false), 5 * PAGE);
    }

    #[test]
    fn packed_pages_are_guessed_by_size_and_streams() {
        let stream = |bytes: usize| format!("5 0 obj<<>>stream {} endstream ", "x".repeat(bytes));
        let packed = |streams: usize, bytes: usize| format!("%PDF-1.7 {}", stream(bytes).repeat(streams));
        assert_eq!(of(packed(9, 1_000_000).as_bytes()), 9 * PAGE);
        assert_eq!(of(packed(9, 1000).as_bytes()), PAGE);
        assert_eq!(of(packed(200, 50_000).as_bytes()), MOST_PAGES * PAGE);
        let broken = format!("{}\n", STANDARD.encode(packed(1, 59_900)));
        assert_eq!(tokens(RULE, &broken, false), 3 * PAGE, "where its end cannot be read");
    }

    #[test]
    fn audio_costs_its_seconds() {
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\xc0\x5d\0\0".to_vec();
        wav.extend(48_000_u32.to_le_bytes());
        wav.resize(10 * 48_000, 0);
        assert_eq!(of(&wav), 100);
        assert_eq!(of(&[b"ID3".as_slice(), &[0; 79_997]].concat()), 100);
        assert_eq!(tokens(RULE, &STANDARD.encode([7; 80_000]), true), 100);
        assert_eq!(of(&[7; 80_000]), 3334, "which nobody calls audio");
    }

    #[test]
    fn a_picture_costs_its_size() {
        assert_eq!(tokens(RULE, &format!("data:image/png;base64,{}", png(200, 200)), false), 54);
    }
}
