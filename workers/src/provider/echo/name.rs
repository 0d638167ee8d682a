//! What an echo model's name tells it to do: `echo`, then words joined by dashes, such as `echo-slow-500ms-fail-429`.

use std::time::Duration;

use schemas::error::{ErrorCode, Failure};

/// Longest delay that a name may ask for.
const LONGEST: Duration = Duration::from_secs(3600);

/// Every word, as it is told to who used another.
const WORDS: &str = "slow-<time>, stream-<time>, fail-<status 400 to 599>, flaky-<percent>, retryafter-<time>, die, hang, \
                     length; a time is 500ms, 30s or 2m";

/// What to do beside answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Script {
    /// Wait before the answer.
    pub slow: Duration,
    /// Wait before each word.
    pub pace: Duration,
    /// Fail with this HTTP status.
    pub fail: Option<u16>,
    /// Ask to come back after this long. Without `fail`, the first attempt is refused with 429, and later ones are not.
    pub retry_after: Option<Duration>,
    /// Fail with 500 in this many of a hundred attempts.
    pub flaky: u8,
    /// End the stream in its middle.
    pub die: bool,
    /// Never answer.
    pub hang: bool,
    /// Stop half way, as if a token limit had been reached.
    pub length: bool,
}

/// Reads a model name. One that does not begin with `echo-` has nothing to say.
///
/// # Errors
/// `provider_rejected` naming the words there are.
pub fn parse(model: &str) -> Result<Script, Failure> {
    let mut script = Script::default();
    let Some(words) = model.strip_prefix("echo-") else {
        return Ok(script);
    };
    let mut words = words.split('-');
    while let Some(word) = words.next() {
        take(&mut script, word, &mut words).ok_or_else(|| {
            let message =
                format!("echo does not know {word:?} in its model name, or what follows it: it knows {WORDS}");
            Failure::new(ErrorCode::ProviderRejected, message)
        })?;
    }
    Ok(script)
}

fn take<'a>(script: &mut Script, word: &str, rest: &mut impl Iterator<Item = &'a str>) -> Option<()> {
    match word {
        "slow" => script.slow = time(rest.next()?)?,
        "stream" => script.pace = time(rest.next()?)?,
        "fail" => script.fail = Some(number(rest.next()?, 400, 599)?),
        "flaky" => script.flaky = u8::try_from(number(rest.next()?, 0, 100)?).ok()?,
        "retryafter" => script.retry_after = Some(time(rest.next()?)?),
        "die" => script.die = true,
        "hang" => script.hang = true,
        "length" => script.length = true,
        _ => return None,
    }
    Some(())
}

fn number(text: &str, least: u16, most: u16) -> Option<u16> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

fn time(text: &str) -> Option<Duration> {
    let split = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok()?;
    let time = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        _ => return None,
    };
    (time <= LONGEST).then_some(time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_add_up() {
        assert_eq!(parse("echo"), Ok(Script::default()));
        assert_eq!(parse("some-other-name"), Ok(Script::default()));
        let script = Script {
            slow: Duration::from_millis(500),
            pace: Duration::from_millis(20),
            fail: Some(429),
            retry_after: Some(Duration::from_secs(30)),
            flaky: 50,
            die: true,
            hang: true,
            length: true,
        };
        assert_eq!(parse("echo-slow-500ms-fail-429-retryafter-30s-stream-20ms-flaky-50-die-hang-length"), Ok(script));
        assert_eq!(parse("echo-slow-2m").unwrap().slow, Duration::from_secs(120));
    }

    #[test]
    fn an_unknown_word_is_refused_with_the_known_ones() {
        for name in [
            "echo-",
            "echo-quick",
            "echo-slow",
            "echo-slow-500",
            "echo-slow-fast",
            "echo-slow-9999999s",
            "echo-fail-200",
            "echo-fail-x",
            "echo-flaky-101",
            "echo-die-",
        ] {
            let failure = parse(name).unwrap_err();
            assert_eq!(failure.code, ErrorCode::ProviderRejected, "{name}");
            assert!(failure.message.contains("flaky-<percent>"), "{}", failure.message);
        }
    }

    proptest! {
        #[test]
        fn no_name_panics(words in "[a-z0-9-]{0,40}|.{0,40}") {
            let _ = parse(&format!("echo-{words}"));
        }
    }
}
