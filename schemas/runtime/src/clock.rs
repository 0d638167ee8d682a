//! The two things that pure code takes as arguments: the time, and chance.

use schemas::timestamp::Timestamp;
use time::OffsetDateTime;

/// This machine's clock. Leases are judged by the broker's, never by this.
#[must_use]
pub fn now() -> Timestamp {
    OffsetDateTime::now_utc().into()
}

/// Bits that nobody can guess, for ids and nonces: from a ChaCha generator that the operating system seeds.
#[must_use]
pub fn random_bits() -> u128 {
    rand::random()
}
