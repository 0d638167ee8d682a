//! What a token is made of. Tokenizers differ by kind: one has many words of a script, another cuts them up, one takes
//! digits by threes, another one by one. See [`super::features`].

/// What a token is made of. The order is that of the columns of the calibration table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// ASCII letters after a blank: a word begins.
    Word,
    /// ASCII letters within a word.
    Inner,
    /// ASCII letters, a capital one behind the first.
    Capitals,
    /// A sign, then ASCII letters: `_id`, `.name`.
    Member,
    /// Latin letters up to U+00FF, at least one beyond ASCII.
    Accented,
    /// Latin letters, at least one beyond U+00FF.
    FarLatin,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    /// Devanagari and the other scripts of India.
    Indic,
    /// Thai, Lao, Burmese, Khmer.
    SouthEast,
    /// Chinese characters.
    Han,
    Kana,
    Hangul,
    /// Any other letter.
    Letter,
    /// The first digits of a number, or its only ones.
    Digits,
    /// Further digits of it: most encodings take three at once, others any number.
    MoreDigits,
    /// Blanks and tabs.
    Blank,
    /// Blanks with a line end.
    LineEnd,
    /// One ASCII sign.
    Sign,
    /// Several.
    Signs,
    /// Signs, and the line ends after them.
    SignsLineEnd,
    /// Punctuation beyond ASCII, full width signs among it.
    Punctuation,
    /// Arrows, mathematics, lines to draw with.
    Drawing,
    /// Emoji and other symbols.
    Symbol,
    /// Part of a character.
    Fragment,
}

/// How many kinds there are.
pub(super) const KINDS: usize = Kind::Fragment as usize + 1;

impl Kind {
    /// Of a token's bytes, with how many characters it has; bytes, where it is part of a character.
    pub(super) fn of(token: &[u8]) -> (Self, usize) {
        match std::str::from_utf8(token) {
            Ok(text) => (Self::of_text(text), text.chars().count()),
            Err(_) => (Self::Fragment, token.len()),
        }
    }

    fn of_text(text: &str) -> Self {
        let body = text.strip_prefix(' ').unwrap_or(text);
        if text.chars().all(char::is_whitespace) {
            return if text.contains(['\n', '\r']) { Self::LineEnd } else { Self::Blank };
        }
        if body.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            let capitals = body.bytes().skip(1).any(|byte| byte.is_ascii_uppercase());
            return match (capitals, body.len() < text.len()) {
                (true, _) => Self::Capitals,
                (false, true) => Self::Word,
                (false, false) => Self::Inner,
            };
        }
        let kinds = body.chars().map(Self::of_char);
        kinds.reduce(Self::join).unwrap_or(Self::Symbol)
    }

    /// Of a token that has characters of both kinds: what is rarer decides.
    fn join(one: Self, other: Self) -> Self {
        let sign = |kind| matches!(kind, Self::Sign | Self::Signs | Self::SignsLineEnd);
        let ascii = |kind| sign(kind) || matches!(kind, Self::Inner | Self::Member | Self::LineEnd);
        match (one, other) {
            (one, Self::LineEnd) if sign(one) => Self::SignsLineEnd,
            (one, other) if sign(one) && (sign(other) || other == Self::Blank) => Self::Signs,
            (one, other) if ascii(one) && ascii(other) => Self::Member,
            (Self::Accented, Self::FarLatin) => Self::FarLatin,
            (one, other) if ascii(one) => other,
            (one, _) => one,
        }
    }

    fn of_char(character: char) -> Self {
        match character {
            'a'..='z' | 'A'..='Z' => Self::Inner,
            '0'..='9' => Self::Digits,
            '\n' | '\r' => Self::LineEnd,
            ' ' | '\t' => Self::Blank,
            '\0'..='\x7f' => Self::Sign,
            '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{ff}' => Self::Accented,
            '\u{100}'..='\u{24f}' | '\u{300}'..='\u{36f}' | '\u{1e00}'..='\u{1eff}' => Self::FarLatin,
            '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Self::Greek,
            '\u{400}'..='\u{52f}' => Self::Cyrillic,
            '\u{590}'..='\u{5ff}' => Self::Hebrew,
            '\u{600}'..='\u{77f}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' => Self::Arabic,
            '\u{900}'..='\u{dff}' => Self::Indic,
            '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => Self::SouthEast,
            '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => Self::Han,
            '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' => Self::Kana,
            '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7ff}' => Self::Hangul,
            '\u{80}'..='\u{bf}' | '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ffef}' => {
                Self::Punctuation
            }
            '\u{2070}'..='\u{25ff}' | '\u{2900}'..='\u{2bff}' => Self::Drawing,
            other if other.is_alphabetic() => Self::Letter,
            _ => Self::Symbol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_kind_of_what_is_rare_in_them() {
        for (token, kind) in [
            (" word", Kind::Word),
            ("ing", Kind::Inner),
            ("HTTP", Kind::Capitals),
            (" iPhone", Kind::Capitals),
            ("_id", Kind::Member),
            (" für", Kind::Accented),
            ("ście", Kind::FarLatin),
            (" và", Kind::Accented),
            (" và\u{1ea1}", Kind::FarLatin),
            ("λό", Kind::Greek),
            (" слово", Kind::Cyrillic),
            ("של", Kind::Hebrew),
            ("ال", Kind::Arabic),
            ("में", Kind::Indic),
            ("ที่", Kind::SouthEast),
            ("中国", Kind::Han),
            ("です", Kind::Kana),
            ("니다", Kind::Hangul),
            ("123", Kind::Digits),
            ("    ", Kind::Blank),
            (" \n\n", Kind::LineEnd),
            (" =", Kind::Sign),
            ("});", Kind::Signs),
            ("});\n\n", Kind::SignsLineEnd),
            ("。", Kind::Punctuation),
            (" ──", Kind::Drawing),
            ("🎉", Kind::Symbol),
        ] {
            assert_eq!(Kind::of(token.as_bytes()), (kind, token.chars().count()), "{token:?}");
        }
        assert_eq!(Kind::of(&"🎉".as_bytes()[..2]), (Kind::Fragment, 2));
        assert_eq!(Kind::of(b""), (Kind::Blank, 0));
    }
}
