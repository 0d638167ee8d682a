//! The id that a submit gets: a fresh one, or the one that its idempotency key always stands for.

use broker::Repeat;
use http::{HeaderMap, HeaderName};
use schemas::error::Failure;
use schemas::id::JobId;
use schemas::timestamp::Timestamp;
use sha2::{Digest, Sha256};

/// Where a client names its key.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const LONGEST: usize = 255;

/// A job's id and whether it may have been used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The id.
    pub(crate) id: JobId,
    /// Whether it comes from a key.
    pub(crate) repeat: Repeat,
}

impl Identity {
    /// The identity of a submit of `tenant`: by its `Idempotency-Key`, else fresh from `now` and `bits`.
    pub(crate) fn of(tenant: &str, headers: &HeaderMap, now: Timestamp, bits: u128) -> Result<Self, Failure> {
        let mut keys = headers.get_all(HEADER).iter();
        let Some(key) = keys.next() else {
            return Ok(Self { id: JobId::new(now, bits), repeat: Repeat::Fresh });
        };
        let key = key.to_str().ok().filter(|key| keys.next().is_none() && is_key(key));
        let key = key.ok_or_else(|| {
            Failure::invalid(HEADER.as_str(), format!("expected one key of 1 to {LONGEST} visible ASCII characters"))
        })?;
        Ok(Self { id: JobId::deterministic(tenant, key), repeat: Repeat::Keyed })
    }
}

/// Tells a repeated request from a changed one: SHA-256 in hex over the route and the body as it came.
pub(crate) fn body_hash(route: &str, body: &[u8]) -> String {
    let digest = Sha256::new().chain_update(route).chain_update("\n").chain_update(body).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_key(key: &str) -> bool {
    (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(keys: &[&str]) -> Result<Identity, Failure> {
        let headers = keys.iter().map(|key| (HEADER, key.parse().unwrap())).collect();
        Identity::of("tenant", &headers, Timestamp::from_millis(1), 2)
    }

    #[test]
    fn a_key_always_gives_its_id() {
        assert_eq!(of(&["k1"]), of(&["k1"]));
        assert_ne!(of(&["k1"]), of(&["k2"]));
        assert_eq!(of(&["k1"]).unwrap().repeat, Repeat::Keyed);
        assert_eq!(of(&[]).unwrap(), Identity { id: JobId::new(Timestamp::from_millis(1), 2), repeat: Repeat::Fresh });
    }

    #[test]
    fn what_is_no_key_is_refused_by_name() {
        for keys in [&["a b"][..], &[""], &["a", "b"], &["é"], &[&"x".repeat(256)]] {
            assert_eq!(of(keys).unwrap_err().param.as_deref(), Some("idempotency-key"), "{keys:?}");
        }
        assert!(of(&[&"x".repeat(255)]).is_ok());
    }

    #[test]
    fn the_hash_covers_route_and_body() {
        assert_eq!(body_hash("/a", b"b").len(), 64);
        assert_ne!(body_hash("/a", b"b"), body_hash("/ab", b""));
    }
}
