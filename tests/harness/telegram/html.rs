//! Telegram's HTML, parsed as its server does (tdlib, `parse_html`), with its own words for each fault.

const TAGS: [&str; 16] = [
    "a",
    "b",
    "strong",
    "i",
    "em",
    "s",
    "strike",
    "del",
    "u",
    "ins",
    "tg-spoiler",
    "tg-emoji",
    "span",
    "pre",
    "code",
    "blockquote",
];

/// The text that a reader sees.
pub(super) fn shown(source: &str) -> Result<String, String> {
    let mut parser = Parser { source, at: 0, open: Vec::new(), text: String::new() };
    while let Some(next) = parser.peek() {
        match next {
            '<' => parser.tag()?,
            '&' => parser.entity(),
            _ => parser.copy(),
        }
    }
    match parser.open.last() {
        Some(tag) => Err(format!("Can't find end tag corresponding to start tag \"{tag}\"")),
        None => Ok(parser.text),
    }
}

struct Parser<'a> {
    source: &'a str,
    at: usize,
    open: Vec<String>,
    text: String,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn copy(&mut self) {
        let next = self.bump();
        self.text.extend(next);
    }

    /// Takes everything up to the first character that `ends` names.
    fn until(&mut self, ends: impl Fn(char) -> bool) -> String {
        let taken: String = self.rest().chars().take_while(|next| !ends(*next)).collect();
        self.at += taken.len();
        taken
    }

    fn tag(&mut self) -> Result<(), String> {
        let begin = self.at;
        self.bump();
        if self.peek() == Some('/') {
            self.bump();
            return self.end_tag(begin);
        }
        let name = self.until(|next| next.is_ascii_whitespace() || next == '>').to_lowercase();
        if self.peek().is_none() {
            return Err(format!("Unclosed start tag at byte offset {begin}"));
        }
        if !TAGS.contains(&name.as_str()) {
            return Err(format!("Unsupported start tag \"{name}\" at byte offset {begin}"));
        }
        self.attributes(&name, begin)?;
        self.open.push(name);
        Ok(())
    }

    fn attributes(&mut self, tag: &str, begin: usize) -> Result<(), String> {
        loop {
            self.until(|next| !next.is_ascii_whitespace());
            if self.peek() == Some('>') {
                self.bump();
                return Ok(());
            }
            let name = self.until(|next| next.is_ascii_whitespace() || matches!(next, '=' | '>'));
            if name.is_empty() {
                return Err(format!("Empty attribute name in the tag \"{tag}\" at byte offset {begin}"));
            }
            let flag = tag == "blockquote" && name == "expandable";
            if self.peek() == Some('=') {
                self.bump();
                self.value(tag, begin)?;
            } else if !flag {
                return Err(format!(
                    "Expected equal sign in declaration of an attribute of the tag \"{tag}\" at byte offset {begin}"
                ));
            }
        }
    }

    fn value(&mut self, tag: &str, begin: usize) -> Result<(), String> {
        match self.peek() {
            Some(quote @ ('"' | '\'')) => {
                self.bump();
                self.until(|next| next == quote);
                self.bump().map(drop).ok_or(format!("Unclosed start tag at byte offset {begin}"))
            }
            Some(_) => {
                self.until(|next| next.is_ascii_whitespace() || next == '>');
                Ok(())
            }
            None => Err(format!("Unclosed start tag \"{tag}\" at byte offset {begin}")),
        }
    }

    fn end_tag(&mut self, begin: usize) -> Result<(), String> {
        let name = self.until(|next| next.is_ascii_whitespace() || next == '>').to_lowercase();
        self.until(|next| !next.is_ascii_whitespace());
        if self.bump() != Some('>') {
            return Err(format!("Unclosed end tag at byte offset {begin}"));
        }
        match self.open.pop() {
            None => Err(format!("Unexpected end tag at byte offset {begin}")),
            Some(expected) if !name.is_empty() && name != expected => Err(format!(
                "Unmatched end tag at byte offset {begin}, expected \"</{expected}>\", found \"</{name}>\""
            )),
            Some(_) => Ok(()),
        }
    }

    /// `&lt; &gt; &amp; &quot;` and numbers; anything else stands for itself.
    fn entity(&mut self) {
        let name: String = self.rest().chars().skip(1).take_while(|next| *next != ';').take(10).collect();
        let number = || match name.strip_prefix("#x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => name.strip_prefix('#')?.parse().ok(),
        };
        let decoded = match name.as_str() {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            _ => number().and_then(char::from_u32),
        };
        match decoded {
            Some(symbol) => {
                self.at += name.len() + 2;
                self.at = self.at.min(self.source.len());
                self.text.push(symbol);
            }
            None => self.copy(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn accepts_what_telegram_accepts() {
        for (source, text) in [
            ("<b>a &lt;b&gt; &amp; <i>c</i></b>", "a <b> & c"),
            ("<a href=\"https://example.com/?a=1&b=2\">x</a>", "x"),
            ("<blockquote expandable>x</blockquote>", "x"),
            ("R&D &#65;&#x42; &unknown;", "R&D AB &unknown;"),
        ] {
            assert_eq!(shown(source).as_deref(), Ok(text), "{source}");
        }
    }

    #[test]
    fn rejects_what_telegram_rejects() {
        for (source, fault) in [
            ("a < b", "Unsupported start tag \"\" at byte offset 2"),
            ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
            ("<b><i>x</b></i>", "Unmatched end tag at byte offset 7, expected \"</i>\", found \"</b>\""),
            ("x</b>", "Unexpected end tag at byte offset 1"),
            ("x <b", "Unclosed start tag at byte offset 2"),
            ("<p>x</p>", "Unsupported start tag \"p\" at byte offset 0"),
            ("<a href>x</a>", "Expected equal sign in declaration of an attribute of the tag \"a\" at byte offset 0"),
        ] {
            assert_eq!(shown(source), Err(fault.to_owned()), "{source}");
        }
    }
}
