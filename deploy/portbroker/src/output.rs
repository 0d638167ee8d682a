//! What the command line prints: results to standard output, everything else to standard error.

use std::io::{IsTerminal, Write};

/// A line of result. A closed pipe is no error: whoever read it has what it wanted.
pub(crate) fn line(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// A piece of result, at once.
pub(crate) fn piece(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(write!(out, "{text}").and_then(|()| out.flush()));
}

/// A note for the person who watches.
pub(crate) fn note(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// An error, with the program's name.
pub(crate) fn error(text: &str) {
    note(&format!("portbroker: {text}"));
}

/// A line that replaces the one before it; only on a terminal.
pub(crate) fn progress(text: &str) {
    let mut out = std::io::stderr().lock();
    if out.is_terminal() {
        drop(write!(out, "\r\x1b[K{text}").and_then(|()| out.flush()));
    }
}
