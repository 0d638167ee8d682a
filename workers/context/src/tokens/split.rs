//! Cuts a text into bounded chunks, where it can at places where the encodings split anyway.

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    /// Never empty.
    pub(super) text: &'a str,
    /// It ends within what the encoder would have read as one run.
    pub(super) forced: bool,
}

/// The chunks of `text`, each of at most `limit` bytes (at least 4), which together are the text.
pub(super) fn chunks(text: &str, limit: usize) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (chunk, tail) = cut(rest, limit.max(4))?;
        rest = tail;
        Some(chunk)
    })
}

fn cut(text: &str, limit: usize) -> Option<(Chunk<'_>, &str)> {
    if text.is_empty() {
        return None;
    }
    if text.len() <= limit {
        return Some((Chunk { text, forced: false }, ""));
    }
    let end = text.floor_char_boundary(limit);
    let boundary = last_boundary(text, end);
    let (head, tail) = text.split_at(boundary.unwrap_or(end));
    Some((Chunk { text: head, forced: boundary.is_none() }, tail))
}

/// The last place up to `end` where both encodings split.
fn last_boundary(text: &str, end: usize) -> Option<usize> {
    let (window, tail) = text.split_at(end);
    let mut after = tail.chars().next()?;
    for (index, before) in window.char_indices().rev() {
        if is_boundary(before, after) {
            return Some(index + before.len_utf8());
        }
        after = before;
    }
    None
}

/// Whether no match of the encodings' patterns holds `before` and `after` side by side, and no look-ahead of theirs
/// can see across. No alternative puts a blank after a non-blank; line ends are followed within a match only by
/// blanks, line ends and, in `o200k_base`, `/`, and a run of blanks that ends in a line end needs no look-ahead.
fn is_boundary(before: char, after: char) -> bool {
    let line_end = |c| matches!(c, '\r' | '\n');
    if before == '\n' {
        return !after.is_whitespace() && after != '/';
    }
    !before.is_whitespace() && after.is_whitespace() && !line_end(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str, limit: usize) -> Vec<(&str, bool)> {
        chunks(text, limit).map(|chunk| (chunk.text, chunk.forced)).collect()
    }

    #[test]
    fn a_text_is_cut_before_a_blank_and_after_a_line_end() {
        assert_eq!(texts("one two three", 8), [("one two", false), (" three", false)]);
        assert_eq!(texts("one\ntwo", 5), [("one\n", false), ("two", false)]);
        assert_eq!(texts("one\n/two", 5), [("one\n/", true), ("two", false)]);
        assert_eq!(texts("", 8), []);
    }

    #[test]
    fn a_run_is_cut_between_characters() {
        assert_eq!(texts("éééé", 5), [("éé", true), ("éé", false)]);
    }

    /// The work bound: what the encoder is given is never larger than a chunk, and there are no more chunks than a
    /// text of full ones has, save where a cut moved back to a boundary or by a character.
    #[test]
    fn ten_megabytes_without_a_blank_are_cut_into_full_chunks() {
        const LIMIT: usize = 16 * 1024;
        let unicode = (0_u32..3 << 20).filter_map(|n| char::from_u32(0x4e00 + n.wrapping_mul(2_654_435_761) % 0x5200));
        let runs = ["a", " ", "\n", "iVBORw0KGgo=", "\u{301}", "👩‍🚀", "'S", "!@#$", " \r\n\t", "/\n"];
        let runs = runs.map(|run| run.repeat((10 << 20) / run.len()));
        for text in runs.into_iter().chain([unicode.collect()]) {
            let lengths: Vec<usize> = chunks(&text, LIMIT).map(|chunk| chunk.text.len()).collect();
            assert_eq!(lengths.iter().sum::<usize>(), text.len());
            assert!(lengths.iter().all(|length| *length <= LIMIT));
            assert!(lengths.len() <= text.len() / (LIMIT - 3) + 1, "{} chunks", lengths.len());
        }
    }

    proptest! {
        #[test]
        fn chunks_are_bounded_and_lose_nothing(text in "\\PC{0,300}", limit in 4_usize..64) {
            let cut: Vec<_> = chunks(&text, limit).collect();
            prop_assert_eq!(cut.iter().map(|chunk| chunk.text).collect::<String>(), text.as_str());
            prop_assert!(cut.iter().all(|chunk| (1..=limit).contains(&chunk.text.len())));
        }
    }
}
