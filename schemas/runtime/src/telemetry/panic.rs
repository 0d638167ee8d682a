//! Panics as log lines. The default hook would print whatever text was at hand: `str` slicing quotes the string.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{PanicHookInfo, set_hook};

/// From now on a panic is one error line.
pub(super) fn install() {
    set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = without_data(panic.payload_as_str().unwrap_or_default());
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(panic.location = location, panic.message = message, thread, %backtrace, "panicked");
    } else {
        tracing::error!(panic.location = location, panic.message = message, thread, "panicked");
    }
}

/// What follows a quote or a colon may be a client's text: the location tells the rest.
fn without_data(message: &str) -> &str {
    message.split(['`', '"', ':']).next().unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_quotes_nobody() {
        let prompt = "my private text: ü";
        let sliced = std::panic::catch_unwind(|| prompt[..prompt.len() - 1].len()).unwrap_err();
        let sliced = sliced.downcast_ref::<String>().unwrap();
        assert!(sliced.contains("private"), "{sliced}");
        assert!(!without_data(sliced).contains("private"), "{sliced}");
        assert_eq!(without_data("index out of bounds: the len is 3"), "index out of bounds");
        assert_eq!(without_data("no room left"), "no room left");
    }
}
