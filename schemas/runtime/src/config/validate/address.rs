//! Addresses: what we listen on and what we call.

use std::net::SocketAddr;

use secrecy::ExposeSecret;
use url::Url;

use super::findings::{Findings, quoted};
use crate::config::Config;
use crate::config::show::{masked, masked_servers, server};

pub(super) fn check(config: &Config, findings: &mut Findings) {
    listen("ingress.listen", &config.ingress.listen, findings);
    if !config.ops.listen.is_empty() {
        listen("ops.listen", &config.ops.listen, findings);
    }
    servers(&config.nats.url, findings);
    let database = config.database.url.expose_secret();
    let sql = ["postgres", "postgresql", "sqlite"];
    one_of("database.url", database, &sql, "\"postgres://user:password@host/name\" or \"sqlite:path\"", findings);
    let redis = config.redis.url.expose_secret();
    let schemes = ["redis", "rediss", "redis+unix", "unix"];
    one_of("redis.url", redis, &schemes, "\"redis://host:6379/0\" or \"rediss://host:6379/0\"", findings);
    let api = &config.telegram.api_url;
    let fine = Url::parse(api).is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    findings.unless(fine, "telegram.api_url", quoted(masked(api)), "write \"https://api.telegram.org\"");
    let portal = &config.telegram.portal_url;
    one_of("telegram.portal_url", portal, &["http", "https"], "\"https://jobs.example.com\"", findings);
}

/// Whether `address` can be reached from this machine alone.
pub(super) fn is_loopback(address: &str) -> bool {
    match address.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        Err(_) => is_localhost(address),
    }
}

/// `localhost:port`, the one name that needs no looking up.
fn is_localhost(address: &str) -> bool {
    address.strip_prefix("localhost:").is_some_and(|port| port.parse::<u16>().is_ok())
}

fn listen(field: &str, address: &str, findings: &mut Findings) {
    let fine = address.parse::<SocketAddr>().is_ok() || is_localhost(address);
    let instead = "write an IP address and a port, for example \"127.0.0.1:8080\" or \"[::1]:8080\"";
    findings.unless(fine, field, quoted(address), instead);
}

fn servers(servers: &str, findings: &mut Findings) {
    let is_server = |text: &str| {
        Url::parse(&server(text).0).is_ok_and(|url| ["nats", "tls"].contains(&url.scheme()) && url.has_host())
    };
    let fine = servers.is_empty() || servers.split(',').map(str::trim).all(is_server);
    let instead = "write addresses like \"nats://host:4222\" or \"tls://host:4222\", with commas between";
    findings.unless(fine, "nats.url", quoted(masked_servers(servers)), instead);
}

/// An address of one of these schemes, or none.
fn one_of(field: &str, address: &str, schemes: &[&str], example: &str, findings: &mut Findings) {
    let fine = address.is_empty() || Url::parse(address).is_ok_and(|url| schemes.contains(&url.scheme()));
    findings.unless(fine, field, quoted(masked(address)), format!("write {example}, or \"\" for none"));
}
