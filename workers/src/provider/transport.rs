//! HTTP to one provider: its client, its address, its key. The only place that exposes a provider's key. Environment
//! proxies are used for https alone, where they see no key; redirects are never followed.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Client, Response, redirect, retry};
use runtime::config::WorkerConfig;
use schemas::catalog::{MODEL_IN_PATH, Provider};
use schemas::dialect::classify::{Class, Classified};
use schemas::error::{ErrorCode, Failure};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::call::broken;

const IDLE_CONNECTION: Duration = Duration::from_secs(90);
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// [`MODEL_IN_PATH`] in a parsed URL.
const ESCAPED_MODEL: &str = "%7Bmodel%7D";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Why a provider's client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The base URL, a query parameter or a header cannot be sent.
    #[error("its base_url, path, headers, query or credential cannot be sent")]
    Invalid(#[source] Box<dyn Error + Send + Sync>),
    /// No HTTP client could be made, for example because the system's certificates are unreadable.
    #[error("no HTTP client can be made for it")]
    Client(#[source] reqwest::Error),
}

/// The way to one provider.
#[derive(Debug)]
pub(super) struct Transport {
    client: Client,
    /// Where requests go; [`MODEL_IN_PATH`] stands in its path where the model's name goes.
    url: Url,
    names_model: bool,
    headers: HeaderMap,
    credential: Option<SecretString>,
}

/// What goes over it.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) body: Vec<u8>,
    /// The model's name at the provider.
    pub(super) model: &'a str,
    pub(super) stream: bool,
    pub(super) idempotency_key: Option<&'a str>,
}

impl Transport {
    /// The way to `provider`, whose dialect adds `path` to its address, unless the provider has a path of its own.
    pub(super) fn new(provider: &Provider, path: &str, config: &WorkerConfig) -> Result<Self, TransportError> {
        let path = provider.path.as_deref().unwrap_or(path);
        let url = address(provider, path).map_err(|error| TransportError::Invalid(error.into()))?;
        let mut builder = Client::builder()
            .connect_timeout(config.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(TCP_KEEPALIVE)
            .pool_idle_timeout(IDLE_CONNECTION)
            // A redirect would carry the key, or the prompt, to wherever the answer says.
            .redirect(redirect::Policy::none())
            // One attempt in the ledger is one request on the wire.
            .retry(retry::never());
        if url.scheme() == "http" {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(TransportError::Client)?;
        let names_model = path.contains(MODEL_IN_PATH);
        Ok(Self { client, url, names_model, headers: headers(provider)?, credential: provider.credential.clone() })
    }

    /// Sends one request and waits for the head of its answer. The failure's flag says whether it may have been sent.
    pub(super) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Response, (Classified, bool)> {
        let accept = if outgoing.stream { "text/event-stream" } else { "application/json" };
        let mut request = self.client.post(self.url_of(outgoing.model)).headers(self.headers.clone());
        request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, accept);
        if let Some(key) = outgoing.idempotency_key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        request.body(outgoing.body).send().await.map_err(|error| self.unanswered(&error))
    }

    /// Removes the provider's key from a text that the provider wrote.
    pub(super) fn scrub(&self, mut classified: Classified) -> Classified {
        if let Some(key) = &self.credential {
            classified.failure.message = classified.failure.message.replace(key.expose_secret(), "***");
        }
        classified
    }

    /// Where a request for `model` goes.
    fn url_of(&self, model: &str) -> Url {
        let mut url = self.url.clone();
        if self.names_model {
            // Parsing has escaped the braces.
            let named = url.path().replace(ESCAPED_MODEL, &escaped(model));
            url.set_path(&named);
        }
        url
    }

    fn unanswered(&self, error: &reqwest::Error) -> (Classified, bool) {
        let host = self.url.host_str().unwrap_or_default();
        let sent = !(error.is_connect() || error.is_builder());
        let failure = if error.is_builder() {
            broken(ErrorCode::Internal, "the provider request could not be built")
        } else if error.is_connect() {
            broken(ErrorCode::ProviderOverloaded, format!("{host} cannot be reached: {}", root(error)))
        } else if error.is_timeout() {
            broken(ErrorCode::ProviderTimeout, format!("{host} did not answer in time"))
        } else {
            broken(ErrorCode::ProviderOverloaded, format!("{host} closed the connection without an answer"))
        };
        (failure, sent)
    }
}

/// The next bytes of an answer, `None` at its end. Silence of `idle` is a failure.
pub(super) async fn chunk(response: &mut Response, idle: Option<Duration>) -> Result<Option<Bytes>, Classified> {
    let next = response.chunk();
    let read = match idle {
        None => next.await,
        Some(idle) => match tokio::time::timeout(idle, next).await {
            Ok(read) => read,
            Err(_) => return Err(broken(ErrorCode::ProviderTimeout, format!("silent for {idle:?} within the answer"))),
        },
    };
    read.map_err(|_| broken(ErrorCode::ProviderInvalidResponse, "the connection broke within the answer"))
}

/// A redirect: followed by nobody, and a fault of the configuration.
pub(super) fn redirected(status: u16) -> Classified {
    let message = format!("the provider redirects (status {status}): its base_url is wrong");
    Classified { failure: Failure::new(ErrorCode::ProviderInvalidResponse, message), class: Class::Failover }
}

fn address(provider: &Provider, path: &str) -> Result<Url, url::ParseError> {
    let mut url = Url::parse(&format!("{}{path}", provider.base_url.trim_end_matches('/')))?;
    let version = provider.version_query();
    if version.is_some() || !provider.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&provider.query).extend_pairs(version);
    }
    Ok(url)
}

/// A name as one segment of a path (RFC 3986, 2.3): it never adds one, nor takes one away.
fn escaped(name: &str) -> String {
    if matches!(name, "." | "..") {
        // Escaped or not, these would be resolved; nobody has a model of this name either.
        return "_".to_owned();
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn headers(provider: &Provider) -> Result<HeaderMap, TransportError> {
    let invalid = |error: &'static str| TransportError::Invalid(error.into());
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("portbroker/", env!("CARGO_PKG_VERSION"))));
    let key = provider.credential.as_ref().map(|key| {
        let key = key.expose_secret();
        let plain = provider.key_header().eq_ignore_ascii_case(AUTHORIZATION.as_str());
        (provider.key_header(), if plain { format!("Bearer {key}") } else { key.to_owned() })
    });
    let version = provider.version_header().map(|(name, value)| (name, value.to_owned()));
    let more = provider.headers.iter().map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in version.into_iter().chain(more).chain(key) {
        let name = HeaderName::try_from(name).map_err(|_| invalid("a header's name"))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| invalid("a header's value"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The innermost cause, which names neither URL nor header.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use schemas::catalog_file;

    use super::*;

    fn transport(more: &str) -> Result<Transport, TransportError> {
        let file = format!(
            "[[provider]]\nname = \"p\"\nbase_url = \"https://host.test/v1/\"\ncredential = \"k-e-y\"\n{more}\n\
             [[provider.model]]\nname = \"m\"\n"
        );
        let catalog = catalog_file::parse(&file, |_| None).unwrap();
        let config = runtime::config::load(None, &std::collections::BTreeMap::new()).unwrap();
        Transport::new(&catalog.providers[0], "/usual", &config.worker)
    }

    #[test]
    fn a_models_name_is_one_segment_of_the_path() {
        let way = transport("dialect = \"openai_chat\"\npath = \"/{model}/x\"\nquery = { q = \"{model}\" }").unwrap();
        let url = |model| way.url_of(model).to_string();
        assert_eq!(url("a-b.c:d"), "https://host.test/v1/a-b.c:d/x?q=%7Bmodel%7D");
        assert_eq!(url("../../é?#%2F"), "https://host.test/v1/..%2F..%2F%C3%A9%3F%23%252F/x?q=%7Bmodel%7D");
        assert_eq!(url(".."), "https://host.test/v1/_/x?q=%7Bmodel%7D");
        let plain = transport("dialect = \"openai_chat\"").unwrap();
        assert_eq!(plain.url_of("m").to_string(), "https://host.test/v1/usual");
    }

    #[test]
    fn each_dialect_has_its_own_headers() {
        let anthropic = transport("dialect = \"anthropic\"").unwrap().headers;
        assert_eq!(anthropic["x-api-key"], "k-e-y");
        assert_eq!(anthropic["anthropic-version"], "2023-06-01");
        assert!(!anthropic.contains_key(AUTHORIZATION));
        let bearer = "dialect = \"anthropic\"\ncredential_header = \"Authorization\"\napi_version = \"2026-10-21\"";
        let bearer = transport(bearer).unwrap().headers;
        assert_eq!(bearer[AUTHORIZATION], "Bearer k-e-y");
        assert_eq!(bearer["anthropic-version"], "2026-10-21");
        let responses = transport("dialect = \"openai_responses\"\napi_version = \"preview\"").unwrap();
        assert_eq!(responses.headers[AUTHORIZATION], "Bearer k-e-y");
        assert_eq!(responses.url_of("m").as_str(), "https://host.test/v1/usual?api-version=preview");
        assert!(!format!("{responses:?}").contains("k-e-y"));
    }
}
