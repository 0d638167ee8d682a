//! The configuration in force, for people and for another `--config`, with secrets masked; and those secrets themselves,
//! for the scrubber of logs.

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use serde::Serializer;
use serde_json::Value;
use url::Url;

use super::Config;
use crate::telemetry::MASK;

/// Settings that hold a secret, or an address with one in it.
const SECRETS: [&str; 10] = [
    "database.url",
    "heartbeat.url",
    "ingress.keys",
    "nats.password",
    "nats.token",
    "nats.url",
    "redis.url",
    "telegram.token",
    "webhook.secret",
    "webhook.url",
];

/// Query parameters of a database's address that hold a secret.
const SECRET_PARAMETERS: [&str; 2] = ["password", "sslpassword"];

impl Config {
    /// Every setting in force, secrets as `***`. Loads again as a configuration file, but for those.
    #[must_use]
    pub fn shown(&self) -> Value {
        // Every field is a text, a number, a flag or a list of such: that always serializes.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Every secret that is set: keys, tokens, passwords, also those within addresses.
    #[must_use]
    pub fn secrets(&self) -> Vec<SecretString> {
        let plain = [&self.nats.password, &self.nats.token, &self.telegram.token, &self.webhook.secret];
        let plain = plain.into_iter().chain([&self.webhook.url, &self.heartbeat.url]);
        let keys = self.ingress.keys.iter().map(|key| &key.key);
        let whole = plain.chain(keys).map(|secret| secret.expose_secret().to_owned());
        let addresses = [self.database.url.expose_secret(), self.redis.url.expose_secret()];
        let servers = self.nats.url.split(',').map(str::trim).map(server).map(|(address, _)| address);
        let within = addresses.into_iter().map(str::to_owned).chain(servers).flat_map(|address| credentials(&address));
        whole.chain(within).filter(|secret| !secret.is_empty()).map(SecretString::from).collect()
    }
}

/// Whether the value at `path` must not be shown.
pub(super) fn is_secret(path: &str) -> bool {
    SECRETS.iter().any(|secret| path.strip_prefix(secret).is_some_and(|rest| rest.is_empty() || rest.starts_with('[')))
}

/// A value for an error text.
pub(super) fn value(path: &str, value: &Value) -> String {
    match value {
        _ if is_secret(path) => "something else".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        value => value.to_string(),
    }
}

pub(super) fn secret<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if secret.expose_secret().is_empty() { "" } else { MASK })
}

pub(super) fn address<S: Serializer>(address: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&masked(address.expose_secret()))
}

pub(super) fn servers<S: Serializer>(servers: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&masked_servers(servers))
}

/// A list of NATS servers. A user without a password is a token.
pub(super) fn masked_servers(servers: &str) -> String {
    let masked = servers.split(',').map(str::trim).map(|part| {
        let (address, added) = server(part);
        let mut masked = masked(&address);
        if let Ok(mut url) = Url::parse(&masked)
            && !url.username().is_empty()
            && url.password().is_none()
            && url.set_username(MASK).is_ok()
        {
            masked = url.to_string();
        }
        masked.strip_prefix(added).map(str::to_owned).unwrap_or(masked)
    });
    masked.collect::<Vec<_>>().join(",")
}

/// A server's address with its scheme, and the scheme if it was left out.
pub(super) fn server(text: &str) -> (String, &'static str) {
    let added = if text.is_empty() || text.contains("://") { "" } else { "nats://" };
    (format!("{added}{text}"), added)
}

/// An address with its password masked; as it stands when it has none.
pub(super) fn masked(address: &str) -> String {
    if address.is_empty() {
        return String::new();
    }
    // What does not parse may hold anything.
    let Ok(mut url) = Url::parse(address) else { return MASK.to_owned() };
    let is_secret = |name: &str| SECRET_PARAMETERS.contains(&name);
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let in_query = pairs.iter().any(|(name, _)| is_secret(name));
    if url.password().is_none() && !in_query {
        return address.to_owned();
    }
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    if in_query {
        let shown = pairs.iter().map(|(name, value)| (name, if is_secret(name) { MASK } else { value.as_str() }));
        url.query_pairs_mut().clear().extend_pairs(shown);
    }
    url.to_string()
}

/// The secrets within an address, as written and as meant. A user without a password may be a token.
fn credentials(address: &str) -> Vec<String> {
    let Ok(url) = Url::parse(address) else { return vec![address.to_owned()] };
    let token = Some(url.username()).filter(|_| url.password().is_none() && address.starts_with("nats"));
    let user_info = url.password().or(token).map(|written| {
        let meant = percent_decode_str(written).decode_utf8_lossy().into_owned();
        [written.to_owned(), meant]
    });
    let query = url.query_pairs().filter(|(name, _)| SECRET_PARAMETERS.contains(&&**name));
    let query = query.map(|(_, value)| value.into_owned()).collect::<Vec<_>>();
    user_info.into_iter().flatten().chain(query).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_of_an_address_is_masked() {
        for (address, shown) in [
            ("", ""),
            ("postgres://app:p%40ss@db:5432/jobs", "postgres://app:***@db:5432/jobs"),
            ("postgres://db/jobs?user=app&password=secret", "postgres://db/jobs?user=app&password=***"),
            ("postgres://app@db/jobs", "postgres://app@db/jobs"),
            ("redis://:secret@cache:6379/0", "redis://:***@cache:6379/0"),
            ("sqlite:data/jobs.db", "sqlite:data/jobs.db"),
            ("no address: secret", MASK),
        ] {
            assert_eq!(masked(address), shown);
        }
        for (servers, shown) in [
            ("", ""),
            ("a:4222, nats://b:4222", "a:4222,nats://b:4222"),
            ("nats://app:secret@a,tls://token@b", "nats://app:***@a,tls://***@b"),
            ("app:secret@a:4222", "app:***@a:4222"),
        ] {
            assert_eq!(masked_servers(servers), shown);
        }
    }

    #[test]
    fn the_secrets_of_an_address_are_known_as_written_and_as_meant() {
        assert_eq!(credentials("postgres://app:p%40ss@db/jobs?sslpassword=other"), ["p%40ss", "p@ss", "other"]);
        assert_eq!(credentials("nats://token@a"), ["token", "token"]);
        assert!(credentials("postgres://app@db").is_empty());
    }
}
