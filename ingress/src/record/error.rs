//! What can go wrong with the store, told apart by what to do next: wait, or give this record up.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use sqlx::migrate::MigrateError;

/// `database.url` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither of the two databases.
    #[error("database.url: expected postgres://… or sqlite:…, or nothing for SQLite under the data folder")]
    Scheme,
    /// Every connection would see another database, and each restart an empty one.
    #[error("database.url: an in-memory SQLite loses its history, name a file")]
    InMemory,
    /// The rest of the URL is wrong.
    #[error("database.url cannot be read")]
    Url(#[source] sqlx::Error),
}

/// A read or a write that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, busy or broken: the same call may succeed later.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// It did not answer within `database.query_timeout`.
    #[error("the database did not answer within {0:?}")]
    TimedOut(Duration),
    /// Its tables cannot be brought up to date.
    #[error("the database's tables cannot be brought up to date")]
    Migration(#[source] MigrateError),
    /// It will never take this record. Its words may quote the record, so that they stay out of logs.
    #[error("the database refuses the record, code {}", code(.0))]
    Refused(#[source] sqlx::Error),
    /// A document that this version cannot read. Its text stays out of the error: it is a client's.
    #[error("a stored record cannot be read, at column {column} of its document")]
    Unreadable {
        /// Where in the document.
        column: usize,
    },
}

impl StoreError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TimedOut(_) | Self::Migration(_))
    }
}

/// An error with its causes, in one line.
pub(super) struct Chain<'a>(pub(super) &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_about_the_data(&error) { Self::Refused(error) } else { Self::Unavailable(error) }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        Self::Migration(error)
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable { column: error.column() }
    }
}

/// SQLite's primary result codes TOOBIG, CONSTRAINT and MISMATCH, and PostgreSQL's classes 22 (data exception),
/// 23 (integrity constraint violation) and 54 (program limit exceeded).
fn is_about_the_data(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(source) = error else { return matches!(error, sqlx::Error::Encode(_)) };
    let Some(code) = source.code() else { return false };
    if source.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        return code.parse::<i32>().is_ok_and(|code| matches!(code & 0xff, 18..=20));
    }
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
}

fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(|source| source.code()).map_or_else(|| "none".to_owned(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_lost_can_be_waited_out() {
        let lost = StoreError::from(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()));
        assert!(lost.is_transient() && StoreError::from(sqlx::Error::PoolTimedOut).is_transient());
        assert_eq!(
            Chain(&lost).to_string(),
            "the database is unavailable: error communicating with database: connection reset: connection reset"
        );
    }

    #[test]
    fn a_document_that_cannot_be_read_is_not_quoted() {
        let error = serde_json::from_str::<u8>("\"a secret\"").unwrap_err();
        assert!(error.to_string().contains("a secret"));
        let error = StoreError::from(error);
        assert!(!format!("{error} {error:?}").contains("a secret"));
    }
}
