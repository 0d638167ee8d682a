//! Text with bold parts, written as Telegram's HTML and as plain text at once. It never grows past its limit, and what
//! is cut is cut between characters: no tag and no entity is ever left open.

/// The longest text that Telegram takes. It counts after parsing; we count the markup too, in UTF-16 units, which is
/// never less.
pub(crate) const LIMIT: usize = 4096;

const ELLIPSIS: char = '…';
const OPEN: &str = "<b>";
const CLOSE: &str = "</b>";

/// A message under construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rich {
    html: String,
    plain: String,
    left: usize,
    full: bool,
    shortened: bool,
}

impl Rich {
    /// Room for `limit` UTF-16 units of markup, of which one is kept for the ellipsis.
    pub(crate) fn new(limit: usize) -> Self {
        let left = limit.saturating_sub(1);
        Self { html: String::new(), plain: String::new(), left, full: limit == 0, shortened: false }
    }

    /// Adds text as it is.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            if !self.push(character) {
                break;
            }
        }
        self
    }

    /// Adds bold text.
    pub(crate) fn bold(&mut self, text: &str) -> &mut Self {
        let tags = OPEN.len() + CLOSE.len();
        if self.full || self.left < tags {
            return self.cut();
        }
        self.left -= tags;
        self.html.push_str(OPEN);
        self.text(text);
        self.html.push_str(CLOSE);
        self
    }

    /// Adds a link, whole or not at all. As plain text the address stands behind its words.
    pub(crate) fn link(&mut self, text: &str, url: &str) -> &mut Self {
        let mut link = Self::new(usize::MAX);
        link.text(text);
        let address = url.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        link.html = format!("<a href=\"{address}\">{}</a>", link.html);
        link.plain = format!("{}: {url}", link.plain);
        let shortened = self.shortened;
        self.append(&link, 0);
        self.shortened = shortened;
        self
    }

    /// Adds all of `other` if there is still room for `reserve` units behind it; else nothing, and tells so.
    pub(crate) fn append(&mut self, other: &Self, reserve: usize) -> bool {
        let units = units(&other.html).max(units(&other.plain));
        let fits = !self.full && self.left >= units + reserve;
        if fits {
            self.left -= units;
            self.html.push_str(&other.html);
            self.plain.push_str(&other.plain);
        }
        self.shortened |= other.is_cut() || !fits;
        fits
    }

    /// Marks that something was left out before it came here.
    pub(crate) const fn shorten(&mut self) {
        self.shortened = true;
    }

    /// Nothing was written.
    pub(crate) const fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    /// Some of it did not fit.
    pub(crate) const fn is_cut(&self) -> bool {
        self.full || self.shortened
    }

    /// The text as Telegram's HTML.
    pub(crate) fn html(&self) -> &str {
        &self.html
    }

    /// The text without markup.
    pub(crate) fn plain(&self) -> &str {
        &self.plain
    }

    fn push(&mut self, character: char) -> bool {
        if self.full {
            return false;
        }
        if reorders(character) {
            return true;
        }
        let character = if character.is_control() && character != '\n' { ' ' } else { character };
        let units = width(character);
        if units > self.left {
            self.cut();
            return false;
        }
        self.left -= units;
        match entity(character) {
            Some(entity) => self.html.push_str(entity),
            None => self.html.push(character),
        }
        self.plain.push(character);
        true
    }

    fn cut(&mut self) -> &mut Self {
        if !self.full {
            self.full = true;
            self.html.push(ELLIPSIS);
            self.plain.push(ELLIPSIS);
        }
        self
    }
}

const fn entity(character: char) -> Option<&'static str> {
    match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// Units of markup that `character` takes.
pub(crate) fn width(character: char) -> usize {
    entity(character).map_or_else(|| character.len_utf16(), str::len)
}

/// Invisible characters that turn the order of others round, so that a text would not read as it is.
const fn reorders(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// As Telegram counts.
pub(crate) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// One sentence.
pub(crate) fn sentence(words: &str) -> Rich {
    let mut rich = Rich::new(LIMIT);
    rich.text(words);
    rich
}

/// `text` in at most `units` UTF-16 units, cut between characters.
pub(crate) fn cut(text: &str, units: usize) -> String {
    let mut short = String::with_capacity(text.len().min(units * 3));
    let mut left = units;
    for (position, character) in text.char_indices() {
        let last = text.len() == position + character.len_utf8();
        let needed = character.len_utf16() + usize::from(!last);
        if needed > left {
            if left > 0 {
                short.push(ELLIPSIS);
            }
            return short;
        }
        left -= character.len_utf16();
        short.push(character);
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Telegram's parser makes of `html`, or where it stumbles.
    fn parse(html: &str) -> Result<String, String> {
        let mut plain = String::new();
        let mut bold = false;
        let mut rest = html;
        while let Some(character) = rest.chars().next() {
            let known = [(OPEN, ""), (CLOSE, ""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")];
            if let Some((token, meaning)) = known.into_iter().find(|(token, _)| rest.starts_with(token)) {
                if meaning.is_empty() && bold == (token == OPEN) {
                    return Err(format!("unbalanced at {rest:?}"));
                }
                bold ^= meaning.is_empty();
                plain.push_str(meaning);
                rest = &rest[token.len()..];
            } else if "&<>".contains(character) {
                return Err(format!("bare {character} at {rest:?}"));
            } else {
                plain.push(character);
                rest = &rest[character.len_utf8()..];
            }
        }
        if bold { Err("never closed".into()) } else { Ok(plain) }
    }

    proptest! {
        #[test]
        fn every_text_is_well_formed_and_within_its_limit(
            parts in prop::collection::vec((any::<bool>(), "[a&<>\u{0}é😀\n]{0,40}"), 0..40),
            limit in 1_usize..400,
        ) {
            let mut rich = Rich::new(limit);
            for (bold, text) in &parts {
                if *bold { rich.bold(text) } else { rich.text(text) };
            }
            prop_assert!(units(rich.html()) <= limit);
            prop_assert!(units(rich.plain()) <= limit);
            prop_assert_eq!(parse(rich.html()), Ok(rich.plain().to_owned()));
        }

        #[test]
        fn nothing_is_lost_that_fits(text in "[a&<>é😀]{0,60}") {
            let mut rich = Rich::new(LIMIT);
            rich.bold(&text).text(&text);
            prop_assert_eq!(rich.plain(), text.repeat(2));
        }

        #[test]
        fn a_cut_text_is_a_prefix(text in "[aé😀]{0,40}", limit in 0_usize..40) {
            let short = cut(&text, limit);
            prop_assert!(units(&short) <= limit);
            if units(&text) <= limit {
                prop_assert_eq!(short, text);
            } else {
                prop_assert!(text.starts_with(short.trim_end_matches(ELLIPSIS)));
            }
        }
    }

    #[test]
    fn only_three_characters_are_escaped() {
        let mut rich = Rich::new(LIMIT);
        rich.text("_*[]()~`#+-=|{}.!\"' & < >");
        assert_eq!(rich.html(), "_*[]()~`#+-=|{}.!\"' &amp; &lt; &gt;");
    }

    #[test]
    fn a_link_is_whole_or_not_there() {
        let mut rich = Rich::new(80);
        rich.text("see ").link("a<b", "https://x.example/?a=1&b=\"2\"");
        assert_eq!(rich.html(), "see <a href=\"https://x.example/?a=1&amp;b=&quot;2&quot;\">a&lt;b</a>");
        assert_eq!(rich.plain(), "see a<b: https://x.example/?a=1&b=\"2\"");
        let mut rich = Rich::new(40);
        rich.text("see ").link("a", "https://x.example/?a=1&b=\"2\"").text("!");
        assert_eq!(rich.html(), "see !");
    }

    #[test]
    fn no_character_turns_the_order_of_others_round() {
        let mut rich = Rich::new(LIMIT);
        rich.text("a\u{202e}b\u{2067}c ع👩‍🔧\u{0}");
        assert_eq!(rich.plain(), "abc ع👩‍🔧 ");
    }

    #[test]
    fn a_cut_inside_bold_closes_it() {
        let mut rich = Rich::new(12);
        rich.bold("abcdefgh").text("more");
        assert_eq!(rich.html(), "<b>abcd…</b>");
    }
}
