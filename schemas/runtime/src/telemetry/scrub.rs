//! Blots secrets out of text: those we know, in every form that a log line may give them, and whatever looks like one.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::{Captures, Regex, RegexBuilder};
use secrecy::{ExposeSecret, SecretString};
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::TelemetryError;

/// What stands where a secret was.
pub const MASK: &str = "***";

/// A shorter secret would blot out ordinary words.
const SHORTEST: usize = 6;

/// Most bytes of the compiled pattern; some thousands of keys fit.
const PATTERN_BYTES: usize = 64 << 20;

/// A bearer token; a key as OpenAI and Anthropic give them; a Telegram bot's token; a password within an address.
const SHAPES: &str = concat!(
    r"(?P<bearer>[Bb]earer[ \t]+)[A-Za-z0-9._~+/=-]{8,}",
    r"|(?-u:\b)sk-[A-Za-z0-9_-]{8,}",
    r"|[0-9]{5,}:[A-Za-z0-9_-]{30,}",
    r#"|(?P<user>://[^/@: \t\n"\\]*:)[^/@ \t\n"\\]+(?P<host>@)"#,
);

/// Replaces secrets by [`MASK`]. Text without any is not copied. Has no `Debug`: the pattern holds the secrets.
#[derive(Clone)]
pub struct Scrubber(Arc<Regex>);

impl Scrubber {
    /// Knows `secrets` of six bytes and more.
    ///
    /// # Errors
    /// When they are too many for one pattern.
    pub fn new(secrets: &[SecretString]) -> Result<Self, TelemetryError> {
        let known: BTreeSet<String> = secrets.iter().flat_map(|secret| forms(secret.expose_secret())).collect();
        // The longest first: one secret may begin with another.
        let mut known: Vec<_> = known.iter().map(|form| regex::escape(form)).collect();
        known.sort_by_key(|form| std::cmp::Reverse(form.len()));
        let pattern = known.iter().map(String::as_str).chain([SHAPES]).collect::<Vec<_>>().join("|");
        let compiled = RegexBuilder::new(&pattern).size_limit(PATTERN_BYTES).build();
        // The source would quote the pattern.
        compiled.map(|regex| Self(Arc::new(regex))).map_err(|_| TelemetryError::Secrets)
    }

    /// `text` without secrets.
    #[must_use]
    pub fn clean<'text>(&self, text: &'text str) -> Cow<'text, str> {
        self.0.replace_all(text, |found: &Captures<'_>| {
            let kept = |group| found.name(group).map_or("", |kept| kept.as_str());
            format!("{}{}{MASK}{}", kept("bearer"), kept("user"), kept("host"))
        })
    }
}

/// A secret as it stands, as it is written in an address, in a JSON string, and in a JSON string within another (a
/// value's `Debug` form, logged as JSON).
fn forms(secret: &str) -> Vec<String> {
    let secret = secret.trim();
    if secret.len() < SHORTEST {
        return Vec::new();
    }
    let escaped = escape(secret);
    let address = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    vec![secret.to_owned(), address, escape(&escaped), escaped]
}

/// As within a JSON string.
fn escape(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&quoted).to_owned()
}

/// Output through a [`Scrubber`]. Each write must be a whole line, as the layers here make them: a secret that is put
/// together by several fields' writes is then still seen.
pub(super) struct Scrubbing<W> {
    scrubber: Scrubber,
    output: W,
}

impl<W> Scrubbing<W> {
    pub(super) const fn new(scrubber: Scrubber, output: W) -> Self {
        Self { scrubber, output }
    }
}

impl<'writer, W: MakeWriter<'writer>> MakeWriter<'writer> for Scrubbing<W> {
    type Writer = ScrubbingWriter<'writer, W::Writer>;

    fn make_writer(&'writer self) -> Self::Writer {
        ScrubbingWriter { scrubber: &self.scrubber, output: self.output.make_writer() }
    }

    fn make_writer_for(&'writer self, metadata: &Metadata<'_>) -> Self::Writer {
        ScrubbingWriter { scrubber: &self.scrubber, output: self.output.make_writer_for(metadata) }
    }
}

/// One line's writer.
pub(super) struct ScrubbingWriter<'writer, W> {
    scrubber: &'writer Scrubber,
    output: W,
}

impl<W: Write> Write for ScrubbingWriter<'_, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.output.write_all(self.scrubber.clean(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scrubber(secrets: &[&str]) -> Scrubber {
        Scrubber::new(&secrets.iter().map(|secret| SecretString::from(*secret)).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn text_without_secrets_is_not_copied() {
        let scrubber = scrubber(&["hunter2hunter2"]);
        for text in
            ["", "job done in 12 ms", "http://127.0.0.1:8080/v1/jobs", "2026-01-31T12:00:00Z", "task-1234567890"]
        {
            assert!(matches!(scrubber.clean(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn shapes_of_secrets_are_known() {
        let scrubber = scrubber(&[]);
        for (text, clean) in [
            ("authorization: Bearer abcdefgh.1234", "authorization: Bearer ***"),
            ("key sk-proj-abcdefgh1234 refused", "key *** refused"),
            ("/bot123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw_x/getMe", "/bot***/getMe"),
            ("postgres://app:s3cret@db:5432/jobs", "postgres://app:***@db:5432/jobs"),
            ("redis://:s3cret@cache", "redis://:***@cache"),
        ] {
            assert_eq!(scrubber.clean(text), clean);
        }
    }

    #[test]
    fn a_secret_is_seen_in_every_form() {
        let secret = "pa\"ss\\word\n\u{1f}ü/@";
        let scrubber = scrubber(&[secret]);
        let json = serde_json::json!({ "field": secret }).to_string();
        let nested = serde_json::json!({ "field": json }).to_string();
        let address = format!("nats://u:{}@h", utf8_percent_encode(secret, NON_ALPHANUMERIC));
        for text in [format!("<{secret}>"), json, nested, address] {
            let clean = scrubber.clean(&text);
            assert!(clean.contains(MASK) && !clean.contains("word") && !clean.contains("ss"), "{clean}");
        }
    }

    #[test]
    fn a_secret_within_another_leaves_no_rest() {
        let scrubber = scrubber(&["secret", "secret-longer"]);
        assert_eq!(scrubber.clean("a secret-longer b secret c"), "a *** b *** c");
    }

    #[test]
    fn short_secrets_would_blot_out_words() {
        assert_eq!(scrubber(&["", "id", " abcde "]).clean("id abcde"), "id abcde");
    }

    proptest! {
        #[test]
        fn no_known_secret_passes(secret in "[!-~]{6,40}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
            let text = format!("{before}{secret}{after}");
            let clean = scrubber(&[&secret]).clean(&text).into_owned();
            prop_assert!(!clean.contains(&secret), "{}", clean);
        }
    }
}
