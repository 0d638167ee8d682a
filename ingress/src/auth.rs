//! Who calls: API keys from configuration. A key names its tenant and is plain or admin. With no keys configured
//! everyone is the admin of tenant `default`; configuration then allows no listener but loopback.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, header};
use runtime::config::IngressConfig;
use schemas::error::ErrorCode;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::ApiError;
use crate::limit::Limiter;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const OPEN_TENANT: &str = "default";

/// Whoever sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Whose jobs it sees.
    pub(crate) tenant: Arc<str>,
    /// May also alert, and see what is everyone's.
    pub(crate) admin: bool,
    /// Tells its API key from others, without being one: a digest of a digest.
    pub(crate) key: [u8; 32],
}

/// Who may call.
#[derive(Debug)]
pub(crate) enum Keys {
    /// No key is configured: everyone, without one.
    Open(Key),
    /// Whoever shows one of these.
    Closed(Vec<Key>),
}

/// One key: its digest, so that the secret itself is not kept about, and what it stands for.
#[derive(Debug)]
pub(crate) struct Key {
    digest: [u8; 32],
    caller: Caller,
    limiter: Limiter,
}

impl Keys {
    /// The keys of this configuration.
    pub(crate) fn new(config: &IngressConfig) -> Self {
        let general = config.requests_per_minute;
        if config.keys.is_empty() {
            return Self::Open(Key::new("", OPEN_TENANT, true, general));
        }
        let limit = |own: Option<u32>| own.unwrap_or(general);
        let keys = config.keys.iter();
        let keys =
            keys.map(|key| Key::new(key.key.expose_secret(), &key.tenant, key.admin, limit(key.requests_per_minute)));
        Self::Closed(keys.collect())
    }

    /// Who the request is from, if its key is known and within its rate.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<Caller, Denied> {
        let key = match self {
            Self::Open(everyone) => everyone,
            Self::Closed(keys) => find(keys, presented(headers).ok_or(Denied::NoKey)?).ok_or(Denied::UnknownKey)?,
        };
        key.limiter.check().map_err(Denied::TooFast)?;
        Ok(key.caller.clone())
    }
}

impl Key {
    fn new(secret: &str, tenant: &str, admin: bool, requests_per_minute: u32) -> Self {
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let key = Sha256::new().chain_update(tenant).chain_update(digest).finalize().into();
        Self {
            digest,
            caller: Caller { tenant: tenant.into(), admin, key },
            limiter: Limiter::new(requests_per_minute),
        }
    }
}

/// Compares the digests of all keys, each in constant time: how long it takes tells nothing about any of them.
fn find<'a>(keys: &'a [Key], presented: &[u8]) -> Option<&'a Key> {
    let digest: [u8; 32] = Sha256::digest(presented).into();
    keys.iter().fold(None, |found, key| if bool::from(key.digest.ct_eq(&digest)) { Some(key) } else { found })
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It shows no key.
    NoKey,
    /// Its key is none of ours.
    UnknownKey,
    /// Its key is used too often; come back after this long.
    TooFast(Duration),
}

impl Denied {
    /// The metric label.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::UnknownKey => "unknown_key",
            Self::TooFast(_) => "too_fast",
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoKey => Self::new(
                ErrorCode::Unauthorized,
                "no API key: send `Authorization: Bearer <key>` or `X-Api-Key: <key>`",
            ),
            Denied::UnknownKey => Self::new(ErrorCode::Unauthorized, "the API key is not known here"),
            Denied::TooFast(wait) => {
                let message = "this API key sends faster than its limit of requests a minute";
                Self::new(ErrorCode::RateLimited, message).with_retry_after(wait)
            }
        }
    }
}

/// The key that a request shows: `Authorization: Bearer` first, then `X-Api-Key`.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii())
    });
    let key = bearer.or_else(|| headers.get(API_KEY).map(|value| value.as_bytes().trim_ascii()));
    key.filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn both_headers_carry_a_key() {
        let keys = Keys::Closed(vec![Key::new("first-key", "one", false, 0), Key::new("second-key", "two", true, 0)]);
        let tenant = |headers: HeaderMap| keys.admit(&headers).map(|caller| caller.tenant.to_string());
        assert_eq!(tenant(with("authorization", "Bearer first-key")).as_deref(), Ok("one"));
        assert_eq!(tenant(with("authorization", "bearer  second-key ")).as_deref(), Ok("two"));
        assert_eq!(tenant(with("x-api-key", "second-key")).as_deref(), Ok("two"));
        assert_eq!(tenant(with("x-api-key", "second-ke")), Err(Denied::UnknownKey));
        assert_eq!(tenant(with("authorization", "Basic first-key")), Err(Denied::NoKey));
        assert_eq!(tenant(with("x-api-key", "")), Err(Denied::NoKey));
        assert_eq!(tenant(HeaderMap::new()), Err(Denied::NoKey));
    }

    #[test]
    fn without_keys_everyone_is_admin_of_the_default_tenant() {
        let caller = Keys::Open(Key::new("", OPEN_TENANT, true, 0)).admit(&with("x-api-key", "whatever")).unwrap();
        assert_eq!((&*caller.tenant, caller.admin), ("default", true));
    }

    #[test]
    fn each_key_has_its_own_rate() {
        let keys = Keys::Closed(vec![Key::new("slow-key", "one", false, 2), Key::new("free-key", "two", false, 0)]);
        let headers = with("x-api-key", "slow-key");
        assert!(keys.admit(&headers).is_ok() && keys.admit(&headers).is_ok());
        let Err(Denied::TooFast(wait)) = keys.admit(&headers) else { panic!("the third request passed") };
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(30));
        assert!(keys.admit(&with("x-api-key", "free-key")).is_ok());
    }
}
