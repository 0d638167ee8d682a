//! What is wrong with a configuration: all of it at once, each with its names, what was found and what to write instead.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::spelling::variable;

/// Everything that is wrong. Shows one line for each; never a secret.
#[derive(Debug)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// One by one.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "1 error in the configuration:")?,
            count => write!(f, "{count} errors in the configuration:")?,
        }
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

/// One thing that is wrong.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is not there, or not ours to read.
    #[error("{}: cannot be read: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is neither TOML nor, by its name, JSON.
    #[error("{}, line {line}, column {column}: {problem}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What the parser says, without the text itself.
        problem: String,
    },
    /// The file has a field that there is not.
    #[error("{}: there is no setting {path}{}", file.display(), suggestion(nearest.as_deref()))]
    UnknownField {
        /// The file.
        file: PathBuf,
        /// The field, as `section.field`.
        path: String,
        /// The one that was probably meant.
        nearest: Option<String>,
    },
    /// A variable of ours that there is not.
    #[error("there is no variable {name}{}", suggestion(nearest.as_deref()))]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The one that was probably meant.
        nearest: Option<String>,
    },
    /// A setting with a wrong value.
    #[error("{} ({}): found {found}; {instead}", field, variable(field))]
    Invalid {
        /// The setting, as `section.field`.
        field: String,
        /// What it is, masked where it is secret.
        found: String,
        /// What to do about it.
        instead: String,
    },
    /// A mistake of ours in the embedded defaults.
    #[error("the embedded defaults are broken: {0}")]
    Embedded(Box<figment::Error>),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default()
}
