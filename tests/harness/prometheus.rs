//! A real Prometheus with the repository's own configuration and rules, looking every second instead of every quarter
//! minute, and promtool.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::child::Child;
use crate::{paths, ports, wait};

const START_LIMIT: Duration = Duration::from_secs(60);
/// The addresses of `deploy/prometheus/prometheus.yml`.
const EXAMPLE_TARGETS: &str = r#"["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8082"]"#;
const EXAMPLE_ALERTMANAGER: &str = r#"["127.0.0.1:9093"]"#;

/// One Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    base: String,
    _process: Child,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that reads the metrics of `targets` (`127.0.0.1:18080`), and tells this Alertmanager if there is one.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(targets: &[String], alertmanager: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = ports::free();
        let file = folder.path().join("prometheus.yml");
        copy_rules(&folder);
        fs::write(&file, config(targets, alertmanager)).expect("a temporary folder is writable");
        let mut command = Command::new(paths::program("PORTBROKER_PROMETHEUS", "prometheus", &[]));
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let process = Child::start("prometheus", &mut command);
        let server = Self { base: format!("http://127.0.0.1:{port}"), _process: process, _folder: folder };
        wait::until("Prometheus", START_LIMIT, async || server.get("/-/ready", &[]).await).await;
        server
    }

    /// What `expression` answers now, one element for each series.
    ///
    /// # Errors
    /// When it cannot be parsed or evaluated.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let answer = self.get("/api/v1/query", &[("query", expression)]).await?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    }

    /// Every rule that it evaluates, as it understood it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn rules(&self) -> Result<Vec<Value>, String> {
        let answer = self.get("/api/v1/rules", &[]).await?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        Ok(groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect())
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<String, String> {
        let request = reqwest::Client::new().get(format!("{}{path}", self.base)).query(query);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        wait::check(status.is_success(), &text).map(|()| text)
    }
}

/// The rules, those too evaluated every second that look at days.
fn copy_rules(folder: &TempDir) {
    fs::create_dir(folder.path().join("rules")).expect("a temporary folder is writable");
    for file in fs::read_dir(home().join("rules")).expect("there are rules").flatten() {
        let text = fs::read_to_string(file.path()).expect("rules can be read").replace("interval: 5m", "interval: 1s");
        fs::write(folder.path().join("rules").join(file.file_name()), text).expect("a temporary folder is writable");
    }
}

fn home() -> PathBuf {
    paths::repository().join("deploy/prometheus")
}

fn config(targets: &[String], alertmanager: Option<&str>) -> String {
    let text = fs::read_to_string(home().join("prometheus.yml")).expect("the example is there");
    let text = amend(&text, "_interval: 15s", "_interval: 1s");
    let listed: Vec<_> = alertmanager.into_iter().collect();
    let text = amend(&text, EXAMPLE_ALERTMANAGER, &format!("{listed:?}"));
    amend(&text, EXAMPLE_TARGETS, &format!("{targets:?}"))
}

/// `text` with `new` wherever `old` stands.
///
/// # Panics
/// When it stands nowhere.
pub(crate) fn amend(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old} is no longer in\n{text}");
    text.replace(old, new)
}

/// Runs promtool in `deploy/prometheus` and answers what it wrote.
///
/// # Errors
/// What it wrote, when it finds fault.
///
/// # Panics
/// When it cannot be run.
pub fn promtool(arguments: &[&str], input: &str) -> Result<String, String> {
    run("PORTBROKER_PROMTOOL", "promtool", arguments, input)
}

/// Runs Alertmanager's amtool likewise.
///
/// # Errors
/// What it wrote, when it finds fault.
///
/// # Panics
/// When it cannot be run.
pub fn amtool(arguments: &[&str]) -> Result<String, String> {
    run("PORTBROKER_AMTOOL", "amtool", arguments, "")
}

fn run(variable: &str, name: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let mut command = Command::new(paths::program(variable, name, &[]));
    command.args(arguments).current_dir(home());
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool can be started");
    let mut stdin = child.stdin.take().expect("it has an input");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("the tool ends");
    // It may end before it has read everything.
    drop(writer.join());
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if output.status.success() { Ok(text) } else { Err(text) }
}
