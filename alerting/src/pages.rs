//! What may be too long for one message: as many lines as fit, and how many did not; or all of a text, in as many
//! messages as it takes. Pure.

use crate::rich::{LIMIT, Rich, cut, width};

/// What the last line of a list, which says that there is more, may need.
const TAIL: usize = 120;
/// Longest title of a page, in plain units; each may be five of markup.
const TITLE: usize = 100;
/// What a page holds under its title.
const PAGE: usize = LIMIT - 5 * TITLE - 60;

/// Lines, as many as fit, and how many did not.
pub(crate) fn list(rich: &mut Rich, lines: impl ExactSizeIterator<Item = String>) {
    let total = lines.len();
    for (position, line) in lines.enumerate() {
        if !rich.append(Rich::new(LIMIT).text(&format!("\n{line}")), TAIL) {
            rich.text(&format!("\n… and {} more", total - position));
            return;
        }
    }
}

/// All of `text`, in as many messages as it takes, each under the bold `title`. Cut at white space where there is some
/// near the end of a message.
pub(crate) fn pages(title: &str, text: &str) -> Vec<Rich> {
    let mut chunks = Vec::new();
    let mut rest = text.trim_end();
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(page_end(rest));
        chunks.push(chunk);
        rest = behind;
    }
    let count = chunks.len();
    let page = |(number, chunk): (usize, &str)| {
        let mut page = Rich::new(LIMIT);
        let place = if count > 1 { format!(" ({}/{count})", number + 1) } else { String::new() };
        page.bold(&format!("{}{place}", cut(title, TITLE))).text("\n").text(chunk);
        page
    };
    chunks.into_iter().enumerate().map(page).collect()
}

/// How many bytes of `text` a page holds.
fn page_end(text: &str) -> usize {
    let (mut left, mut end, mut space) = (PAGE, 0, 0);
    for (position, character) in text.char_indices() {
        let units = width(character);
        if units > left {
            return if space > end / 2 { space } else { end };
        }
        left -= units;
        end = position + character.len_utf8();
        if character.is_whitespace() {
            space = end;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rich::units;

    proptest! {
        #[test]
        fn pages_hold_everything(words in prop::collection::vec("[a&<é😀]{0,30}[ \n]?", 0..900), title in "[a&]{0,200}") {
            let text = words.concat();
            let pages = pages(&title, &text);
            prop_assert!(pages.iter().all(|page| units(page.html()) <= LIMIT && !page.is_cut()));
            let shown: String = pages.iter().map(|page| page.plain().split_once('\n').unwrap().1).collect();
            prop_assert_eq!(shown, text.trim_end());
        }
    }

    #[test]
    fn a_list_too_long_says_how_much_is_missing() {
        let mut rich = Rich::new(LIMIT);
        list(&mut rich, (0..500).map(|number| format!("{number} &&&&&&")));
        let shown = rich.plain().lines().filter(|line| line.ends_with('&')).count();
        assert!(shown > 50 && rich.html().encode_utf16().count() <= LIMIT);
        assert!(rich.plain().ends_with(&format!("… and {} more", 500 - shown)));
    }
}
