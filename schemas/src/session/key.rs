//! Where a session lies: names are a client's text and never stand in a subject.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::subject::{self, SESSIONS};

/// Names one session of one tenant: a token of the tenant, and a digest of both names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionKey(String);

impl SessionKey {
    /// The key of `tenant`'s session `name`.
    #[must_use]
    pub fn of(tenant: &str, name: &str) -> Self {
        let digest = Sha256::new()
            .chain_update((tenant.len() as u64).to_be_bytes())
            .chain_update(tenant)
            .chain_update(name)
            .finalize();
        let hash = digest.iter().take(16).fold(String::new(), |hash, byte| hash + &format!("{byte:02x}"));
        // The keys of a bucket have no percent sign.
        Self(format!("{}.{hash}", subject::token(tenant).replace('%', "=")))
    }

    /// The digest alone, for logs.
    #[must_use]
    pub fn hash(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or_default()
    }

    /// Where its history lies.
    #[must_use]
    pub fn history(&self) -> String {
        format!("$KV.{SESSIONS}.{}.history", self.0)
    }

    /// Where the line of its waiting turns lies.
    #[must_use]
    pub fn queue(&self) -> String {
        format!("$KV.{SESSIONS}.{}.queue", self.0)
    }

    /// Every line there is.
    #[must_use]
    pub fn queues() -> String {
        format!("$KV.{SESSIONS}.*.*.queue")
    }

    /// The key that a line's subject is made of.
    #[must_use]
    pub fn of_queue(subject: &str) -> Option<Self> {
        let rest = subject.strip_prefix("$KV.")?.strip_prefix(SESSIONS)?.strip_prefix('.')?;
        rest.strip_suffix(".queue").map(|key| Self(key.to_owned()))
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
