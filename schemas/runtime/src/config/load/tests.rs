//! Loading: layers, types, and everything wrong told at once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::config::tree::{DEFAULT, leaves};

const FERNET_ONE: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const FERNET_TWO: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn from(variables: &[(&str, &str)]) -> Config {
    load(None, &environment(variables)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn errors(file: Option<&Path>, variables: &[(&str, &str)]) -> Vec<String> {
    load(file, &environment(variables)).unwrap_err().errors().iter().map(ToString::to_string).collect()
}

/// A file of this name and text; it goes with its folder.
fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn the_defaults_are_valid_and_have_every_field_once() {
    let config = from(&[]);
    let known = Known::embedded().unwrap();
    let fields: BTreeSet<_> = leaves(&config.shown()).into_keys().collect();
    assert_eq!(fields, known.settings.into_keys().collect());
    assert_eq!(config.ingress.listen, "127.0.0.1:8080");
    assert_eq!(config.streams.jobs_max_bytes, 4 << 30);
    assert_eq!(config.ingress.max_body_bytes, 32 << 20);
    assert_eq!(config.ingress.body_memory_bytes, 32 << 20);
    assert_eq!(config.disk.min_free_bytes, 1 << 30);
    assert_eq!(config.streams.retention, Duration::from_secs(7 * 86_400));
}

#[test]
fn every_default_is_explained() {
    let mut explained = false;
    for line in DEFAULT.lines() {
        // Lines within an array are indented.
        let is_setting = line.contains(" = ") && !line.starts_with(['#', ' ']);
        assert!(!is_setting || explained, "no comment above: {line}");
        explained = line.starts_with("# ");
    }
}

#[test]
fn a_later_layer_goes_over_an_earlier_one() {
    let (_folder, path) = file("mine.toml", "data_dir = '/srv'\n[worker]\nslots = 7\nname = 'file'\n");
    let config = load(Some(&path), &environment(&[("PORTBROKER_WORKER__NAME", "variable")])).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("/srv"));
    assert_eq!((config.worker.slots, config.worker.name.as_str()), (7, "variable"));
    assert_eq!(config.worker.weight_high, 8);
}

#[test]
fn the_default_decides_what_a_variable_means() {
    let config = from(&[
        ("PORTBROKER_DATA_DIR", "42"),
        ("PORTBROKER_TELEGRAM__CHAT_ID", "42"),
        ("PORTBROKER_NATS__USER", "0123"),
        ("PORTBROKER_NATS__PASSWORD", "true"),
        ("PORTBROKER_WORKER__NAME", " [1, "),
        ("PORTBROKER_WORKER__SLOTS", "12"),
        ("PORTBROKER_DISK__MIN_FREE_BYTES", "2_000_000"),
        ("PORTBROKER_ALERTS__RULES__ERROR_RATE__THRESHOLD", "1"),
        ("PORTBROKER_NATS__REQUIRE_TLS", "true"),
        ("PORTBROKER_WORKER__LEASE", "1m 30s"),
    ]);
    assert_eq!(config.data_dir, PathBuf::from("42"));
    assert_eq!(config.telegram.chat_id, "42");
    assert_eq!((config.nats.user.as_str(), config.nats.password.expose_secret()), ("0123", "true"));
    assert_eq!((config.worker.name.as_str(), config.worker.slots), (" [1, ", 12));
    assert_eq!((config.disk.min_free_bytes, config.alerts.rules.error_rate.threshold), (2_000_000, 1.0));
    assert!(config.nats.require_tls);
    assert_eq!(config.worker.lease, Duration::from_secs(90));
}

#[test]
fn an_array_is_toml_or_json() {
    for text in [
        r#"[{key="0123456789abcdef",tenant="t",admin=true}]"#,
        r#"[{"key":"0123456789abcdef","tenant":"t","admin":true,"requests_per_minute":5}]"#,
    ] {
        let keys = from(&[("PORTBROKER_INGRESS__KEYS", text)]).ingress.keys;
        assert_eq!(
            (keys[0].key.expose_secret(), keys[0].tenant.as_str(), keys[0].admin),
            ("0123456789abcdef", "t", true)
        );
    }
}

#[test]
fn variables_that_are_no_settings_are_left_alone() {
    from(&[
        ("PORTBROKER_CONFIG", "mine.toml"),
        ("PORTBROKER_NATS_SERVER", "/usr/bin/nats-server"),
        ("PORTBROKER_LOG", "debug"),
        ("PORTBROKER_SERVICE_HOST", "10.0.0.1"),
        ("PORTBROKER_PORT", "tcp://10.0.0.1:8080"),
        ("PORTBROKER_INGRESS_SERVICE_PORT_HTTP", "8080"),
        ("PORTBROKER_INGRESS_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("SOMETHING_ELSE", "x"),
    ]);
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text =
        "datadir = 1\n[worker]\nslots = 'many'\nlease = '30 parsecs'\n[nats]\nrequire_tls = 1\n[wroker]\na = 1\n";
    let (_folder, path) = file("mine.toml", text);
    let variables = [
        ("PORTBROKER_INGRESS_LISTEN", "x"),
        ("PORTBROKER_NATSX", "x"),
        ("PORTBROKER_PORT", "9000"),
        ("PORTBROKER_RETRY__MAX_ATTEMPTS", "four"),
        ("PORTBROKER_ALERTS__RULES__ERROR_RATE__THRESHOLD", "2"),
        (
            "PORTBROKER_INGRESS__KEYS",
            r#"[{key="secret-1",tenent="t"},{key=5,tenant="t"},{key="fine-and-long-enough",tenant="t"}]"#,
        ),
    ];
    let name = path.display();
    let mut found = errors(Some(&path), &variables);
    let mut expected = [
        format!("{name}: there is no setting datadir; did you mean data_dir?"),
        format!("{name}: there is no setting wroker; did you mean worker?"),
        "worker.slots (PORTBROKER_WORKER__SLOTS): found \"many\"; \
         write a whole number from 0 to 4294967295, for example 100"
            .to_owned(),
        "worker.lease (PORTBROKER_WORKER__LEASE): found \"30 parsecs\"; \
         write a duration with its unit, for example \"30s\""
            .to_owned(),
        "nats.require_tls (PORTBROKER_NATS__REQUIRE_TLS): found 1; write true or false, for example false".to_owned(),
        "there is no variable PORTBROKER_INGRESS_LISTEN; did you mean PORTBROKER_INGRESS__LISTEN?".to_owned(),
        "there is no variable PORTBROKER_NATSX; did you mean PORTBROKER_NATS__URL?".to_owned(),
        "there is no variable PORTBROKER_PORT".to_owned(),
        "retry.max_attempts (PORTBROKER_RETRY__MAX_ATTEMPTS): found \"four\"; write a whole number, for example 4"
            .to_owned(),
        "alerts.rules.error_rate.threshold (PORTBROKER_ALERTS__RULES__ERROR_RATE__THRESHOLD): found 2; write a share from 0 to 1".to_owned(),
        "ingress.keys[0].tenent (PORTBROKER_INGRESS__KEYS): found the unknown tenent; \
         write any of key, tenant, admin, requests_per_minute"
            .to_owned(),
        "ingress.keys[1].key (PORTBROKER_INGRESS__KEYS): found a number; write a text in quotes".to_owned(),
    ];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let whole = load(Some(&path), &environment(&variables)).unwrap_err().to_string();
    assert!(whole.starts_with("12 errors in the configuration:\n  "), "{whole}");
    assert!(!whole.contains("secret-1"), "{whole}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_its_place() {
    let found = errors(Some(Path::new("not/there.toml")), &[("PORTBROKER_WORKER__SLOTS", "0")]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("not/there.toml: cannot be read: No such file"), "{found:?}");
    let (_folder, path) = file("mine.toml", "[telegram]\ntoken = \"my-secret-token\nchat_id = \"1\"\n");
    let found = errors(Some(&path), &[]);
    assert!(found[0].contains("mine.toml, line 2, column 25: "), "{found:?}");
    assert!(!found[0].contains("my-secret"), "{found:?}");
    let (_folder, path) = file("mine.json", "{\"telegram\": {\n  \"token\": \"my-secret-token\", }}");
    let found = errors(Some(&path), &[]);
    assert_eq!(found, [format!("{}, line 2, column 31: trailing comma", path.display())]);
}

#[test]
fn a_file_that_is_no_table_is_told() {
    let (_folder, path) = file("mine.json", "[1]");
    assert!(errors(Some(&path), &[])[0].contains("found an array; write a table of settings"));
    let (_folder, path) = file("mine.json", r#"{"worker": 5, "nats": {"url": null, "password": 77}}"#);
    let found = errors(Some(&path), &[]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().any(|error| error.contains("worker") && error.contains("found 5; write a table")));
    assert!(!found.concat().contains("77"), "{found:?}");
}

#[test]
fn what_is_shown_loads_again() {
    let config = from(&[
        ("PORTBROKER_WORKER__LEASE", "1m 30s 5ms"),
        ("PORTBROKER_NATS__URL", "a:4222,tls://b"),
        ("PORTBROKER_DATABASE__URL", "sqlite:here.db"),
        ("PORTBROKER_ALERTS__RULES__ERROR_RATE__THRESHOLD", "0.25"),
        ("PORTBROKER_TELEGRAM__CHAT_ID", "0042"),
        ("PORTBROKER_TELEGRAM__ALLOWED_USERS", "[7]"),
        ("PORTBROKER_TELEGRAM__ROUTES", r#"[{ matchers = ["a=b c"], chat = "-1", topic = 4, quiet = "22:00-07:00" }]"#),
    ]);
    let shown = config.shown();
    for (name, text) in [("a.json", shown.to_string()), ("a.toml", toml::to_string(&shown).unwrap())] {
        let (_folder, path) = file(name, &text);
        let again = load(Some(&path), &BTreeMap::new()).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(again.shown(), shown, "{name}");
        assert_eq!(again.worker.lease, Duration::from_millis(90_005));
    }
}

#[test]
fn no_secret_is_shown_and_every_secret_is_known() {
    let secrets = [
        "0123456789abcdef",
        "nats-url-secret",
        "redis-secret",
        "sql-secret",
        "bot-secret",
        "nats-token-secret",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "https://host/hook-secret",
        "https://host/beat-secret",
        FERNET_ONE,
        FERNET_TWO,
    ];
    let config = from(&[
        ("PORTBROKER_INGRESS__KEYS", r#"[{key="0123456789abcdef",tenant="t"}]"#),
        ("PORTBROKER_NATS__URL", "nats://me:nats-url-secret@host"),
        ("PORTBROKER_NATS__TOKEN", "nats-token-secret"),
        ("PORTBROKER_REDIS__URL", "redis://:redis-secret@host"),
        ("PORTBROKER_DATABASE__URL", "postgres://me:sql-secret@host/name"),
        ("PORTBROKER_TELEGRAM__TOKEN", "bot-secret"),
        ("PORTBROKER_TELEGRAM__CHAT_ID", "1"),
        ("PORTBROKER_SESSIONS__ENCRYPTION_KEY", FERNET_ONE),
        ("PORTBROKER_SESSIONS__PREVIOUS_KEYS", FERNET_TWO),
        ("PORTBROKER_WEBHOOK__SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("PORTBROKER_WEBHOOK__URL", "https://host/hook-secret"),
        ("PORTBROKER_HEARTBEAT__URL", "https://host/beat-secret"),
    ]);
    let known: BTreeSet<_> = config.secrets().iter().map(|secret| secret.expose_secret().to_owned()).collect();
    let (shown, debugged) = (config.shown().to_string(), format!("{config:?}"));
    for secret in secrets {
        assert!(known.contains(secret), "{secret} is not known");
        assert!(!shown.contains(secret) && !debugged.contains(secret), "{secret} is shown");
    }
    assert_eq!(config.shown()["ingress"]["keys"][0]["key"], "***");
    assert_eq!(config.shown()["redis"]["url"], "redis://:***@host");
    assert_eq!(config.shown()["nats"]["password"], "");
}
