//! Reads what operators write. Pure.

use humantime_serde::re::humantime;
use schemas::id::InvalidId;
use schemas::matcher::Matcher;

use super::command::{Command, Name};

/// Most matchers of one silence.
const MAX_MATCHERS: usize = 10;
/// Most characters of a comment.
const MAX_COMMENT: usize = 200;

/// A text, as it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Not for us: no command, one of another bot, or one that nobody told us of.
    Ignored,
    /// Do this.
    Command(Command),
    /// It is one of ours, written wrongly, and why.
    Wrong(Name, String),
}

/// What `text` means to the bot called `bot`.
pub(crate) fn parse(text: &str, bot: &str) -> Parsed {
    let Some(line) = text.trim().strip_prefix('/') else { return Parsed::Ignored };
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (word, addressed) = match word.split_once('@') {
        Some((_, name)) if !name.eq_ignore_ascii_case(bot) => return Parsed::Ignored,
        Some((word, _)) => (word, true),
        None => (word, false),
    };
    match word.to_ascii_lowercase().parse::<Name>() {
        Ok(name) => name.with(rest.trim()).map_or_else(|why| Parsed::Wrong(name, why), Parsed::Command),
        // As Telegram's own clients begin a conversation.
        Err(_) if addressed || word == "start" => Parsed::Command(Command::Help),
        Err(_) => Parsed::Ignored,
    }
}

impl Name {
    fn with(self, rest: &str) -> Result<Command, String> {
        let alone = |command| if rest.is_empty() { Ok(command) } else { Err("it takes no arguments".to_owned()) };
        match self {
            Self::Silence => silence(rest),
            Self::Unsilence => one(rest).map(Command::Unsilence),
            Self::Replay => one(rest)?.parse().map(Command::Replay).map_err(|error: InvalidId| error.to_string()),
            Self::Incidents => at_most_one(rest).map(Command::Incidents),
            Self::Dead => {
                let place = at_most_one(rest)?.map_or(Ok(0), |place| place.parse());
                place.map(Command::Dead).map_err(|_| "a place is a number".to_owned())
            }
            Self::Status => alone(Command::Status),
            Self::Queue => alone(Command::Queue),
            Self::Silences => alone(Command::Silences),
            Self::Breakers => alone(Command::Breakers),
            Self::Test => alone(Command::Test),
            Self::Help => alone(Command::Help),
        }
    }
}

fn silence(rest: &str) -> Result<Command, String> {
    // Phones write a dash for two hyphens, and curly quotes.
    let rest = rest.replace(['“', '”'], "\"").replace('—', "--");
    let (rest, comment) = rest.split_once(" --").unwrap_or((&rest, ""));
    let mut words = words(rest)?.into_iter();
    let time = words.next().ok_or("how long is missing")?;
    let time = humantime::parse_duration(&time).map_err(|_| "a time is written like 30m, 2h or 1d".to_owned())?;
    let parse = |word: String| word.parse::<Matcher>().map_err(|error| format!("{word}: {error}"));
    let matchers = words.map(parse).collect::<Result<Vec<_>, _>>()?;
    if time.is_zero() || matchers.is_empty() || matchers.len() > MAX_MATCHERS {
        return Err(format!("it takes a time above zero and 1 to {MAX_MATCHERS} matchers"));
    }
    Ok(Command::Silence { time, matchers, comment: comment.trim().chars().take(MAX_COMMENT).collect() })
}

/// Words between white space that stands outside of quotes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for character in text.chars() {
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        if character.is_whitespace() && !quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(character);
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    if quoted { Err("a quote is not closed".to_owned()) } else { Ok(words) }
}

fn one(rest: &str) -> Result<String, String> {
    at_most_one(rest)?.ok_or_else(|| "an id is missing".to_owned())
}

fn at_most_one(rest: &str) -> Result<Option<String>, String> {
    let mut words = rest.split_whitespace();
    let first = words.next().map(str::to_owned);
    if words.next().is_some() { Err("it takes one argument at most".to_owned()) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn command(text: &str) -> Command {
        match parse(text, "fake_bot") {
            Parsed::Command(command) => command,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn why(text: &str) -> String {
        match parse(text, "fake_bot") {
            Parsed::Wrong(_, why) => why,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_command_is_understood() {
        for (text, expected) in [
            ("/status", Command::Status),
            (" /Queue@Fake_Bot ", Command::Queue),
            ("/incidents", Command::Incidents(None)),
            ("/incidents fa05", Command::Incidents(Some("fa05".to_owned()))),
            ("/unsilence s1", Command::Unsilence("s1".to_owned())),
            ("/silences", Command::Silences),
            ("/dead", Command::Dead(0)),
            ("/dead 17", Command::Dead(17)),
            ("/replay 00000000000000000000000000", Command::Replay("job_00000000000000000000000000".parse().unwrap())),
            ("/breakers", Command::Breakers),
            ("/test", Command::Test),
            ("/help", Command::Help),
            ("/start", Command::Help),
            ("/nonsense@fake_bot", Command::Help),
        ] {
            assert_eq!(command(text), expected, "{text}");
        }
    }

    #[test]
    fn a_silence_is_a_time_matchers_and_a_comment() {
        let matcher = |text: &str| text.parse::<Matcher>().unwrap();
        let expected = Command::Silence {
            time: Duration::from_secs(5400),
            matchers: vec![matcher("kind=disk"), matcher("provider=\"open ai\"")],
            comment: "moving house".to_owned(),
        };
        assert_eq!(command("/silence 1h30m kind=disk provider=\"open ai\" -- moving house "), expected);
        assert_eq!(command("/silence 1h30m kind=disk provider=“open ai” — moving house"), expected);
    }

    #[test]
    fn what_is_written_wrongly_says_why() {
        let said = [
            "/status now",
            "/silence",
            "/silence soon kind=disk",
            "/silence 1h",
            "/silence 0s kind=disk",
            "/silence 1h disk",
            "/silence 1h kind=\"disk",
            "/unsilence",
            "/replay 1",
            "/replay a b",
            "/dead first",
        ]
        .map(why);
        insta::assert_snapshot!(said.join("\n"), @r#"
        it takes no arguments
        how long is missing
        a time is written like 30m, 2h or 1d
        it takes a time above zero and 1 to 10 matchers
        it takes a time above zero and 1 to 10 matchers
        disk: a matcher is written name=value, name!=value, name=~pattern or name!~pattern
        a quote is not closed
        an id is missing
        not a job id: expected a prefix such as job_ and 26 characters of 0-9 A-Z without I, L, O, U
        it takes one argument at most
        a place is a number
        "#);
    }

    #[test]
    fn what_is_not_for_us_is_left_alone() {
        for text in ["", "hello", "status", "/status@other_bot", "/weather", "/"] {
            assert_eq!(parse(text, "fake_bot"), Parsed::Ignored, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "/?(silence|replay|dead)?(@fake_bot)? ?\\PC{0,60}") {
            let _ = parse(&text, "fake_bot");
        }
    }
}
