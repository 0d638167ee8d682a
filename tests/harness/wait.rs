//! Waiting for something to become so, with a deadline and a message that says what was seen instead.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

const POLL: Duration = Duration::from_millis(25);

/// Calls `probe` until it answers `Ok`, and answers that.
///
/// # Panics
/// When `limit` passes first, naming `what` and the last reason that `probe` gave.
pub async fn until<T, E, F>(what: &str, limit: Duration, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    let deadline = Instant::now() + limit;
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(reason) if Instant::now() >= deadline => panic!("no {what} within {limit:?}: {reason}"),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// `Ok` when `condition` holds, else what `seen` says: the usual answer of a probe.
///
/// # Errors
/// The text of `seen`, when the condition does not hold.
pub fn check(condition: bool, seen: impl Display) -> Result<(), String> {
    if condition { Ok(()) } else { Err(seen.to_string()) }
}
