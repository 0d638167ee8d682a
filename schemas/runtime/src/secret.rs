//! Comparing secrets without telling, by the time it takes, how much of a guess was right; and reading a webhook's key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
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

/// The bytes of a webhook's key, written as Standard Webhooks has it: `whsec_` and base64. `None` when it is not.
#[must_use]
pub fn webhook_key(secret: &SecretString) -> Option<Vec<u8>> {
    STANDARD.decode(secret.expose_secret().strip_prefix("whsec_")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhooks_key_is_base64_behind_its_prefix() {
        let key = |text: &str| webhook_key(&SecretString::from(text));
        assert_eq!(key("whsec_AAECAw=="), Some(vec![0, 1, 2, 3]));
        assert_eq!(key("AAECAw=="), None);
        assert_eq!(key("whsec_not base64"), None);
    }

    #[test]
    fn only_the_whole_secret_matches() {
        let digest = SecretDigest::new(&SecretString::from("correct horse"));
        assert!(digest.matches("correct horse"));
        for guess in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert!(!digest.matches(guess), "{guess}");
        }
    }
}
