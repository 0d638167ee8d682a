//! What a picture costs. A picture whose size cannot be read (one behind a URL, or in an unknown format) is counted as
//! the largest there is.

use schemas::chat::ImageSource;

use super::image_size;
use super::tokenizer::ImageRule;

/// OpenAI: pictures are scaled to fit a square of this side, ...
const FIT: u64 = 2048;
/// ... then until the shorter side is this, ...
const SHORT_SIDE: u64 = 768;
/// ... and cut into squares of this side.
const TILE: u64 = 512;
/// Most squares: 768 by 2048 pixels.
const MOST_TILES: u64 = SHORT_SIDE.div_ceil(TILE) * FIT.div_ceil(TILE);
const PATCH: u64 = 32;
const MOST_PATCHES: u64 = 1536;
/// Anthropic: pixels for one token.
const AREA: u64 = 750;

/// Tokens of one picture. `detail` is `low`, `high` or `auto`; what is not low is high.
pub(super) fn tokens(rule: ImageRule, source: &ImageSource, detail: Option<&str>) -> u64 {
    match source {
        ImageSource::Base64 { data, .. } => cost(rule, || image_size::of_base64(data), detail),
        ImageSource::Url { .. } => cost(rule, || None, detail),
    }
}

/// Tokens of a picture in base64.
pub(super) fn of_data(rule: ImageRule, data: &str) -> u64 {
    cost(rule, || image_size::of_base64(data), None)
}

fn cost(rule: ImageRule, size: impl Fn() -> Option<(u32, u32)>, detail: Option<&str>) -> u64 {
    match rule {
        ImageRule::Tiles { base, .. } if detail == Some("low") => u64::from(base),
        ImageRule::Tiles { base, tile } => u64::from(base) + size().map_or(MOST_TILES, tiles) * u64::from(tile),
        ImageRule::Patches { percent } => (size().map_or(MOST_PATCHES, patches) * u64::from(percent)).div_ceil(100),
        ImageRule::Area { most } => size().map_or(u64::from(most), |size| area(size).min(u64::from(most))),
        ImageRule::Flat { tokens } => u64::from(tokens),
    }
}

fn tiles((width, height): (u32, u32)) -> u64 {
    let size = shrink((u64::from(width), u64::from(height)), u64::max, FIT);
    let (width, height) = shrink(size, u64::min, SHORT_SIDE);
    width.div_ceil(TILE) * height.div_ceil(TILE)
}

/// Scales so that the side that `side` picks is at most `to`. Pictures are never enlarged.
fn shrink((width, height): (u64, u64), side: fn(u64, u64) -> u64, to: u64) -> (u64, u64) {
    let from = side(width, height);
    if from <= to {
        return (width, height);
    }
    ((width * to / from).max(1), (height * to / from).max(1))
}

/// Larger pictures are scaled to the limit, and then until one side is of whole squares.
fn patches((width, height): (u32, u32)) -> u64 {
    let squares = |side: u32| u64::from(side).div_ceil(PATCH);
    let whole = squares(width) * squares(height);
    if whole <= MOST_PATCHES {
        return whole;
    }
    let (width, height, patch) = (f64::from(width), f64::from(height), PATCH as f64);
    let scale = (patch * patch * MOST_PATCHES as f64 / (width * height)).sqrt();
    let loss = |side: f64| (side * scale / patch).floor() / (side * scale / patch);
    let scale = scale * loss(width).min(loss(height));
    // A side of less than one square leaves nothing to scale by.
    let squares = |side: f64| ((side * scale).round() as u64).div_ceil(PATCH).max(1);
    (squares(width) * squares(height)).min(MOST_PATCHES)
}

fn area((width, height): (u32, u32)) -> u64 {
    (u64::from(width) * u64::from(height)).div_ceil(AREA)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPT_4O: ImageRule = ImageRule::Tiles { base: 85, tile: 170 };

    fn png(width: u32, height: u32) -> ImageSource {
        ImageSource::Base64 { media_type: "image/png".into(), data: image_size::tests::png(width, height) }
    }

    #[test]
    fn tiles_are_those_of_openais_examples() {
        // "Images and vision" in OpenAI's guides: 1024 x 1024 is 765 tokens, 2048 x 4096 is 1105, low detail 85.
        assert_eq!(tokens(GPT_4O, &png(1024, 1024), Some("high")), 765);
        assert_eq!(tokens(GPT_4O, &png(2048, 4096), None), 1105);
        assert_eq!(tokens(GPT_4O, &png(4096, 8192), Some("low")), 85);
        assert_eq!(tokens(GPT_4O, &png(150, 150), Some("auto")), 255);
    }

    #[test]
    fn patches_are_those_of_openais_examples() {
        // The same guide: 1024 x 1024 is 1024 squares, 1800 x 2400 is scaled to 1056 x 1408, which is 1452.
        let rule = ImageRule::Patches { percent: 100 };
        assert_eq!(tokens(rule, &png(1024, 1024), None), 1024);
        assert_eq!(tokens(rule, &png(1800, 2400), None), 1452);
        for (width, height) in [(u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX), (40, 100_000), (1537, 32 * 32)] {
            let tokens = tokens(rule, &png(width, height), None);
            assert!((1..=1536).contains(&tokens), "{width} x {height}: {tokens}");
        }
    }

    #[test]
    fn an_unknown_size_is_the_largest() {
        let url = ImageSource::Url { url: "https://example.org/x.png".into() };
        assert_eq!(tokens(GPT_4O, &url, None), 85 + 8 * 170);
        assert_eq!(tokens(GPT_4O, &png(u32::MAX, u32::MAX), None), 765);
        assert_eq!(tokens(GPT_4O, &png(u32::MAX, 1), None), 85 + 4 * 170);
        assert_eq!(tokens(ImageRule::Area { most: 1600 }, &url, None), 1600);
        assert_eq!(tokens(ImageRule::Area { most: 1600 }, &png(200, 200), None), 54);
    }
}
