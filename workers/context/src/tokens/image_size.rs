//! A picture's width and height, from the first bytes of its file: PNG, JPEG, GIF, WebP.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Base64 characters that are decoded: enough for every format but JPEG, whose size comes after its metadata; and, if
/// that was not it, enough for 64 KiB of these, or several such.
const HEADS: [usize; 2] = [1024, 256 * 1024];

/// Width and height, both above zero; `None` where they cannot be read.
pub(super) fn of_base64(data: &str) -> Option<(u32, u32)> {
    HEADS.iter().find_map(|head| {
        let whole = data.len().min(*head) / 4 * 4;
        let bytes = STANDARD.decode(data.as_bytes().get(..whole)?).ok()?;
        of_bytes(&bytes).filter(|(width, height)| *width > 0 && *height > 0)
    })
}

fn of_bytes(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some((be32(bytes, 16)?, be32(bytes, 20)?)),
        [b'G', b'I', b'F', b'8', ..] => Some((le(bytes, 6, 2)?, le(bytes, 8, 2)?)),
        [0xff, 0xd8, ..] => jpeg(bytes),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp(bytes),
        _ => None,
    }
}

/// Walks the segments to the frame header (SOF0 to SOF15 but for the three of that range that are none).
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        match bytes.get(at..at + 2)? {
            [0xff, 0xff] => at += 1,
            [0xff, 0xc0..=0xcf] if !matches!(bytes[at + 1], 0xc4 | 0xc8 | 0xcc) => {
                return Some((be16(bytes, at + 7)?, be16(bytes, at + 5)?));
            }
            [0xff, _] => at += 2 + be16(bytes, at + 2)?.max(2) as usize,
            _ => return None,
        }
    }
}

/// The three forms of RFC 9649: lossy, lossless, extended.
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8 " => Some((le(bytes, 26, 2)? & 0x3fff, le(bytes, 28, 2)? & 0x3fff)),
        b"VP8L" => {
            let bits = le(bytes, 21, 4)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => Some((le(bytes, 24, 3)? + 1, le(bytes, 27, 3)? + 1)),
        _ => None,
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 2).map(|two| two.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(be16(bytes, at)? << 16 | be16(bytes, at + 2)?)
}

fn le(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    bytes.get(at..at + length).map(|all| all.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The head of a PNG file in base64.
    pub(in crate::tokens) fn png(width: u32, height: u32) -> String {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 6, 0, 0, 0]);
        STANDARD.encode(bytes)
    }

    #[test]
    fn each_format_tells_its_size() {
        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xff, 0xc2, 0, 17, 8];
        jpeg.extend([0x01, 0x2c, 0x02, 0x58, 3, 1, 0x22, 0, 2, 0x11, 1]);
        let lossless = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\x57\xc2\x4a\0\0\0".to_vec();
        let extended = b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x57\x02\0\x2b\x01\0".to_vec();
        let lossy = b"RIFF\x1a\0\0\0WEBPVP8 \x0a\0\0\0\x30\x01\0\x9d\x01\x2a\x58\x02\x2c\x01".to_vec();
        for bytes in [jpeg, lossless, extended, lossy, b"GIF89a\x58\x02\x2c\x01\0\0".to_vec()] {
            assert_eq!(of_base64(&STANDARD.encode(&bytes)), Some((600, 300)), "{bytes:x?}");
        }
        assert_eq!(of_base64(&png(600, 300)), Some((600, 300)));
    }

    #[test]
    fn a_picture_without_a_size_has_none() {
        for data in ["", "!!!!", "iVBORw0KGgo=", "/9j/4AAQ", &png(0, 7)] {
            assert_eq!(of_base64(data), None, "{data}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(head in 0..5_usize, bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let heads: [&[u8]; 5] = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF....WEBPVP8"];
            let _: Option<(u32, u32)> = of_bytes(&[heads[head], &bytes].concat());
        }
    }
}
