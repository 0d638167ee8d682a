//! Values at rest: Fernet tokens (AES-128-CBC with HMAC-SHA256), sealed with the current key and opened with any. A key is
//! one of Fernet's own, or made of a password by PBKDF2-HMAC-SHA256.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use fernet::Fernet;
use pbkdf2::pbkdf2_hmac;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::config::SessionsConfig;

/// Rounds of PBKDF2-HMAC-SHA256, as OWASP's "Password Storage Cheat Sheet" has them.
const ROUNDS: u32 = 600_000;
/// What every Fernet token begins with: its version in base64, and the first bytes of its time until the year 2242. No
/// value of ours begins so: their first byte is a small version number.
const TOKEN: &[u8] = b"gAAAA";

/// A moment after every other: whose clock is ahead must not keep others from what it wrote.
const ANY_TIME: u64 = u64::MAX / 2;

/// Seals and opens values. Without a current key it seals nothing; what is not sealed is open.
#[derive(Clone, Default)]
pub struct Cipher {
    current: Option<Fernet>,
    previous: Vec<Fernet>,
}

/// A key that is not 32 bytes in URL-safe base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key: expected 32 bytes in URL-safe base64, as `portbroker keygen` prints them")]
pub struct InvalidKey;

/// None of our keys opens a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("none of the keys opens this value")]
pub struct Sealed;

impl Cipher {
    /// Seals with `current`, opens with any.
    ///
    /// # Errors
    /// [`InvalidKey`] for the first that is none.
    pub fn new(
        current: Option<&SecretString>,
        previous: impl IntoIterator<Item = SecretString>,
    ) -> Result<Self, InvalidKey> {
        let key = |key: &SecretString| Fernet::new(key.expose_secret()).ok_or(InvalidKey);
        let previous = previous.into_iter().map(|previous| key(&previous)).collect::<Result<_, _>>()?;
        Ok(Self { current: current.map(key).transpose()?, previous })
    }

    /// The cipher that sessions are configured with. Slow with a password: call it once, off the async threads.
    ///
    /// # Errors
    /// [`InvalidKey`] for a key that validation would have refused.
    pub fn of_sessions(config: &SessionsConfig) -> Result<Self, InvalidKey> {
        let is_set = |secret: &&SecretString| !secret.expose_secret().is_empty();
        let derived =
            Some(&config.password).filter(is_set).map(|password| derived_key(password, &config.password_salt));
        let current = derived.as_ref().or(Some(&config.encryption_key).filter(is_set));
        Self::new(current, config.previous())
    }

    /// What to store of `plain`.
    #[must_use]
    pub fn seal(&self, plain: Bytes) -> Bytes {
        self.current.as_ref().map_or(plain.clone(), |key| key.encrypt(&plain).into())
    }

    /// What was sealed.
    ///
    /// # Errors
    /// [`Sealed`] when no key opens it, or it was changed.
    pub fn open(&self, stored: Bytes) -> Result<Bytes, Sealed> {
        if !stored.starts_with(TOKEN) {
            return Ok(stored);
        }
        let token = std::str::from_utf8(&stored).map_err(|_| Sealed)?;
        let mut keys = self.current.iter().chain(&self.previous);
        keys.find_map(|key| key.decrypt_at_time(token, None, ANY_TIME).ok()).map(Bytes::from).ok_or(Sealed)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher").finish_non_exhaustive()
    }
}

/// Whether a key can be used.
#[must_use]
pub fn is_key(key: &SecretString) -> bool {
    Fernet::new(key.expose_secret()).is_some()
}

/// A new random key.
#[must_use]
pub fn random_key() -> SecretString {
    Fernet::generate_key().into()
}

/// The key that a password and its salt always make.
#[must_use]
pub fn derived_key(password: &SecretString, salt: &str) -> SecretString {
    let mut key = [0; 32];
    pbkdf2_hmac::<Sha256>(password.expose_secret().as_bytes(), salt.as_bytes(), ROUNDS, &mut key);
    URL_SAFE.encode(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `generate.json` of the Fernet specification.
    const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const TOKEN: &str =
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";

    fn cipher(keys: &[&str]) -> Cipher {
        let mut keys = keys.iter().map(|key| SecretString::from(*key));
        Cipher::new(keys.next().as_ref(), keys).unwrap()
    }

    fn fresh() -> String {
        random_key().expose_secret().to_owned()
    }

    fn text() -> Bytes {
        Bytes::from_static(b"\x01text")
    }

    #[test]
    fn the_specifications_token_opens() {
        assert_eq!(cipher(&[KEY]).open(TOKEN.into()).unwrap(), "hello");
    }

    #[test]
    fn every_key_opens_and_the_first_seals() {
        let (old, new) = (fresh(), fresh());
        let before = cipher(&[&old]).seal(text());
        assert!(!before.windows(4).any(|bytes| bytes == b"text"));
        let both = cipher(&[&new, &old]);
        assert_eq!(both.open(before).unwrap(), text());
        let after = both.seal(text());
        assert_eq!(cipher(&[&new]).open(after.clone()).unwrap(), text());
        assert_eq!(cipher(&[&old]).open(after.clone()), Err(Sealed));
        assert_eq!(cipher(&[]).open(after), Err(Sealed));
    }

    #[test]
    fn without_a_key_values_are_plain_and_stay_readable() {
        assert_eq!(cipher(&[]).seal(text()), text());
        assert_eq!(cipher(&[&fresh()]).open(text()).unwrap(), text());
        let key = fresh();
        let sealed = cipher(&[&key]).seal(text());
        let retired = Cipher::new(None, [key.into()]).unwrap();
        assert_eq!((retired.open(sealed).unwrap(), retired.seal(text())), (text(), text()));
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let cipher = cipher(&[&fresh()]);
        let mut token = cipher.seal(text()).to_vec();
        for index in [20, 60] {
            token[index] = if token[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(cipher.open(token.clone().into()), Err(Sealed));
        }
        assert_eq!(cipher.open(b"gAAAA\xff\xfe".as_slice().into()), Err(Sealed));
    }

    #[test]
    fn only_keys_are_keys() {
        for text in ["", "password", "AAAA", "!!!!"] {
            assert!(!is_key(&text.into()) && Cipher::new(Some(&text.into()), []).is_err(), "{text}");
        }
        assert!(is_key(&random_key()));
    }

    /// `hashlib.pbkdf2_hmac("sha256", b"correct horse battery", b"a salt of its own", 600000)` of Python.
    #[test]
    fn a_password_makes_its_key() {
        let key = derived_key(&"correct horse battery".into(), "a salt of its own");
        assert_eq!(key.expose_secret(), "ZIWn-s_OdjMFP3TRCbTS_Irf7bUX5aef6S2o426MTUw=");
    }
}
