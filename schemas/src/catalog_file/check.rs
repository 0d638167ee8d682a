//! Values that have the right type and still make no sense.

use std::collections::HashSet;

use secrecy::ExposeSecret;
use url::Url;

use crate::catalog::{ANTHROPIC_VERSION, API_VERSION, Catalog, MODEL_IN_PATH, Model, Provider, ProviderDialect};
use crate::context::is_low_water;

const ENCODINGS: [&str; 2] = ["o200k_base", "cl100k_base"];

/// Every value at fault in the catalog.
pub(super) fn faults(catalog: &Catalog) -> Vec<String> {
    let mut names = HashSet::new();
    let mut faults = Vec::new();
    for provider in &catalog.providers {
        let mut found = of_provider(provider);
        if !names.insert(&provider.name) {
            found.push("another provider has the same name".to_owned());
        }
        faults.extend(found.into_iter().map(|fault| format!("provider {}: {fault}", provider.name)));
    }
    faults
}

/// Whether `text` may be the value of an HTTP header: visible ASCII, blanks and tabs.
pub(super) fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
}

/// RFC 9110, section 5.6.2: the characters of a header's name.
fn is_header_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

fn of_provider(provider: &Provider) -> Vec<String> {
    let mut faults = Vec::new();
    if provider.name.trim().is_empty() {
        faults.push("`name` is empty".to_owned());
    }
    if provider.dialect != ProviderDialect::Echo {
        faults.extend(base_url(&provider.base_url).err());
    }
    faults.extend(path(provider).err());
    faults.extend(credential(provider));
    faults.extend(api_version(provider));
    faults.extend(headers(provider));
    if provider.models.is_empty() {
        faults.push("it serves no model: add [[provider.model]]".to_owned());
    }
    faults.extend(models(provider));
    for (tier, model) in &provider.tiers {
        if !provider.models.iter().any(|known| known.serves(model)) {
            faults.push(format!("the tier {tier} names the model {model}, which it does not serve"));
        }
    }
    faults
}

fn base_url(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("`base_url` is missing".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("`base_url` is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("`base_url` must begin with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("`base_url` must not hold a user name or password: use `credential_env`".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("`base_url` must not hold a query: use `query`".to_owned());
    }
    Ok(())
}

fn path(provider: &Provider) -> Result<(), String> {
    let Some(path) = &provider.path else { return Ok(()) };
    let rest = path.replace(MODEL_IN_PATH, "m");
    if !path.starts_with('/') {
        return Err("`path` must begin with /".to_owned());
    }
    if rest.contains(['{', '}']) {
        return Err(format!("`path` may hold {MODEL_IN_PATH} and no other brace"));
    }
    if rest.contains(['?', '#']) {
        return Err("`path` must not hold a query: use `query`".to_owned());
    }
    if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("`path` holds characters that no URL may have".to_owned());
    }
    Ok(())
}

fn api_version(provider: &Provider) -> Vec<String> {
    let Some(version) = &provider.api_version else { return Vec::new() };
    let mut faults = Vec::new();
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_graphic()) {
        faults.push("`api_version` is empty, or holds characters that no version has".to_owned());
    }
    if provider.dialect == ProviderDialect::Echo {
        faults.push("`api_version` has no meaning for echo".to_owned());
    }
    if provider.version_header().is_some() && provider.headers.keys().any(|name| is_version(name)) {
        faults.push(format!("it has both `api_version` and {ANTHROPIC_VERSION} in `headers`"));
    }
    if provider.version_query().is_some() && provider.query.contains_key(API_VERSION) {
        faults.push(format!("it has both `api_version` and {API_VERSION} in `query`"));
    }
    faults
}

fn is_version(header: &str) -> bool {
    header.eq_ignore_ascii_case(ANTHROPIC_VERSION)
}

fn credential(provider: &Provider) -> Vec<String> {
    let mut faults = Vec::new();
    if provider.credential.is_some() && provider.credential_env.is_some() {
        faults.push("it has both `credential` and `credential_env`".to_owned());
    }
    let key = provider.credential.as_ref().map(ExposeSecret::expose_secret);
    if key.is_some_and(|key| key.trim() != key || key.is_empty() || !is_header_value(key)) {
        faults.push("`credential` is empty, or holds characters that no header may have".to_owned());
    }
    if !is_header_name(provider.key_header()) {
        faults.push("`credential_header` is no header name".to_owned());
    }
    faults
}

fn headers(provider: &Provider) -> Vec<String> {
    let ours = ["host", "content-length", "content-type", "transfer-encoding", "connection"];
    let mut faults = Vec::new();
    for (name, value) in &provider.headers {
        if !is_header_name(name) {
            faults.push(format!("`headers`: {name:?} is no header name"));
        } else if ours.iter().any(|taken| name.eq_ignore_ascii_case(taken)) {
            faults.push(format!("`headers`: {name} is set by the transport"));
        } else if !is_header_value(value) {
            faults.push(format!("`headers`: the value of {name} holds characters that no header may have"));
        }
    }
    faults
}

fn models(provider: &Provider) -> Vec<String> {
    let mut names = HashSet::new();
    let mut faults = Vec::new();
    for model in &provider.models {
        if !names.insert(&model.name) {
            faults.push(format!("model {}: listed twice", model.name));
        }
        faults.extend(of_model(model).into_iter().map(|fault| format!("model {}: {fault}", model.name)));
    }
    faults
}

fn of_model(model: &Model) -> Vec<String> {
    let mut faults = Vec::new();
    if model.name.is_empty() {
        faults.push("`name` is empty".to_owned());
    }
    if model.name.trim_end_matches('*').contains('*') || model.name.ends_with("**") {
        faults.push("a `*` may stand only once, at the end of `name`".to_owned());
    }
    if model.upstream.as_deref() == Some("") {
        faults.push("`upstream` is empty".to_owned());
    }
    if model.reserve() == 0 || model.reserve() >= model.context_window {
        faults.push("`max_output` must be above 0 (4096 when unset) and below `context_window`".to_owned());
    }
    if model.encoding.as_deref().is_some_and(|encoding| !ENCODINGS.contains(&encoding)) {
        faults.push(format!("`encoding` is none of {}", ENCODINGS.join(", ")));
    }
    if ![model.input_price, model.output_price].iter().all(|price| price.is_finite() && *price >= 0.0) {
        faults.push("a price must be 0 or more".to_owned());
    }
    if model.context.low_water.is_some_and(|share| !is_low_water(share)) {
        faults.push("`context.low_water` must be above 0 and at most 1".to_owned());
    }
    if model.context.budget == Some(0) {
        faults.push("`context.budget` must be above 0".to_owned());
    }
    faults
}
