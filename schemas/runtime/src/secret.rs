//! Comparing secrets without telling, by the time it takes, how much of a guess was right.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A SHA-256 of a secret, computed once at start. Digests are of one length, so that comparing them hides the secret's.
#[derive(Clone)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// The digest of a configured secret.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        Self::of(secret.expose_secret())
    }

    /// Whether `guess` is that secret, in a time that depends only on the guess's length.
    #[must_use]
    pub fn matches(&self, guess: &str) -> bool {
        self.0.ct_eq(&Self::of(guess).0).into()
    }

    fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_matches() {
        let digest = SecretDigest::new(&SecretString::from("correct horse"));
        assert!(digest.matches("correct horse"));
        for guess in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert!(!digest.matches(guess), "{guess}");
        }
    }
}
