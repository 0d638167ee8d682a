//! Matchers over an alert's kind, severity, fingerprint and labels, written as Alertmanager writes them: `kind=disk`,
//! `provider!="a b"`, `model=~gpt-.*`, `component!~sql|redis`. Bounded in length and in what a pattern may compile to.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::alert::{AlertKind, Severity};

/// Most bytes of one matcher as it is written.
pub const MAX_MATCHER: usize = 512;
/// Most bytes that a pattern may compile to.
const MAX_COMPILED: usize = 64 * 1024;

/// How the value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
pub enum Operator {
    /// Equal.
    #[strum(serialize = "=")]
    Equal,
    /// Not equal.
    #[strum(serialize = "!=")]
    NotEqual,
    /// The whole value matches the pattern.
    #[strum(serialize = "=~")]
    Match,
    /// It does not.
    #[strum(serialize = "!~")]
    NoMatch,
}

/// Why a text is no matcher.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MatcherError {
    /// No operator stands in it.
    #[error("a matcher is written name=value, name!=value, name=~pattern or name!~pattern")]
    NoOperator,
    /// What stands before the operator is no name.
    #[error("a name is made of letters, digits and _ . : / -")]
    Name,
    /// It begins with a quote and does not end with one.
    #[error("a quote is not closed")]
    Quote,
    /// It is longer than [`MAX_MATCHER`].
    #[error("a matcher has at most {MAX_MATCHER} bytes")]
    TooLong,
    /// The pattern is none, or compiles to too much.
    #[error("the pattern cannot be used: {0}")]
    Pattern(#[from] regex::Error),
}

/// One condition on one name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Matcher {
    name: String,
    operator: Operator,
    value: String,
    /// Of [`Operator::Match`] and [`Operator::NoMatch`].
    pattern: Option<Regex>,
}

/// What matchers look at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Under the name `kind`.
    pub kind: AlertKind,
    /// Under the name `severity`.
    pub severity: Severity,
    /// Under the name `fingerprint`.
    pub fingerprint: &'a str,
    /// Under their own names, unless those are taken by the others.
    pub labels: &'a BTreeMap<String, String>,
}

impl Facts<'_> {
    /// The value under `name`; empty when there is none.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        match name {
            "kind" => self.kind.into(),
            "severity" => self.severity.into(),
            "fingerprint" => self.fingerprint,
            label => self.labels.get(label).map_or("", String::as_str),
        }
    }
}

impl Matcher {
    /// A matcher of its parts.
    ///
    /// # Errors
    /// [`MatcherError`] when the name is none, the whole is too long or the pattern cannot be used.
    pub fn new(name: &str, operator: Operator, value: &str) -> Result<Self, MatcherError> {
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte);
        if name.is_empty() || !name.bytes().all(named) {
            return Err(MatcherError::Name);
        }
        if name.len() + value.len() > MAX_MATCHER {
            return Err(MatcherError::TooLong);
        }
        let pattern = match operator {
            Operator::Equal | Operator::NotEqual => None,
            Operator::Match | Operator::NoMatch => Some(compile(value)?),
        };
        Ok(Self { name: name.to_owned(), operator, value: value.to_owned(), pattern })
    }

    /// That `name` has exactly this value.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn equal(name: &str, value: &str) -> Result<Self, MatcherError> {
        Self::new(name, Operator::Equal, value)
    }

    /// Whether it holds. A name that is not there has the empty value.
    #[must_use]
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        let value = facts.value(&self.name);
        let found = match &self.pattern {
            Some(pattern) => pattern.is_match(value.as_bytes()),
            None => value == self.value,
        };
        found == matches!(self.operator, Operator::Equal | Operator::Match)
    }

    /// Whether it holds for a name that is not there: such a matcher alone selects next to everything.
    #[must_use]
    pub fn matches_nothing(&self) -> bool {
        let found = self.pattern.as_ref().map_or(self.value.is_empty(), |pattern| pattern.is_match(b""));
        found == matches!(self.operator, Operator::Equal | Operator::Match)
    }
}

/// Whether all of `matchers` hold.
#[must_use]
pub fn all_match(matchers: &[Matcher], facts: &Facts<'_>) -> bool {
    matchers.iter().all(|matcher| matcher.matches(facts))
}

/// The whole value must match. Bytes, so that patterns mean the same whatever Unicode tables are compiled in.
fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern).unicode(false).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build()
    };
    // By itself first: what is no pattern could be one between our parentheses.
    build(pattern)?;
    build(&format!("^(?:{pattern})$"))
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.operator, &self.value) == (&other.name, other.operator, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "{}{}\"{value}\"", self.name, self.operator)
    }
}

impl FromStr for Matcher {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Self, MatcherError> {
        // Twice, since each character of a written value may be escaped, and room for operator and quotes.
        if text.len() > 2 * MAX_MATCHER + 4 {
            return Err(MatcherError::TooLong);
        }
        let at = text.find(['=', '!']).ok_or(MatcherError::NoOperator)?;
        let (name, rest) = text.split_at(at);
        // The longer ones first: `=` begins `=~`.
        let operators = [Operator::Match, Operator::NoMatch, Operator::NotEqual, Operator::Equal];
        let split =
            operators.into_iter().find_map(|operator| Some((operator, rest.strip_prefix(<&str>::from(operator))?)));
        let (operator, value): (Operator, &str) = split.ok_or(MatcherError::NoOperator)?;
        Self::new(name.trim(), operator, &unquoted(value.trim())?)
    }
}

fn unquoted(value: &str) -> Result<String, MatcherError> {
    let Some(rest) = value.strip_prefix('"') else { return Ok(value.to_owned()) };
    let mut plain = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    loop {
        match characters.next().ok_or(MatcherError::Quote)? {
            '"' if characters.as_str().is_empty() => return Ok(plain),
            '"' => return Err(MatcherError::Quote),
            '\\' => plain.push(characters.next().ok_or(MatcherError::Quote)?),
            other => plain.push(other),
        }
    }
}

impl TryFrom<String> for Matcher {
    type Error = MatcherError;

    fn try_from(text: String) -> Result<Self, MatcherError> {
        text.parse()
    }
}

impl From<Matcher> for String {
    fn from(matcher: Matcher) -> Self {
        matcher.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(matcher: &str) -> bool {
        let labels = BTreeMap::from([("provider", "open ai"), ("model", "gpt-4"), ("kind", "hidden")]);
        let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let facts = Facts {
            kind: AlertKind::BreakerOpen,
            severity: Severity::Warning,
            fingerprint: "fa05e21e3c099a66",
            labels: &labels,
        };
        matcher.parse::<Matcher>().unwrap().matches(&facts)
    }

    #[test]
    fn each_operator_means_what_alertmanager_means() {
        for matcher in [
            "kind=breaker_open",
            "severity != critical",
            "fingerprint=fa05e21e3c099a66",
            "provider=\"open ai\"",
            "provider=open ai",
            "model=~gpt-.*",
            "model=~\"gpt-[0-9]|claude\"",
            "model!~gpt",
            "tenant=",
            "tenant!=one",
            "tenant=~.*",
        ] {
            assert!(holds(matcher), "{matcher}");
        }
        for matcher in ["kind=hidden", "model=~gpt", "model!~gpt-\\d", "provider=\"open\\\" ai\"", "tenant=~.+"] {
            assert!(!holds(matcher), "{matcher}");
        }
    }

    #[test]
    fn what_is_no_matcher_says_why() {
        let long = format!("a={}", "x".repeat(MAX_MATCHER));
        let said =
            ["", "kind", "=x", "a b=x", "a!x", "a=\"x", "a=\"x\"y", "a=~(", "a=~x)|(?:y", &long, "a=~(?:x{100}){1000}"]
                .map(|text| text.parse::<Matcher>().unwrap_err().to_string());
        insta::assert_snapshot!(said.map(|line| line.lines().last().unwrap_or_default().to_owned()).join("\n"), @r"
        a matcher is written name=value, name!=value, name=~pattern or name!~pattern
        a matcher is written name=value, name!=value, name=~pattern or name!~pattern
        a name is made of letters, digits and _ . : / -
        a name is made of letters, digits and _ . : / -
        a matcher is written name=value, name!=value, name=~pattern or name!~pattern
        a quote is not closed
        a quote is not closed
        error: unclosed group
        error: unopened group
        a matcher has at most 512 bytes
        the pattern cannot be used: Compiled regex exceeds size limit of 65536 bytes.
        ");
    }

    #[test]
    fn matchers_that_hold_for_nothing_are_known() {
        let nothing = |text: &str| text.parse::<Matcher>().unwrap().matches_nothing();
        assert!(nothing("a=") && nothing("a!=x") && nothing("a=~.*") && nothing("a!~x"));
        assert!(!nothing("a=x") && !nothing("a!=") && !nothing("a=~.+") && !nothing("a!~.*"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(name in "[a-z_./:-]{1,10}", value in "\\PC{0,40}", not in any::<bool>()) {
            let operator = if not { Operator::NotEqual } else { Operator::Equal };
            let matcher = Matcher::new(&name, operator, &value).unwrap();
            prop_assert_eq!(matcher.to_string().parse::<Matcher>().unwrap(), matcher);
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,60}") {
            let _ = text.parse::<Matcher>().map(|matcher| matcher.matches_nothing());
        }
    }
}
