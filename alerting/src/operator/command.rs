//! What operators may ask for: the commands, what each needs, and how it is written. Plain data.

use std::time::Duration;

use schemas::id::JobId;
use schemas::matcher::Matcher;
use strum::{EnumIter, EnumString, IntoEnumIterator, IntoStaticStr};

/// The commands by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Name {
    /// How everything is.
    Status,
    /// The queue by lane.
    Queue,
    /// What is open, or one incident with all there is to tell.
    Incidents,
    /// Keeps alerts quiet for a while.
    Silence,
    /// Ends a silence.
    Unsilence,
    /// What is silenced.
    Silences,
    /// Jobs that failed for good.
    Dead,
    /// Runs one of them again.
    Replay,
    /// Circuit breakers.
    Breakers,
    /// Tries the path.
    Test,
    /// This list.
    Help,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// `/status`.
    Status,
    /// `/queue`.
    Queue,
    /// `/incidents [id]`.
    Incidents(Option<String>),
    /// `/silence <time> <matcher>... [-- <comment>]`.
    Silence {
        /// How long.
        time: Duration,
        /// What; at least one.
        matchers: Vec<Matcher>,
        /// Why.
        comment: String,
    },
    /// `/unsilence <id>`.
    Unsilence(String),
    /// `/silences`.
    Silences,
    /// `/dead [place]`: entries behind this place.
    Dead(u64),
    /// `/replay <id>`.
    Replay(JobId),
    /// `/breakers`.
    Breakers,
    /// `/test`.
    Test,
    /// `/help`.
    Help,
}

impl Command {
    /// The command's name.
    pub(crate) const fn name(&self) -> Name {
        match self {
            Self::Status => Name::Status,
            Self::Queue => Name::Queue,
            Self::Incidents(_) => Name::Incidents,
            Self::Silence { .. } => Name::Silence,
            Self::Unsilence(_) => Name::Unsilence,
            Self::Silences => Name::Silences,
            Self::Dead(_) => Name::Dead,
            Self::Replay(_) => Name::Replay,
            Self::Breakers => Name::Breakers,
            Self::Test => Name::Test,
            Self::Help => Name::Help,
        }
    }
}

impl Name {
    /// How it is written, and what it does.
    pub(crate) const fn usage(self) -> (&'static str, &'static str) {
        match self {
            Self::Status => ("/status", "how everything is"),
            Self::Queue => ("/queue", "the queue by lane, and who works on it"),
            Self::Incidents => ("/incidents [id]", "what is open; with an id, all there is to tell of it"),
            Self::Silence => {
                ("/silence <time> <matcher>... [-- <comment>]", "keeps alerts quiet: /silence 2h kind=disk")
            }
            Self::Unsilence => ("/unsilence <id>", "ends a silence"),
            Self::Silences => ("/silences", "what is silenced, until when, by whom"),
            Self::Dead => ("/dead [place]", "jobs that failed for good, oldest first"),
            Self::Replay => ("/replay <id>", "runs such a job again"),
            Self::Breakers => ("/breakers", "circuit breakers that are not closed"),
            Self::Test => ("/test", "sends a test alert through the whole path"),
            Self::Help => ("/help", "this list"),
        }
    }
}

/// Every command, in the order of the list.
pub(crate) fn names() -> impl Iterator<Item = Name> {
    Name::iter()
}
