//! Whole lines, as an operator reads them.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::subscriber::with_default;
use tracing::{error, info, info_span, warn};

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `scenario` logs.
fn logged(level: &str, format: &str, secrets: &[&str], scenario: impl FnOnce()) -> String {
    let buffer = Buffer::default();
    let output = buffer.clone();
    let secrets: Vec<_> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
    let config = LogConfig { level: level.to_owned(), format: format.to_owned() };
    let subscriber = subscriber(&config, Scrubber::new(&secrets).unwrap(), move || output.clone()).unwrap();
    with_default(subscriber, scenario);
    let bytes = buffer.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_holds_the_fields_of_its_spans_and_its_own() {
    let text = logged("info", "json", &[], || {
        let request = info_span!("request", request_id = "r1", trace_id = tracing::field::Empty, status = 1);
        request.record("trace_id", "t1");
        let _request = request.enter();
        let _job = info_span!("job", job_id = %"job_1", session_id = "s1").entered();
        info!(duration_ms = 12.5, status = 202, cached = true, level = "mine", "job accepted");
    });
    let [line] = lines(&text).try_into().unwrap();
    let names: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "timestamp",
            "level",
            "target",
            "message",
            "request_id",
            "status",
            "trace_id",
            "job_id",
            "session_id",
            "duration_ms",
            "cached",
            "level_",
        ]
    );
    assert_eq!((&line["level"], &line["message"]), (&"info".into(), &"job accepted".into()));
    assert_eq!((&line["status"], &line["trace_id"], &line["cached"]), (&202.into(), &"t1".into(), &true.into()));
    assert!(line["target"].as_str().unwrap().starts_with("runtime::telemetry"));
    schemas::timestamp::Timestamp::parse(line["timestamp"].as_str().unwrap()).unwrap();
}

#[test]
fn an_error_is_told_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("the publish failed")]
    struct Failed(#[source] io::Error);

    let text = logged("info", "json", &[], || {
        let failed = Failed(io::Error::other("the server went away"));
        error!(error = &failed as &dyn std::error::Error, "job not accepted");
    });
    assert_eq!(lines(&text)[0]["error"], "the publish failed: the server went away");
}

#[test]
fn the_filter_decides() {
    let text = logged("warn,kept=info", "json", &[], || {
        info!("dropped");
        info!(target: "kept", "kept");
        warn!("told");
    });
    let messages: Vec<_> = lines(&text).iter().map(|line| line["message"].clone()).collect();
    assert_eq!(messages, ["kept", "told"]);
}

#[test]
fn no_secret_appears_wherever_it_is_put() {
    struct Pieces(&'static [&'static str]);
    impl std::fmt::Display for Pieces {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.iter().try_for_each(|piece| f.write_str(piece))
        }
    }

    for format in ["json", "text"] {
        let text = logged("info", format, &["line\nbreak\"quote", "plain-secret"], || {
            let _span = info_span!("span", in_a_span = "plain-secret").entered();
            info!(in_a_field = "line\nbreak\"quote", debugged = ?"line\nbreak\"quote", "in text: plain-secret");
            info!(in_pieces = %Pieces(&["plain", "-", "sec", "ret"]), "Bearer {}", Pieces(&["abcd", "efghij"]));
        });
        for secret in ["plain-secret", "break", "quote", "abcdefghij"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        assert_eq!(text.lines().count(), 2, "{text}");
        assert_eq!(text.matches("Bearer ***").count(), 1, "{text}");
    }
}

#[test]
fn a_filter_that_does_not_parse_is_an_error() {
    let config = LogConfig { level: "info,=".to_owned(), format: "json".to_owned() };
    let failed = subscriber(&config, Scrubber::new(&[]).unwrap(), io::sink).err().unwrap();
    assert!(matches!(failed, TelemetryError::Filter(_)));
}

const CHILD: &str = "RUNTIME_TEST_TELEMETRY_CHILD";

#[test]
fn a_process_logs_its_lines_and_its_panics_to_standard_error() {
    if std::env::var_os(CHILD).is_some() {
        return panic_with_logs();
    }
    let name = "telemetry::tests::a_process_logs_its_lines_and_its_panics_to_standard_error";
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(CHILD, "1").env_remove("RUST_BACKTRACE");
    let text = String::from_utf8(command.output().unwrap().stderr).unwrap();
    let lines: Vec<_> = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect();
    assert_eq!(lines[0]["message"], "key ***");
    assert_eq!((&lines[1]["message"], &lines[1]["level"]), (&"panicked".into(), &"error".into()));
    assert_eq!(lines[1]["panic.message"], "no room for");
    assert!(lines[1]["panic.location"].as_str().unwrap().contains("tests.rs:"), "{text}");
    assert!(!text.contains("plain-secret") && !text.contains("a prompt"), "{text}");
}

/// What the process does that the test reads: this very test, run again.
fn panic_with_logs() {
    let config = LogConfig { level: "info".to_owned(), format: "json".to_owned() };
    init(&config, &[SecretString::from("plain-secret")]).unwrap();
    assert!(matches!(init(&config, &[]), Err(TelemetryError::Again(_))));
    info!("key plain-secret");
    panic!("no room for `a prompt`");
}
