//! Each rule, by the variable that breaks it.

use std::collections::BTreeMap;

use crate::config::load;

/// What is wrong with these settings, one line each.
fn wrong(variables: &[(&str, &str)]) -> Vec<String> {
    let environment: BTreeMap<_, _> = variables
        .iter()
        .map(|(field, value)| (format!("PORTBROKER_{}", field.to_uppercase().replace('.', "__")), (*value).to_owned()))
        .collect();
    load(None, &environment).map_or_else(|errors| errors.errors().iter().map(ToString::to_string).collect(), |_| vec![])
}

const KEY: &str = r#"[{ key = "0123456789abcdef", tenant = "acme" }]"#;

const FERNET: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

fn refused(settings: &[(&str, &str)]) {
    for (field, value) in settings {
        let found = wrong(&[(field, value)]);
        assert_eq!(found.len(), 1, "{field} = {value}: {found:?}");
    }
}

#[test]
fn a_setting_out_of_its_range_is_refused() {
    refused(&[
        ("data_dir", ""),
        ("streams.replicas", "2"),
        ("streams.jobs_max_bytes", "-1"),
        ("publisher.batch_max", "1001"),
        ("publisher.batch_threshold", "257"),
        ("publisher.batch_max_bytes", "1000"),
        ("ingress.listen", "8080"),
        ("ingress.listen", "example.com:8080"),
        ("ingress.listen", "0.0.0.0:8080"),
        ("ingress.inline_max_bytes", "1048576"),
        ("ingress.body_memory_bytes", "1000"),
        ("ingress.keepalive", "0s"),
        ("ingress.keys", r#"[{ key = "too-short", tenant = "acme" }]"#),
        ("ingress.keys", r#"[{ key = "with a space within", tenant = "acme" }]"#),
        ("ingress.keys", r#"[{ key = "0123456789abcdef", tenant = " " }]"#),
        ("ingress.keys", r#"[{ key = "0123456789abcdef", tenant = "acme", requests_per_minute = 0 }]"#),
        ("worker.slots", "0"),
        ("worker.weight_low", "0"),
        ("worker.lease", "29s"),
        ("worker.renew_every", "11s"),
        ("worker.clock_margin", "15s"),
        ("worker.idle_timeout", "11m"),
        ("streams.retention", "72h 10m 30s"),
        ("streams.max_delay", "7days"),
        ("streams.max_ack_pending", "100"),
        ("retry.initial", "31s"),
        ("breaker.open_for", "100years"),
        ("nats.url", "http://host"),
        ("nats.url", "nats://a,,nats://b"),
        ("nats.cert_file", "Cargo.toml"),
        ("nats.key_file", "Cargo.toml"),
        ("nats.password", "secret"),
        ("nats.ca_file", "not/there.pem"),
        ("database.url", "mysql://host/name"),
        ("redis.url", "host:6379"),
        ("providers.file", "not/there.toml"),
        ("sessions.max_bytes", "700001"),
        ("sessions.idle_expiry", "10m 30s"),
        ("sessions.encryption_key", "not a key"),
        ("sessions.previous_keys", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=,x"),
        ("sessions.password", "long enough for one"),
        ("log.format", "xml"),
        ("log.level", "loud=very"),
        ("ops.listen", "9090"),
    ]);
}

#[test]
fn a_setting_of_alerting_out_of_its_range_is_refused() {
    refused(&[
        ("alerts.rules.error_rate.threshold", "1.1"),
        ("alerts.rules.error_rate.threshold", "-0.1"),
        ("alerts.rules.error_rate.threshold", "NaN"),
        ("alerts.refresh", "5m"),
        ("alerts.rules.budget.threshold", "80"),
        ("alerts.rules.budget.daily_dollars", "-1"),
        ("alerts.rules.cost_anomaly.threshold", "0.9"),
        ("alerts.rules.queue_age.threshold", "0s"),
        ("alerts.rules.queue_age.for", "soon"),
        ("alerts.rules.no_worker.threshold", "0"),
        ("webhook.url", "https://ops.example.com/hook"),
        ("webhook.secret", "whsec_c2hvcnQ="),
        ("webhook.retry_initial", "6m"),
        ("heartbeat.url", "ftp://host"),
        ("heartbeat.method", "PUT"),
        ("alerts.lease", "500ms"),
        ("alerts.max_silences", "0"),
        ("alerts.inhibitions", r#"[{ source = ["kind=disk"], target = [] }]"#),
        ("alerts.inhibitions", r#"[{ source = ["kind"], target = ["kind=disk"] }]"#),
        ("alerts.inhibitions", r#"[{ source = ["kind=disk"], target = ["a=~.*"] }]"#),
        ("alerts.inhibitions", r#"[{ source = ["kind=disk"], target = ["a=b"], equal = [""] }]"#),
        ("alerts.inhibitions", r#"[{ source = ["kind=disk"], target = ["a=b"], equals = ["c"] }]"#),
        ("telegram.token", "123:abc"),
        ("telegram.chat_id", "operators"),
        ("telegram.api_url", "api.telegram.org"),
        ("telegram.allowed_users", "[-100123]"),
        ("telegram.allowed_users", "[\"me\"]"),
        ("telegram.portal_url", "jobs.example.com"),
        ("telegram.utc_offset", "2"),
        ("telegram.daily_digest", "8:00"),
        ("telegram.routes", r#"[{ chat = "operators" }]"#),
        ("telegram.routes", r#"[{ topic = 4 }]"#),
        ("telegram.routes", r#"[{ chat = "-1", topic = 0 }]"#),
        ("telegram.routes", r#"[{ matchers = ["nonsense"], chat = "-1" }]"#),
        ("telegram.routes", r#"[{ quiet = "22:00", chat = "-1" }]"#),
    ]);
}

#[test]
fn a_setting_at_the_edge_of_its_range_is_taken() {
    for settings in [
        &[("publisher.batch_max", "1000")][..],
        &[("publisher.batch_max", "2"), ("publisher.batch_threshold", "2")],
        &[("worker.lease", "31s"), ("worker.renew_every", "10333ms")],
        &[("streams.retention", "72h 10m 31s")],
        &[("ingress.listen", "localhost:0")],
        &[("ingress.listen", "[::1]:8080")],
        &[("ingress.listen", "0.0.0.0:8080"), ("ingress.keys", KEY)],
        &[("ingress.requests_per_minute", "0"), ("disk.min_free_bytes", "0"), ("shutdown.grace", "0s")],
        &[("nats.url", "a:4222, tls://user:password@b")],
        &[("nats.url", "nats://token@host")],
        &[("database.url", "sqlite::memory:"), ("redis.url", "rediss://:password@host/1")],
        &[("sessions.encryption_key", FERNET), ("sessions.previous_keys", FERNET)],
        &[("sessions.password", "twelve chars"), ("sessions.password_salt", "sixteen letters.")],
        &[("telegram.token", "123:abc"), ("telegram.chat_id", "-100123")],
        &[("telegram.chat_id", "@operators"), ("alerts.rules.error_rate.threshold", "0")],
        &[("telegram.cooldown", "0s"), ("alerts.refresh", "0s")],
        &[("alerts.rules.queue_age.for", "0s"), ("alerts.rules.queue_age.keep_firing_for", "")],
        &[("webhook.url", "https://ops/hook"), ("webhook.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
        &[("alerts.inhibitions", r#"[{ source = ["kind=disk"], target = ["a=~b.*"], within = "1m" }]"#)],
        &[("alerts.inhibitions", "[]"), ("telegram.group_interval", "0s")],
        &[("telegram.allowed_users", "[1, 2]"), ("telegram.utc_offset", "-05:30"), ("telegram.daily_digest", "")],
        &[("telegram.routes", r#"[{ matchers = ["kind=disk", "severity=~info"], quiet = "22:00-07:00" }]"#)],
        &[("telegram.routes", r#"[{ matchers = ["provider=p"], chat = "-1", topic = 4, utc_offset = "+02:00" }]"#)],
        &[("nats.cert_file", "Cargo.toml"), ("nats.key_file", "Cargo.toml")],
    ] {
        assert_eq!(wrong(settings), Vec::<String>::new());
    }
}

#[test]
fn settings_that_exclude_each_other_are_named() {
    let found = wrong(&[("nats.user", "me"), ("nats.token", "secret-token")]);
    let said = "nats.token (PORTBROKER_NATS__TOKEN): found it and nats.user; set one of them alone";
    assert_eq!(found, [said]);
    let twice = format!("{},{}", KEY.trim_end_matches(']'), KEY.trim_start_matches('['));
    let said = "ingress.keys[1].key (PORTBROKER_INGRESS__KEYS): found the key of ingress.keys[0]; \
                write another one: a key names one tenant";
    assert_eq!(wrong(&[("ingress.keys", &twice)]), [said]);
}

#[test]
fn an_open_door_says_how_to_close_it() {
    let said = "ingress.listen (PORTBROKER_INGRESS__LISTEN): found \"0.0.0.0:8080\" and no keys; \
                without keys anyone could use it: set ingress.keys, or listen on 127.0.0.1";
    assert_eq!(wrong(&[("ingress.listen", "0.0.0.0:8080")]), [said]);
}
