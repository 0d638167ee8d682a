//! Who may come in, and who we are to others.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use super::address;
use super::findings::{Findings, is_empty, quoted};
use crate::cipher;
use crate::config::{Config, SessionsConfig, TelegramConfig};

/// Shorter keys can be guessed.
const SHORTEST_KEY: usize = 16;
/// Shorter passwords can be guessed even through a slow derivation.
const SHORTEST_PASSWORD: usize = 12;
/// A shorter salt may be another's too.
const SHORTEST_SALT: usize = 16;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    doors(config, findings);
    keys(config, findings);
    broker(config, findings);
    sessions(&config.sessions, findings);
    telegram(&config.telegram, findings);
}

fn sessions(sessions: &SessionsConfig, findings: &mut Findings) {
    let (key, password) = (&sessions.encryption_key, sessions.password.expose_secret());
    let no_key = key.expose_secret().is_empty();
    let instead = "write a key as `portbroker keygen` prints it, or \"\" for none";
    findings.unless(no_key || cipher::is_key(key), "sessions.encryption_key", "something else", instead);
    let fine = sessions.previous().all(|key| cipher::is_key(&key));
    let instead = "write keys as `portbroker keygen` prints them, comma separated";
    findings.unless(fine, "sessions.previous_keys", "something else", instead);
    if password.is_empty() {
        return;
    }
    findings.unless(no_key, "sessions.password", "it and sessions.encryption_key", "set one of them alone");
    let found = format!("{} characters", password.chars().count());
    let fine = password.chars().count() >= SHORTEST_PASSWORD;
    findings.unless(fine, "sessions.password", found, format!("write at least {SHORTEST_PASSWORD}"));
    let found = format!("{} characters", sessions.password_salt.chars().count());
    let instead = format!("write at least {SHORTEST_SALT} random ones, as `portbroker keygen --password` prints them");
    let fine = sessions.password_salt.chars().count() >= SHORTEST_SALT;
    findings.unless(fine, "sessions.password_salt", found, instead);
}

fn doors(config: &Config, findings: &mut Findings) {
    let listen = &config.ingress.listen;
    // What does not parse was told already.
    let open = listen.parse::<std::net::SocketAddr>().is_ok() && !address::is_loopback(listen);
    let instead = "without keys anyone could use it: set ingress.keys, or listen on 127.0.0.1";
    let found = format!("{} and no keys", quoted(listen));
    findings.unless(!open || !config.ingress.keys.is_empty(), "ingress.listen", found, instead);
}

fn keys(config: &Config, findings: &mut Findings) {
    let mut seen = BTreeMap::new();
    for (index, entry) in config.ingress.keys.iter().enumerate() {
        let (key, field) = (entry.key.expose_secret(), |name: &str| format!("ingress.keys[{index}].{name}"));
        let found = format!("{} characters", key.chars().count());
        let instead = format!("write at least {SHORTEST_KEY} random ones, for example of `openssl rand -hex 24`");
        findings.unless(key.chars().count() >= SHORTEST_KEY, &field("key"), found, instead);
        let sendable = key.chars().all(|letter| letter.is_ascii_graphic());
        let instead = "write printable ASCII without spaces: a header must carry it";
        findings.unless(sendable, &field("key"), "other characters", instead);
        findings.unless(!entry.tenant.trim().is_empty(), &field("tenant"), "no name", "write whose jobs it sees");
        let limit = entry.requests_per_minute;
        findings.unless(limit != Some(0), &field("requests_per_minute"), 0, "write 1 or more, or leave it out");
        if let Some(first) = seen.insert(key, index) {
            let found = format!("the key of ingress.keys[{first}]");
            findings.unless(false, &field("key"), found, "write another one: a key names one tenant");
        }
    }
}

fn broker(config: &Config, findings: &mut Findings) {
    let nats = &config.nats;
    let ways = [
        ("nats.user", !nats.user.is_empty()),
        ("nats.token", !nats.token.expose_secret().is_empty()),
        ("nats.credentials_file", !is_empty(&nats.credentials_file)),
        ("nats.nkey_seed_file", !is_empty(&nats.nkey_seed_file)),
    ];
    let mut set = ways.iter().filter(|(_, set)| *set).map(|(field, _)| field);
    if let Some(first) = set.next() {
        set.for_each(|field| findings.unless(false, field, format!("it and {first}"), "set one of them alone"));
    }
    let lonely = nats.user.is_empty() && !nats.password.expose_secret().is_empty();
    findings.unless(!lonely, "nats.user", "a password and no user", "write the user's name");
}

fn telegram(telegram: &TelegramConfig, findings: &mut Findings) {
    let others = [
        ("telegram.chat_id_critical", &telegram.chat_id_critical),
        ("telegram.chat_id_warning", &telegram.chat_id_warning),
        ("telegram.chat_id_info", &telegram.chat_id_info),
    ];
    let token = telegram.token.expose_secret();
    let reached = !telegram.chat_id.is_empty() || others.iter().all(|(_, chat)| !chat.is_empty());
    let instead = "write the chat to send to: a number, or \"@channelname\"";
    findings.unless(token.is_empty() || reached, "telegram.chat_id", "\"\" beside a token", instead);
    for (field, chat) in others.into_iter().chain([("telegram.chat_id", &telegram.chat_id)]) {
        findings.unless(chat.is_empty() || is_chat(chat), field, quoted(chat), instead);
    }
    for (index, route) in telegram.routes.iter().enumerate() {
        let (chat, field) = (&route.chat, |name: &str| format!("telegram.routes[{index}].{name}"));
        findings.unless(chat.is_empty() || is_chat(chat), &field("chat"), quoted(chat), instead);
        let lost = chat.is_empty() && route.topic.is_some();
        findings.unless(!lost, &field("chat"), "a topic and no chat", "write the chat that has the topic");
        let topic = route.topic.unwrap_or(1);
        findings.unless(topic >= 1, &field("topic"), topic, "write the number of a topic, 1 or more");
    }
    for user in telegram.allowed_users.iter().filter(|user| **user < 1) {
        findings.unless(false, "telegram.allowed_users", user, "write numbers of users: a group is none");
    }
    let fine = !token.contains(char::is_whitespace);
    findings.unless(fine, "telegram.token", "white space within", "write it as BotFather gave it");
}

fn is_chat(chat: &str) -> bool {
    chat.parse::<i64>().is_ok() || (chat.starts_with('@') && chat.len() > 1)
}
