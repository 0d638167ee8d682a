//! What is wrong with a configuration, as the checks find it, and how they show what they found.

use std::fmt::Display;
use std::path::Path;

use crate::config::error::ConfigError;

/// What was found so far.
pub(super) struct Findings(pub(super) Vec<ConfigError>);

impl Findings {
    /// `found` is shown as it stands: never a secret.
    pub(super) fn unless(&mut self, fine: bool, field: &str, found: impl Display, instead: impl Into<String>) {
        if !fine {
            let (field, found) = (field.to_owned(), found.to_string());
            self.0.push(ConfigError::Invalid { field, found, instead: instead.into() });
        }
    }
}

/// Whether no path is set.
pub(super) fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

/// A text or a path as it stands in a file.
pub(super) fn quoted(value: impl AsRef<std::ffi::OsStr>) -> String {
    format!("\"{}\"", value.as_ref().to_string_lossy())
}
