//! Job ids: 128 bits as 26 Crockford base32 characters behind a prefix, time-ordered unless derived from an
//! idempotency key. One suffix serves every API: `job_X`, `chatcmpl-X`, `resp_X` and `msg_X` are the same job.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::timestamp::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 26;
const PREFIXES: [&str; 4] = ["job_", "chatcmpl-", "resp_", "msg_"];

/// The identity of a job. Prints as the bare 26-character suffix, which is also its token in subjects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u128);

impl JobId {
    /// A fresh id: 48 bits of time, then the low 80 bits of `random`.
    #[must_use]
    pub const fn new(now: Timestamp, random: u128) -> Self {
        let time = (now.as_millis() as u128) & ((1 << 48) - 1);
        Self((time << 80) | (random & ((1 << 80) - 1)))
    }

    /// The id that `key` always gives for `tenant`: the first 128 bits of a SHA-256.
    #[must_use]
    pub fn deterministic(tenant: &str, key: &str) -> Self {
        let digest = Sha256::new()
            .chain_update((tenant.len() as u64).to_be_bytes())
            .chain_update(tenant)
            .chain_update(key)
            .finalize();
        Self(digest.iter().take(16).fold(0, |bits, byte| (bits << 8) | u128::from(*byte)))
    }

    /// The id as the native API shows it.
    #[must_use]
    pub fn job(self) -> String {
        self.prefixed("job_")
    }

    /// The id behind another API's prefix, for example `chatcmpl-`.
    #[must_use]
    pub fn prefixed(self, prefix: &str) -> String {
        format!("{prefix}{self}")
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for position in (0..LENGTH).rev() {
            let digit = (self.0 >> (position * 5)) & 31;
            fmt::Write::write_char(f, char::from(ALPHABET[digit as usize]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job_{self}")
    }
}

/// The text is no job id of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a job id: expected a prefix such as job_ and 26 characters of 0-9 A-Z without I, L, O, U")]
pub struct InvalidId;

/// Accepts any known prefix, or none, so that an id can be looked up through every API.
impl FromStr for JobId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let suffix = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        if suffix.len() != LENGTH || suffix.as_bytes()[0] > b'7' {
            return Err(InvalidId);
        }
        suffix
            .bytes()
            .try_fold(0_u128, |bits, byte| {
                let digit = ALPHABET.iter().position(|symbol| *symbol == byte).ok_or(InvalidId)?;
                Ok((bits << 5) | digit as u128)
            })
            .map(Self)
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("job_{self}"))
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_prefix_leads_back(bits: u128) {
            let id = JobId(bits);
            for prefix in PREFIXES {
                prop_assert_eq!(id.prefixed(prefix).parse::<JobId>(), Ok(id));
            }
            prop_assert_eq!(id.to_string().len(), LENGTH);
        }

        #[test]
        fn later_ids_sort_later(early in 0_i64..1 << 47, gap in 1_i64..1 << 40, one: u128, two: u128) {
            let first = JobId::new(Timestamp::from_millis(early), one);
            let second = JobId::new(Timestamp::from_millis(early + gap), two);
            prop_assert!(first < second && first.to_string() < second.to_string());
        }

        #[test]
        fn any_text_is_an_id_or_an_error(text: String) {
            if let Ok(id) = text.parse::<JobId>() {
                prop_assert!(text.ends_with(&id.to_string()));
            }
        }
    }

    #[test]
    fn keys_of_two_tenants_differ() {
        assert_eq!(JobId::deterministic("a", "key"), JobId::deterministic("a", "key"));
        assert_ne!(JobId::deterministic("a", "bkey"), JobId::deterministic("ab", "key"));
    }
}
