//! What became of an operator's wish.

/// How a wish went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Outcome {
    /// It is done.
    Done,
    /// There was nothing to do, or it cannot be.
    Refused,
    /// Nobody knows whether it is kept.
    Unknown,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    /// What a press is answered with, or a text where there is no more to tell.
    pub(crate) words: String,
    /// The incidents, silences or jobs that it was about.
    pub(crate) about: Vec<String>,
}

impl Done {
    /// It is done.
    pub(crate) fn well(words: impl Into<String>, about: Vec<String>) -> Self {
        Self { outcome: Outcome::Done, words: words.into(), about }
    }

    /// It is not.
    pub(crate) fn refused(words: impl Into<String>, about: Vec<String>) -> Self {
        Self { outcome: Outcome::Refused, words: words.into(), about }
    }

    /// It is, or it is not.
    pub(crate) fn unknown(about: Vec<String>) -> Self {
        let words = "Not known to be kept: look again in a moment.".to_owned();
        Self { outcome: Outcome::Unknown, words, about }
    }
}
